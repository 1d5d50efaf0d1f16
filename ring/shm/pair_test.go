//go:build linux

package shm

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = time.Minute

// pair is the two sides of one segment, in one process.
type pair struct{ daemon, client *Segment }

// newMapped is a segment as it is, mapped for each side.
func newMapped(t testing.TB, ringBytes int) pair {
	t.Helper()
	daemon, err := Create(ringBytes)
	if err != nil {
		t.Fatal(err)
	}
	client, err := Attach(daemon.FD())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if err := daemon.Close(); err != nil {
			t.Error(err)
		}
	})
	return pair{daemon, client}
}

// newOnHeap is the same over memory of the Go heap, which the race detector sees. It
// cannot be mapped twice: Reserve and Peek end where the ring comes round. Rings
// can be smaller than pages.
func newOnHeap(_ testing.TB, ringBytes int) pair {
	words := make([]uint64, (headerWords+2*ringBytes)/wordBytes)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*wordBytes)
	m := memory{
		header:   unsafe.Pointer(&words[0]),
		requests: b[headerWords : headerWords+ringBytes : headerWords+ringBytes],
		replies:  b[headerWords+ringBytes:],
	}
	m.format(ringBytes)
	return pair{newDaemon(m, ringBytes, -1), newClient(m, ringBytes)}
}

// onBoth runs a test over mapped memory and over its twin.
func onBoth(t *testing.T, test func(t *testing.T, newPair func(testing.TB, int) pair)) {
	t.Run("mapped", func(t *testing.T) { test(t, newMapped) })
	t.Run("heap", func(t *testing.T) { test(t, newOnHeap) })
}

// requests are the two ends of one of the rings, replies those of the other one.
func (p pair) requests() (*Producer, *Consumer) { return &p.client.out, &p.daemon.in }
func (p pair) replies() (*Producer, *Consumer)  { return &p.daemon.out, &p.client.in }

// startAt makes an empty ring out of one in whatever state, whose indexes begin at at.
func startAt(out *Producer, in *Consumer, at uint64) {
	for _, w := range []*atomic.Uint64{out.tail, out.head} {
		w.Store(at)
	}
	for _, w := range []*atomic.Uint64{out.waits, out.sleeps} {
		w.Store(0)
	}
	out.end, out.vacant, out.err = at, at, nil
	in.begin, in.shown, in.ready, in.err = at, at, at, nil
}

// source is a stream of bytes that is the same each time, however it is cut.
type source uint64

func (s *source) next() uint64 {
	*s = *s*6364136223846793005 + 1442695040888963407
	return uint64(*s >> 33)
}

func (s *source) fill(b []byte) []byte {
	for i := range b {
		b[i] = byte(s.next())
	}
	return b
}

// match says whether these are the next bytes of the stream.
func (s *source) match(b []byte) bool {
	for _, c := range b {
		if c != byte(s.next()) {
			return false
		}
	}
	return true
}

// bell is what one side waits for and the other rings.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default: // it rings already
	}
}
