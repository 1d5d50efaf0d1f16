//go:build linux

package uring

import (
	"testing"
	"time"
	"unsafe"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// shown is what the latest operation has shown.
func shown(t *testing.T, l *Loop) []ring.Timing {
	t.Helper()
	rec := l.records.at(timingRecord)
	if rec.Older != uint64(uintptr(unsafe.Pointer(&l.timings.memory[0]))) {
		t.Fatalf("a list at %#x", rec.Older)
	}
	return l.timings.list[:rec.OlderCount]
}

// left waits until so many are not shown.
func left(t *testing.T, l *Loop, s *looptest.Handler, want int) {
	t.Helper()
	looptest.Eventually(t, "timings are shown", func() bool {
		n := 0
		s.Do(t, func() { n = len(l.timings.list) })
		return n <= want
	})
}

// Timings are shown with the next call of the kernel, which they do not end, and in which
// nothing of an earlier operation is left over.
func TestTimingsAreShown(t *testing.T) {
	l := newLoop(t, ring.Options{Tick: time.Hour})
	l.submissions = 8 // They are used again soon.
	s := &looptest.Handler{Loop: l}
	nc := looptest.Dial(t, "unix", looptest.Serve(t, "unix", s))
	const rounds = 100
	for i := range uint64(rounds) {
		for range i % 3 { // so that they are not always the same submissions
			looptest.RoundTrip(t, nc, "other operations")
		}
		one := ring.Timing{Connection: 7, Queue: i, Service: 2 * i, Key: 5, Kind: 3, Count: 2}
		s.Do(t, func() {
			l.Timed(one)
			l.Timed(one)
		})
		left(t, l, s, 0)
		s.Do(t, func() {
			rec := l.records.at(timingRecord)
			if rec.Magic != recordMagic || rec.Kind != opTimings || rec.Sequence != i+1 {
				t.Errorf("%+v", rec)
			}
			if all := shown(t, l); len(all) != 2 || all[0] != one || all[1] != one {
				t.Errorf("%+v, want twice %+v", all, one)
			}
			if l.timings.refused > 0 {
				t.Error("the kernel has refused an operation")
			}
		})
	}
}

// Of more than there is room for only the number is kept, by kind, and what is under way
// stays as it is.
func TestTimingsAreBounded(t *testing.T) {
	l := newLoop(t, ring.Options{Tick: time.Hour})
	s := &looptest.Handler{Loop: l}
	looptest.Serve(t, "unix", s)
	const beyond = 100
	s.Do(t, func() {
		for i := range uint64(maxTimings + beyond) {
			l.Timed(ring.Timing{Connection: 1, Queue: i, Service: i, Kind: uint32(i % ring.Kinds), Count: 1})
		}
	})
	left(t, l, s, 0)
	s.Do(t, func() {
		counted := uint32(0)
		for _, x := range shown(t, l) {
			if counted += x.Count; x != (ring.Timing{Kind: x.Kind, Count: x.Count}) {
				t.Errorf("%+v", x)
			}
		}
		for i, x := range l.timings.list[:maxTimings][ring.Kinds:] {
			if x.Queue != uint64(i+ring.Kinds) || x.Count != 1 {
				t.Fatalf("%+v, want the %dth", x, i+ring.Kinds)
			}
		}
		if n := l.records.at(timingRecord).Sequence; counted != beyond || n != 2 {
			t.Errorf("%d in %d operations, want %d in 2", counted, n, beyond)
		}
	})
}

// Timings wait for others to be shown with, as long as the loop runs: the longer, the more it
// would cost to show them.
func TestTimingsWait(t *testing.T) {
	l := newLoop(t, ring.Options{Tick: time.Hour})
	s := &looptest.Handler{Loop: l}
	looptest.Serve(t, "unix", s)
	s.Do(t, func() {
		one := ring.Timing{Kind: 1, Count: 1}
		// shows reports whether so many, of which the first is so old, are shown.
		shows := func(n int, age instant, called, sleeps bool) bool {
			now := l.now
			defer func() { l.now = now }()
			for range n {
				l.Timed(one)
			}
			l.now += age
			before := l.kernel.ring.SQReady()
			l.tell(called, sleeps)
			shown := l.kernel.ring.SQReady() > before
			l.timings.told = len(l.timings.list) // whatever became of them
			if _, err := l.kernel.ring.SubmitAndGetEvents(); err != nil {
				t.Fatal(err)
			}
			l.timings.forget(l.now)
			return shown
		}
		for _, c := range []struct {
			n              int
			age            instant
			called, sleeps bool
			want           bool
		}{
			{0, manyWait, true, true, false},
			{1, 0, false, true, true}, // nobody knows when the loop wakes up
			{someTimings - 1, someWait - 1, true, false, false},
			{someTimings, 0, true, false, true},
			{1, someWait, true, false, true},
			{manyTimings - 1, manyWait - 1, false, false, false},
			{manyTimings, 0, false, false, true},
			{1, manyWait, false, false, true},
		} {
			if got := shows(c.n, c.age, c.called, c.sleeps); got != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
		if n := testing.AllocsPerRun(100, func() { l.Timed(one); l.tell(true, true); l.timings.forget(l.now) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
