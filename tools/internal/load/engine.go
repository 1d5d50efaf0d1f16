package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// engine makes the sessions of a run do their operations.
type engine interface {
	// connect opens all connections and creates the sessions.
	connect(ctx context.Context) error
	// prepare returns when the sessions have done p. At the first error it calls stop
	// and returns the error when all have ended.
	prepare(p *preparation, stop func()) error
	// load returns when the load's end has come and all operations have ended, or,
	// having called stop, because of an error that lets no load go on.
	load(stop func()) error
	recorders() []*recorder
	close()
}

// together runs things at once, and calls stop at the first error.
func together[T any](all []T, stop func(), do func(T) error) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, one := range all {
		group.Go(func() {
			if err := do(one); err != nil {
				stop()
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// tooLarge refuses values that a target will not take.
func (r *run) tooLarge(target, most int) error {
	if r.o.ValueBytes > most {
		return fmt.Errorf("%w: --value-size: %d, but %s takes at most %d", ErrUsage, r.o.ValueBytes, r.o.Targets[target], most)
	}
	return nil
}

func (r *run) notConnected(target int, err error) error {
	if errors.Is(err, ErrUsage) {
		return err
	}
	return fmt.Errorf("connect to %s: %w; check that the server runs and is ready", r.o.Targets[target], err)
}

// crowd is the engine of sessions that block: each is a goroutine.
type crowd struct {
	run     *run
	conns   []Connection // of target i%len(targets) at i
	records []*recorder  // one per connection
	workers []*worker
}

func (c *crowd) connect(ctx context.Context) error {
	o := c.run.o
	for i := range o.Conns {
		at := i % len(o.targets)
		dialCtx, cancel := context.WithTimeout(ctx, o.Timeout)
		conn, err := o.targets[at].Connect(dialCtx)
		cancel()
		if err != nil {
			return c.run.notConnected(at, err)
		}
		c.conns = append(c.conns, conn)
		c.records = append(c.records, newRecorder(o))
		if err := c.run.tooLarge(at, conn.ValueBytes()); err != nil {
			return err
		}
	}
	for i := range o.sessions() {
		c.workers = append(c.workers, c.newWorker(i))
	}
	return nil
}

func (c *crowd) prepare(p *preparation, stop func()) error {
	return together(c.workers, stop, func(w *worker) error { return w.prepare(p) })
}

func (c *crowd) load(stop func()) error {
	loop := (*worker).closedLoop
	if o := c.run.o; o.Rate > 0 {
		// A generator of its own: one more than the sessions have.
		a := newArrivals(o.Rate, rand.New(rand.NewPCG(o.Seed, uint64(len(c.workers)))))
		loop = func(w *worker) { w.openLoop(a) }
	}
	return together(c.workers, stop, func(w *worker) error { loop(w); return nil })
}

func (c *crowd) recorders() []*recorder { return c.records }

func (c *crowd) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}
