package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// errorPause is what a session waits after an error, so that a server that refuses
// everything at once is not flooded with more than it would serve.
const errorPause = time.Millisecond

// worker drives one session.
type worker struct {
	run     *run
	session Session
	at      int // the target that the session is at
	rng     *rand.Rand
	value   []byte
	into    *recorder
	timer   *time.Timer
}

func (r *run) newWorker(index int) *worker {
	slot := index % r.o.Conns
	w := &worker{
		run: r, session: r.conns[slot].Session(), at: slot % len(r.o.targets), into: r.recorders[slot],
		rng:   rand.New(rand.NewPCG(r.o.Seed, uint64(index))),
		value: make([]byte, r.o.ValueBytes),
		timer: time.NewTimer(0),
	}
	for i := range w.value {
		w.value[i] = 'a' + byte(w.rng.IntN(26))
	}
	return w
}

// operate does one operation of the workload.
func (w *worker) operate(ctx context.Context) (o operation) {
	if w.run.o.Roam > 0 && w.rng.Float64() < w.run.o.Roam {
		if o.err = w.roam(); o.err != nil {
			return o
		}
	}
	key := w.run.keys.key(w.run.o.distribution.Draw(w.rng))
	if o.read = w.rng.Float64() < w.run.o.ReadRatio; o.read {
		o.found, o.err = w.session.Read(ctx, key)
		return o
	}
	o.err = w.session.Write(ctx, key, w.nextValue())
	return o
}

// nextValue returns a value that differs from the last one, if it has any bytes.
func (w *worker) nextValue() []byte {
	var word [8]byte
	binary.NativeEndian.PutUint64(word[:], w.rng.Uint64())
	copy(w.value, word[:])
	return w.value
}

// roam moves the session to some connection of another target.
func (w *worker) roam() error {
	targets := len(w.run.o.targets)
	to := (w.at + 1 + w.rng.IntN(targets-1)) % targets
	// The target's connections are to, to+targets, and so on.
	slots := (w.run.o.Conns - to + targets - 1) / targets
	if err := w.session.Move(w.run.conns[to+targets*w.rng.IntN(slots)]); err != nil {
		return fmt.Errorf("move to target %d: %w", to, err)
	}
	w.at = to
	return nil
}

// closedLoop does one operation after the other until the load's end.
func (w *worker) closedLoop(ctx context.Context) {
	for {
		began := w.run.elapsed()
		if began >= w.run.end() {
			return
		}
		o := w.operate(ctx)
		o.latency = w.run.elapsed() - began
		o.measured = began >= w.run.o.WarmUp
		w.into.add(o)
		if o.err != nil {
			w.pause(errorPause)
		}
	}
}

// openLoop takes what falls due until the load's end. See the package's doc.
func (w *worker) openLoop(ctx context.Context) {
	for {
		due := w.run.arrivals.take()
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
			w.leave(due, end)
			return
		}
		o := w.operate(ctx)
		o.latency, o.lag = w.run.elapsed()-due, lag
		o.measured = began >= w.run.o.WarmUp
		w.into.add(o)
	}
}

// leave counts what is due before the end and not begun: what this session has
// taken, and what nobody has. Whichever session leaves first counts the latter.
func (w *worker) leave(due, end time.Duration) {
	unserved := int64(0)
	for ; due < end; due = w.run.arrivals.take() {
		unserved++
	}
	w.into.addUnserved(unserved)
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
