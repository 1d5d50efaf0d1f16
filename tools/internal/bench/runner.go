package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// experiment starts its systems, measures, and ends them.
func (r *runner) experiment(ctx context.Context, e *Experiment) (result *Result, err error) {
	began := time.Now()
	r.progress.note("%s: start and fill %d systems", e.ID, len(e.Systems))
	result = &Result{Experiment: e.ID, IO: map[string]string{}, Missing: map[string]string{}, Loadgen: map[string]string{}}
	dir := filepath.Join(r.dir, e.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var targets []*target
	defer func() {
		for _, t := range targets {
			err = errors.Join(err, t.close())
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	for i, s := range e.Systems {
		own := filepath.Join(dir, fmt.Sprint(i))
		t, err := r.open(ctx, s, own)
		if err != nil && s.Optional && ctx.Err() == nil {
			result.Missing[s.Name] = reason(err, own)
			r.progress.note("%s: no %s: %s", e.ID, s.Name, result.Missing[s.Name])
			continue
		}
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
		if !e.Bare {
			if err := r.fill(ctx, t); err != nil {
				return nil, err
			}
		}
		if moved, err := t.io(ctx); err != nil {
			return nil, err
		} else if moved != "" {
			result.IO[s.Name] = moved
		}
		r.progress.advance(aroundSystem)
	}
	if result.Idle, err = idle(ctx, targets, r.plan.idle()); err != nil {
		return nil, err
	}
	before, err := takeAccount(targets)
	if err != nil {
		return nil, err
	}
	if err := r.rounds(ctx, e, targets, result); err != nil {
		return nil, err
	}
	after, err := takeAccount(targets)
	if err != nil {
		return nil, err
	}
	result.Others = after.others(before, r.data.Machine.Cores)
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

// rounds measures each load at each system in turn, over and over.
func (r *runner) rounds(ctx context.Context, e *Experiment, targets []*target, result *Result) error {
	rounds := r.plan.Rounds
	if e.Once {
		rounds = 1
	}
	take := e.take
	if take == nil {
		take = takeLoad
	}
	for _, t := range targets {
		if err := t.suspend(); err != nil {
			return err
		}
	}
	for round := 1; round <= rounds; round++ {
		r.progress.note("%s: round %d of %d", e.ID, round, rounds)
		for _, l := range e.Loads {
			for _, t := range targets {
				samples, err := r.alone(ctx, t, l, take)
				if err != nil {
					return fmt.Errorf("load %s: %w", l.Name, err)
				}
				for _, s := range samples {
					s.Round, s.Load, s.System = round, l.Name, t.system.Name
					if s.X == 0 {
						s.X = l.X
					}
					result.Samples = append(result.Samples, s)
				}
				r.progress.advance(r.plan.expectLoad(e))
			}
			if len(l.Flags) > 0 {
				result.Loadgen[l.label()] = commandLine(l.Flags)
			}
		}
	}
	return nil
}

// alone measures one load at one system while all others stand still.
func (r *runner) alone(ctx context.Context, t *target, l Load, take taker) ([]Sample, error) {
	if err := t.resume(ctx); err != nil {
		return nil, err
	}
	samples, err := take(ctx, r, t, l)
	return samples, errors.Join(err, t.suspend())
}

// expect is how long an experiment should take.
func (p *Plan) expect(e *Experiment) time.Duration {
	rounds := p.Rounds
	if e.Once {
		rounds = 1
	}
	return time.Duration(len(e.Systems)) * (aroundSystem + time.Duration(rounds*len(e.Loads))*p.expectLoad(e))
}

func (p *Plan) expectLoad(e *Experiment) time.Duration {
	if e.expect > 0 {
		return e.expect
	}
	return p.duration() + p.warmUp() + aroundLoad
}
