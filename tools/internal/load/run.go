package load

import (
	"context"
	"errors"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// run is one load from its beginning to its end.
type run struct {
	o      *Options
	keys   keyspace
	engine engine

	start   time.Time
	ends    atomic.Int64  // nanoseconds after start
	stopped chan struct{} // closed when the load is ended before its time
}

func (r *run) elapsed() time.Duration { return time.Since(r.start) }
func (r *run) end() time.Duration     { return time.Duration(r.ends.Load()) }

// Run makes the load and returns what was measured. When ctx ends, it ends the load
// and returns what was measured until then. o must come from ParseArgs.
func Run(ctx context.Context, o *Options, line *progress) (*Report, error) {
	meter, err := newMeter(o.ServerPIDs)
	if err != nil {
		return nil, err
	}
	r := newRun(o)
	defer r.engine.close()
	if err := r.begin(ctx, line); err != nil {
		return nil, err
	}
	return r.measure(ctx, meter, line)
}

// begin connects and does what comes before the load.
func (r *run) begin(ctx context.Context, line *progress) error {
	if err := r.engine.connect(ctx); err != nil {
		return err
	}
	if r.o.Preload {
		if err := r.preload(ctx, line); err != nil {
			return err
		}
	}
	if r.o.Past > 0 {
		return r.prepare(ctx, newPast(r.o), line)
	}
	return nil
}

func newRun(o *Options) *run {
	r := &run{o: o, keys: newKeyspace(o.Keys), stopped: make(chan struct{})}
	if o.system.codec != nil {
		r.engine = &raw{run: r}
	} else {
		r.engine = &crowd{run: r}
	}
	return r
}

// preload writes every key and waits until all can be read.
func (r *run) preload(ctx context.Context, line *progress) error {
	last := slices.Repeat([]int{none}, r.o.sessions())
	if err := r.prepare(ctx, newPreload(r.o, last), line); err != nil {
		return err
	}
	return r.prepare(ctx, newSettling(r.o, last), line)
}

// measure is the load itself. It ends when its time is over, when ctx ends, or when it
// cannot go on.
func (r *run) measure(ctx context.Context, meter *meter, line *progress) (*Report, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.ends.Store(int64(r.o.WarmUp + r.o.Duration))
	r.start = time.Now()
	done := make(chan error, 1)
	go func() { done <- r.engine.load(stop) }()
	r.watch(ctx, r.o.WarmUp, line, "warm-up")
	err := meter.begin()
	r.watch(ctx, r.o.WarmUp+r.o.Duration, line, "measuring")
	if ctx.Err() != nil {
		r.ends.Store(int64(min(r.elapsed(), r.end())))
		close(r.stopped)
	}
	err = errors.Join(err, meter.end(), <-done)
	line.clear()
	if err != nil {
		return nil, err
	}
	return r.report(meter)
}

// watch waits until some time of the load, or until ctx ends, and shows how it goes.
func (r *run) watch(ctx context.Context, until time.Duration, line *progress, phase string) {
	timer := time.NewTimer(until - r.elapsed())
	defer timer.Stop()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if line != nil {
				line.show(phase, r.elapsed(), r.tally())
			}
		}
	}
}

// tally adds up what all have measured so far.
func (r *run) tally() *tally {
	all := newTally(r.o.longest(), r.o.Rate > 0)
	for _, one := range r.engine.recorders() {
		one.mu.Lock()
		all.merge(&one.tally)
		one.mu.Unlock()
	}
	return &all
}

// secondSignal is how long after the first one another signal is not the same one:
// timeout(1) sends two.
const secondSignal = time.Second

// interruptible returns a context that ends at the first signal. A second one ends
// the program as signals do.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(secondSignal, cancel) })
	return ctx, cancel
}
