package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// worker drives one session that blocks.
type worker struct {
	chooser
	crowd   *crowd
	run     *run
	index   int
	session Session
	into    *recorder
	timer   *time.Timer
}

func (c *crowd) newWorker(index int) *worker {
	slot := index % c.run.o.Conns
	return &worker{
		chooser: newChooser(c.run.o, index), crowd: c, run: c.run, index: index,
		session: c.conns[slot].Session(), into: c.records[slot], timer: time.NewTimer(0),
	}
}

// do does one operation. It has no context that ends: one that is under way when the
// load is stopped ends as it would, and counts.
func (w *worker) do(n op) (found bool, err error) {
	if n.to != w.at {
		if err := w.move(n.to); err != nil {
			return false, err
		}
	}
	key := w.run.keys.key(n.rank)
	if n.read {
		return w.session.Read(context.Background(), key)
	}
	return false, w.session.Write(context.Background(), key, w.nextValue())
}

// move makes the session go on at some connection of another target.
func (w *worker) move(to int) error {
	targets := len(w.o.Targets)
	// The target's connections are to, to+targets, and so on.
	slots := (w.o.Conns - to + targets - 1) / targets
	if err := w.session.Move(w.crowd.conns[to+targets*w.rng.IntN(slots)]); err != nil {
		return fmt.Errorf("move to target %d: %w", to, err)
	}
	w.at = to
	return nil
}

// prepare does the session's part of p.
func (w *worker) prepare(p *preparation) error {
	for {
		n, more := p.next(w.index, &w.chooser)
		if !more {
			return nil
		}
		deadline := time.Now().Add(p.patience)
		for {
			found, err := w.do(n)
			if err = p.judge(found, err); err == nil {
				break
			}
			if !errors.Is(err, ErrRefused) || time.Now().After(deadline) || p.ctx.Err() != nil {
				return p.refused(err)
			}
			w.pause(errorPause)
		}
		p.done.Add(1)
	}
}

// closedLoop does one operation after the other until the load's end.
func (w *worker) closedLoop() {
	for {
		began := w.run.elapsed()
		if began >= w.run.end() {
			return
		}
		if w.record(began, began, 0) != nil {
			w.pause(errorPause)
		}
	}
}

// openLoop takes what falls due until the load's end. See the package's doc.
func (w *worker) openLoop(a *arrivals) {
	for {
		due := a.take()
		began := w.run.elapsed()
		end := w.run.end()
		var lag time.Duration
		if began < due && due < end {
			if !w.pause(due - began) {
				return
			}
			began = w.run.elapsed()
			lag = began - due
		}
		if due >= end || began >= end {
			// Whichever session leaves first counts what nobody has taken, too.
			unserved := a.leave(end)
			if due < end {
				unserved++
			}
			w.into.addUnserved(unserved)
			return
		}
		_ = w.record(due, began, lag)
	}
}

// record does an operation of the load and records it.
func (w *worker) record(due, began, lag time.Duration) error {
	n := w.next()
	o := operation{read: n.read, lag: lag, measured: began >= w.o.WarmUp}
	o.found, o.err = w.do(n)
	o.latency = w.run.elapsed() - due
	w.into.add(o)
	return o.err
}

// pause waits for d, or until the load is stopped early: then it returns false.
func (w *worker) pause(d time.Duration) bool {
	w.timer.Reset(d)
	select {
	case <-w.timer.C:
		return true
	case <-w.run.stopped:
		w.timer.Stop()
		return false
	}
}
