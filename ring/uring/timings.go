//go:build linux

package uring

import (
	"time"
	"unsafe"

	"github.com/pawelgaczynski/giouring"

	"causalmesh/ring"
)

const (
	// someTimings are worth an operation in a call of the kernel that is made anyway,
	// manyTimings a call for them alone.
	someTimings = 64
	manyTimings = 512
	// maxTimings bounds those that wait. What is beyond is counted without times. Programs look
	// at no more either.
	maxTimings = 4096
	// For how long fewer of them wait: for an operation, and for a call.
	someWait = instant(time.Millisecond)
	manyWait = instant(5 * time.Millisecond)

	timingBytes = int(unsafe.Sizeof(ring.Timing{}))
)

// timings are what the handler has timed and programs in the kernel have not seen.
type timings struct {
	memory []byte        // off the Go heap
	list   []ring.Timing // in memory
	told   int           // of list: they stay as they are until the kernel has taken their operation
	since  instant       // when list was empty last
	// refused counts operations that the kernel did not take: only those complete.
	refused int
}

func (t *timings) open() (err error) {
	const most = maxTimings + ring.Kinds
	if t.memory, err = mapMemory(most * timingBytes); err == nil {
		t.list = unsafe.Slice((*ring.Timing)(unsafe.Pointer(&t.memory[0])), most)[:0]
	}
	return err
}

// Timed implements ring.Loop.
func (l *Loop) Timed(t ring.Timing) {
	if len(l.timings.list) == 0 {
		l.timings.since = l.now
	}
	l.timings.add(t)
}

func (t *timings) add(timing ring.Timing) {
	if len(t.list) >= maxTimings {
		timing = ring.Timing{Kind: timing.Kind, Count: timing.Count}
		for i := maxTimings; i < len(t.list); i++ {
			if p := &t.list[i]; p.Kind == timing.Kind {
				p.Count += timing.Count
				return
			}
		}
	}
	if len(t.list) < cap(t.list) { // Kinds are few enough.
		t.list = append(t.list, timing)
	}
}

// tell has the kernel show timings to programs on io_uring_submit_req: with an operation
// that does nothing. called: the kernel is called anyway; sleeps: and the loop may wait there
// until the next tick.
func (l *Loop) tell(called, sleeps bool) {
	t := &l.timings
	enough, longest := manyTimings, manyWait
	switch {
	case sleeps:
		enough = 1
	case called:
		enough, longest = someTimings, someWait
	}
	if len(t.list) == 0 || t.told > 0 || len(t.list) < enough && l.now-t.since < longest {
		return
	}
	sqe := l.kernel.ring.GetSQE()
	if sqe == nil {
		return
	}
	t.told = min(len(t.list), maxTimings)
	rec := l.records.at(timingRecord)
	rec.Older, rec.OlderCount = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(t.list)))), uint64(t.told)
	sqe.PrepareNop()
	sqe.OpcodeFlags = 0 // Those of what was there before; a nop has flags since Linux 6.10.
	sqe.Flags |= giouring.SqeCQESkipSuccess
	sqe.UserData = rec.begin(opTimings, 0)
}

// forget makes room of what the kernel has taken.
func (t *timings) forget(now instant) {
	t.list = t.list[:copy(t.list, t.list[t.told:])]
	t.told, t.since = 0, now
}
