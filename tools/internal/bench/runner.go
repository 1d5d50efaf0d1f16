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
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &runner{bin: bin, dir: dir, plan: plan, data: &Data{Format: format, Plan: plan, Began: time.Now().UTC().Truncate(time.Second)}}
	if r.data.Machine, err = describeMachine(ctx, plan.wait(busyOver)); err != nil {
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
	for _, turns := range e.series(&r.plan) {
		if err := r.series(ctx, e, turns, result); err != nil {
			return nil, err
		}
	}
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

// turn is a round of one load.
type turn struct {
	round int
	load  *Load
}

// series are the turns that are taken at the same servers: all loads in each round, one
// turn only, or all rounds of each load of a name.
func (e *Experiment) series(p *Plan) (all [][]turn) {
	rounds := cmp.Or(e.Rounds, p.Rounds)
	for n := range rounds * len(e.Loads) {
		now := turn{1 + n/len(e.Loads), &e.Loads[n%len(e.Loads)]}
		if e.Grows {
			now = turn{1 + n%rounds, &e.Loads[n/rounds]}
		}
		if n == 0 || e.Fresh || e.Grows && now.load.Name != e.Loads[(n-1)/rounds].Name {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], now)
	}
	return all
}

// serve reports whether a system has the load of one of the turns.
func serve(turns []turn, system string) bool {
	return slices.ContainsFunc(turns, func(t turn) bool { return t.load.at(system) })
}

// series starts the systems that have one of the loads, measures, and ends them.
func (r *runner) series(ctx context.Context, e *Experiment, turns []turn, result *Result) (err error) {
	dir := filepath.Join(r.dir, e.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var targets []*target
	defer func() {
		err = errors.Join(err, closeAll(targets), os.RemoveAll(dir))
	}()
	r.progress.note("%s: start and fill", e.ID)
	for i, s := range e.Systems {
		if !serve(turns, s.Name) {
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
		if s.Of == "" {
			r.progress.advance(aroundSystem)
		}
	}
	if over := r.plan.idle(); over > 0 {
		shares, err := idle(ctx, targets, over)
		if err != nil {
			return err
		}
		maps.Copy(result.Idle, shares)
	}
	before, err := takeAccount(targets)
	if err != nil {
		return err
	}
	if err := r.rounds(ctx, e, turns, targets, result); err != nil {
		return err
	}
	after, err := takeAccount(targets)
	if err != nil {
		return err
	}
	result.Others = max(result.Others, after.others(before, r.data.Machine.Cores))
	return nil
}

// rounds measures the loads at each system in turn, over and over.
func (r *runner) rounds(ctx context.Context, e *Experiment, turns []turn, targets []*target, result *Result) error {
	for _, t := range targets {
		if err := t.suspend(); err != nil {
			return err
		}
	}
	var noted string
	var filled []string // what was, last
	for _, turn := range turns {
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
	for _, turns := range e.series(p) {
		for _, s := range e.Systems {
			if s.Of == "" && serve(turns, s.Name) {
				all += aroundSystem
			}
			for _, t := range turns {
				if t.load.at(s.Name) {
					all += p.expectLoad(e, t.load)
				}
			}
		}
	}
	return all
}

func (p *Plan) expectLoad(e *Experiment, l *Load) time.Duration {
	return cmp.Or(l.expect, e.expect, p.duration()+p.warmUp()+aroundLoad)
}
