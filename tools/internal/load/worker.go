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
	alarm   *alarm
	// series is what is done back to back, and timed together.
	series []op
}

func (c *crowd) newWorker(index int) *worker {
	slot := index % c.run.o.Conns
	return &worker{
		chooser: newChooser(c.run.o, index), crowd: c, run: c.run, index: index,
		session: c.conns[slot].Session(), into: c.records[slot], alarm: newAlarm(c.run.stopped),
		series: make([]op, c.run.o.Run),
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
			w.alarm.wait(errorPause)
		}
		p.done.Add(1)
	}
}

// choose chooses the next series. It is not timed: a choice may cost as much as a read of
// memory.
func (w *worker) choose() {
	at := w.at
	for i := range w.series {
		w.series[i] = w.next()
		w.at = w.series[i].to
	}
	w.at = at
}

// closedLoop does one series after the other until the load's end.
func (w *worker) closedLoop() {
	for {
		w.choose()
		began := w.run.elapsed()
		if began >= w.run.end() {
			return
		}
		if w.record(began, began, 0) != nil {
			w.alarm.wait(errorPause)
		}
	}
}

// openLoop takes what falls due until the load's end. See the package's doc.
func (w *worker) openLoop(a *arrivals) {
	if !w.run.o.virtual {
		w.alarm.sharpen()
		defer w.alarm.close()
	}
	for {
		w.choose()
		due := a.take()
		began := w.run.elapsed()
		end := w.run.end()
		var lag time.Duration
		if began < due && due < end {
			if !w.alarm.wait(due - began) {
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

// record does a series and records it. The first failure ends it.
func (w *worker) record(due, began, lag time.Duration) error {
	o := operation{read: w.series[0].read, count: int64(len(w.series)), lag: lag, measured: began >= w.o.WarmUp}
	for _, n := range w.series {
		var found bool
		if found, o.err = w.do(n); o.err != nil {
			break
		}
		if n.read && !found {
			o.absent++
		}
	}
	n := time.Duration(o.count)
	o.latency = (w.run.elapsed() - due + n/2) / n
	w.into.add(o)
	return o.err
}
