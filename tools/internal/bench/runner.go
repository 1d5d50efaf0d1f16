package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The programs that are measured and that measure, in the folder of binaries.
const (
	daemonName = "causalmeshd"
	loaderName = "loadgen"
)

const (
	// aroundLoad is what a run of loadgen takes beyond its load.
	aroundLoad = 500 * time.Millisecond
	// aroundSystem is what it takes to start a system, fill it and end it.
	aroundSystem = 2 * time.Second
)

// runner measures.
type runner struct {
	bin      string // folder
	dir      string // of its own; short, for sockets
	plan     Plan
	progress *progress
	data     *Data
}

func (r *runner) daemon() string { return filepath.Join(r.bin, daemonName) }
func (r *runner) loader() string { return filepath.Join(r.bin, loaderName) }

// measure runs experiments with the programs in the folder bin and returns what they measured.
func measure(ctx context.Context, bin string, plan Plan, experiments []Experiment, stderr io.Writer) (_ *Data, err error) {
	for _, name := range []string{"redis-server", "memcached"} {
		if _, err := find(name); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &runner{bin: bin, dir: dir, plan: plan, data: &Data{Format: format, Plan: plan, Began: time.Now().UTC().Truncate(time.Second)}}
	if r.data.Machine, err = describeMachine(ctx); err != nil {
		return nil, err
	}
	var expected time.Duration
	for _, e := range experiments {
		expected += plan.expect(&e)
	}
	r.progress = newProgress(stderr, expected)
	for i := range experiments {
		result, err := r.experiment(ctx, &experiments[i])
		if err != nil {
			return nil, fmt.Errorf("experiment %s: %w", experiments[i].ID, err)
		}
		r.data.Results = append(r.data.Results, *result)
	}
	r.data.Seconds = time.Since(r.progress.began).Round(time.Second).Seconds()
	return r.data, nil
}

// ran remembers how a program was run, once.
func (r *runner) ran(p Program) {
	if !slices.Contains(r.data.Servers, p) {
		r.data.Servers = append(r.data.Servers, p)
	}
}

// experiment measures all series of an experiment.
func (r *runner) experiment(ctx context.Context, e *Experiment) (*Result, error) {
	began := time.Now()
	result := &Result{Experiment: e.ID, Idle: map[string]float64{}, IO: map[string]string{}, Missing: map[string]string{}, Loadgen: map[string]string{}}
	for _, loads := range e.series() {
		if err := r.series(ctx, e, loads, result); err != nil {
			return nil, err
		}
	}
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

// series are the loads that are made at the same servers.
func (e *Experiment) series() (all [][]Load) {
	if !e.Grows {
		return [][]Load{e.Loads}
	}
	for rest := e.Loads; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Name == rest[0].Name {
			n++
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}

// series starts the systems that have one of the loads, measures, and ends them.
func (r *runner) series(ctx context.Context, e *Experiment, loads []Load, result *Result) (err error) {
	dir := filepath.Join(r.dir, e.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var targets []*target
	defer func() {
		for _, t := range targets {
			err = errors.Join(err, t.close())
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	r.progress.note("%s: start and fill", e.ID)
	for i, s := range e.Systems {
		if !slices.ContainsFunc(loads, func(l Load) bool { return l.at(s.Name) }) {
			continue
		}
		own := filepath.Join(dir, fmt.Sprint(i))
		t, err := r.reach(ctx, s, own, targets)
		if err != nil && s.Optional && ctx.Err() == nil {
			result.Missing[s.Name] = reason(err, own)
			r.progress.note("%s: no %s: %s", e.ID, s.Name, result.Missing[s.Name])
			continue
		}
		if err != nil {
			return err
		}
		targets = append(targets, t)
		if !e.Bare {
			if err := r.fill(ctx, t, nil); err != nil {
				return err
			}
		}
		if moved, err := t.io(ctx); err != nil {
			return err
		} else if moved != "" && !t.borrowed {
			result.IO[s.Name] = moved
		}
		r.progress.advance(aroundSystem)
	}
	shares, err := idle(ctx, targets, r.plan.idle())
	if err != nil {
		return err
	}
	maps.Copy(result.Idle, shares)
	before, err := takeAccount(targets)
	if err != nil {
		return err
	}
	if err := r.rounds(ctx, e, loads, targets, result); err != nil {
		return err
	}
	after, err := takeAccount(targets)
	if err != nil {
		return err
	}
	result.Others = max(result.Others, after.others(before, r.data.Machine.Cores))
	return nil
}

// turn is a round of one load.
type turn struct {
	round int
	load  *Load
}

// turns are the order of things: all loads in each round, or all rounds of each load.
func (e *Experiment) turns(p *Plan, loads []Load) (all []turn) {
	rounds := cmp.Or(e.Rounds, p.Rounds)
	for n := range rounds * len(loads) {
		if e.Grows {
			all = append(all, turn{1 + n%rounds, &loads[n/rounds]})
		} else {
			all = append(all, turn{1 + n/len(loads), &loads[n%len(loads)]})
		}
	}
	return all
}

// rounds measures the loads at each system in turn, over and over.
func (r *runner) rounds(ctx context.Context, e *Experiment, loads []Load, targets []*target, result *Result) error {
	for _, t := range targets {
		if err := t.suspend(); err != nil {
			return err
		}
	}
	var noted string
	var filled []string // what was, last
	for _, turn := range e.turns(&r.plan, loads) {
		l := turn.load
		if now := e.describe(turn); now != noted {
			r.progress.note("%s", now)
			noted = now
		}
		for _, t := range targets {
			if len(l.Fill) > 0 && !slices.Equal(l.Fill, filled) {
				if err := r.fillAlone(ctx, t, l); err != nil {
					return fmt.Errorf("fill for load %s: %w", l.label(), err)
				}
			}
		}
		filled = l.Fill
		for _, t := range targets {
			if !l.at(t.system.Name) {
				continue
			}
			if err := r.sample(ctx, e, t, turn, result); err != nil {
				return fmt.Errorf("load %s: %w", l.label(), err)
			}
			r.progress.advance(r.plan.expectLoad(e, l))
		}
		if len(l.Flags) > 0 {
			result.Loadgen[l.label()] = commandLine(l.flags())
		}
	}
	return nil
}

func (e *Experiment) describe(t turn) string {
	if e.Grows {
		return fmt.Sprintf("%s: %s", e.ID, t.load.label())
	}
	return fmt.Sprintf("%s: round %d", e.ID, t.round)
}

// sample takes what one load gives at one system.
func (r *runner) sample(ctx context.Context, e *Experiment, t *target, now turn, result *Result) error {
	take := e.take
	if now.load.take != nil {
		take = now.load.take
	}
	if take == nil {
		take = takeLoad
	}
	samples, err := r.alone(ctx, t, *now.load, take)
	for _, s := range samples {
		s.Round, s.Load, s.System = now.round, now.load.Name, t.system.Name
		if s.X == 0 {
			s.X = now.load.X
		}
		result.Samples = append(result.Samples, s)
	}
	return err
}

// alone measures one load at one system while all others stand still.
func (r *runner) alone(ctx context.Context, t *target, l Load, take taker) ([]Sample, error) {
	if err := t.resume(ctx); err != nil {
		return nil, err
	}
	samples, err := take(ctx, r, t, l)
	return samples, errors.Join(err, t.suspend())
}

// fillAlone fills a system while all others stand still.
func (r *runner) fillAlone(ctx context.Context, t *target, l *Load) error {
	if err := t.resume(ctx); err != nil {
		return err
	}
	return errors.Join(r.fill(ctx, t, l.Fill), t.suspend())
}

// expect is how long an experiment should take.
func (p *Plan) expect(e *Experiment) (all time.Duration) {
	for _, loads := range e.series() {
		for _, s := range e.Systems {
			all += aroundSystem
			for i := range loads {
				if loads[i].at(s.Name) {
					all += time.Duration(cmp.Or(e.Rounds, p.Rounds)) * p.expectLoad(e, &loads[i])
				}
			}
		}
	}
	return all
}

func (p *Plan) expectLoad(e *Experiment, l *Load) time.Duration {
	return cmp.Or(l.expect, e.expect, p.duration()+p.warmUp()+aroundLoad)
}
