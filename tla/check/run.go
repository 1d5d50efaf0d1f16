package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Run is one configuration, and what came of it. Err says why TLC could not even be
// started.
type Run struct {
	*Config
	Outcome Outcome
	Err     error
	// Partial: it may run out of time, as long as it has found states and nothing violated until then.
	Partial bool
}

// Good reports whether it ended as it should.
func (r *Run) Good() bool { return r.Err == nil && r.Expected(&r.Outcome) }

// OutOfTime reports whether it was ended before its end, as it may be.
func (r *Run) OutOfTime() bool {
	return r.Partial && !r.Canary() && r.Err == nil && r.Outcome.Kind == TimedOut && r.Outcome.Generated > 0
}

// Words says how it ended.
func (r *Run) Words() string {
	if r.Err != nil {
		return "could not run"
	}
	return r.Config.Words(&r.Outcome)
}

// runAll runs configurations in this order, some at the same time, and tells of each
// as it comes along.
func runAll(ctx context.Context, tlc *TLC, configs []*Config, jobs int) []*Run {
	traces := Traces{temp: tlc.Temp}
	tell := newTeller(configs)
	runs := make([]*Run, len(configs))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(jobs, len(configs)) {
		workers.Go(func() {
			for i := range next {
				runs[i] = runOne(ctx, tlc, &traces, configs[i], tell)
			}
		})
	}
	for i := range configs {
		next <- i // once ctx is done each ends at once
	}
	close(next)
	workers.Wait()
	return runs
}

func runOne(ctx context.Context, tlc *TLC, traces *Traces, c *Config, tell *teller) *Run {
	r := &Run{Config: c, Partial: tlc.Partial}
	if ctx.Err() != nil {
		r.Outcome.Kind = Interrupted
		return r
	}
	library := ""
	if c.Traces > 0 {
		if library, r.Err = traces.Library(ctx, c.Traces); r.Err != nil {
			tell.line(c, "could not run")
			return r
		}
	}
	tell.line(c, "…")
	begin := tlc.Now()
	r.Outcome, r.Err = tlc.Run(ctx, c, library, func(p Progress) {
		if took := tlc.Now().Sub(begin); took > progressFrom {
			tell.line(c, "%s, %v so far", p, took.Round(time.Second))
		}
	})
	words := r.Words()
	switch {
	case r.OutOfTime():
		words += ", and nothing is violated so far"
	case !r.Good() && r.Outcome.Kind != Interrupted:
		words += ": NOT AS EXPECTED"
	}
	tell.line(c, "%s (%.1f s)", words, r.Outcome.Took.Seconds())
	return r
}

// progressFrom is when a run is so long that one wants to know how far it is.
const progressFrom = 10 * time.Second

func (p Progress) String() string {
	if p.Distinct == 0 { // a simulation
		return fmt.Sprintf("%s states", grouped(p.Generated))
	}
	return fmt.Sprintf("depth %d, %s states, %s distinct, %s to go", p.Depth, grouped(p.Generated), grouped(p.Distinct), grouped(p.Queue))
}

// teller prints lines about runs that go on at the same time.
type teller struct {
	mu    sync.Mutex
	width int
}

func newTeller(configs []*Config) *teller {
	t := new(teller)
	for _, c := range configs {
		t.width = max(t.width, len(c.Name))
	}
	return t
}

func (t *teller) line(c *Config, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Printf("%-*s  %s\n", t.width, c.Name, fmt.Sprintf(format, args...))
}
