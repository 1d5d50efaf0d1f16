package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// run is one load from its beginning to its end.
type run struct {
	o         *Options
	keys      keyspace
	conns     []Connection // of target i%len(targets) at i
	recorders []*recorder  // one per connection
	workers   []*worker
	arrivals  *arrivals // nil in a closed loop

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
	r := &run{o: o, keys: newKeyspace(o.Keys), stopped: make(chan struct{})}
	defer r.close()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	longest := o.WarmUp + o.Duration + o.Timeout + time.Second
	for range o.Conns {
		r.recorders = append(r.recorders, &recorder{tally: newTally(longest, o.Rate > 0)})
	}
	for i := range o.sessions() {
		r.workers = append(r.workers, r.newWorker(i))
	}
	if o.Preload {
		if err := r.preload(ctx, line); err != nil {
			return nil, fmt.Errorf("preload: %w", err)
		}
	}
	return r.measure(ctx, meter, line)
}

func (r *run) connect(ctx context.Context) error {
	for i := range r.o.Conns {
		at := i % len(r.o.targets)
		dialCtx, cancel := context.WithTimeout(ctx, r.o.Timeout)
		c, err := r.o.targets[at].Connect(dialCtx)
		cancel()
		if err != nil {
			return fmt.Errorf("connect to %s: %w; check that the server runs and is ready", r.o.Targets[at], err)
		}
		r.conns = append(r.conns, c)
		if longest := c.ValueBytes(); r.o.ValueBytes > longest {
			return fmt.Errorf("%w: --value-size: %d, but %s takes at most %d", ErrUsage, r.o.ValueBytes, r.o.Targets[at], longest)
		}
	}
	return nil
}

func (r *run) close() {
	for _, c := range r.conns {
		_ = c.Close()
	}
}

// measure is the load itself. Operations have no context that ends: one that is
// under way when the load is stopped ends as it would, and counts.
func (r *run) measure(ctx context.Context, meter *meter, line *progress) (*Report, error) {
	loop := (*worker).closedLoop
	if r.o.Rate > 0 {
		// A generator of its own: one more than the sessions have.
		r.arrivals = newArrivals(r.o.Rate, rand.New(rand.NewPCG(r.o.Seed, uint64(len(r.workers)))))
		loop = (*worker).openLoop
	}
	r.ends.Store(int64(r.o.WarmUp + r.o.Duration))
	r.start = time.Now()
	var sessions sync.WaitGroup
	for _, w := range r.workers {
		sessions.Go(func() { loop(w, context.WithoutCancel(ctx)) })
	}
	r.watch(ctx, r.o.WarmUp, line, "warm-up")
	err := meter.begin()
	r.watch(ctx, r.o.WarmUp+r.o.Duration, line, "measuring")
	if ctx.Err() != nil {
		r.ends.Store(int64(min(r.elapsed(), r.end())))
		close(r.stopped)
	}
	err = errors.Join(err, meter.end())
	sessions.Wait()
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

// tally adds up what all connections have measured so far.
func (r *run) tally() *tally {
	all := newTally(time.Duration(r.recorders[0].latency.HighestTrackableValue()), r.o.Rate > 0)
	for _, one := range r.recorders {
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
