//go:build linux

package shm

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// between says whether Since lies between two looks at the clock.
func between(t *testing.T, in *Consumer, from, to uint64) {
	t.Helper()
	if at := in.Since(); at < from || at > to {
		t.Errorf("published at %d, want from %d to %d", at, from, to)
	}
}

// What was published first since the ring was emptied says since when there is something.
func TestSince(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		p := newPair(t, 4*MinRingBytes) // so that it does not come round
		out, in := p.requests()
		into := make([]byte, 0, 100)
		publish := func(n int) (from, to uint64) {
			from = Now()
			if n%2 == 0 {
				room, err := out.Reserve(n)
				if err != nil {
					t.Fatal(err)
				}
				out.Commit(len(room[:n]))
			} else if k, err := out.Write(make([]byte, n)); k != n || err != nil {
				t.Fatal(k, err)
			}
			return from, Now()
		}
		take := func(n int) {
			if b, err := in.CopyOut(into[:0:n]); len(b) != n || err != nil {
				t.Fatal(len(b), n, err)
			}
		}
		publish(10)
		between(t, in, 0, 0) // nobody has asked for it
		take(10)
		if *p.daemon.in.stamps != (stamps{}) {
			t.Error("stamps without the flag")
		}
		p.daemon.SetFlags(FlagStamp)
		for round := range uint64(3 * stampCount) { // also where stamps are used again
			from, to := publish(10)
			publish(21)
			between(t, in, from, to)
			between(t, in, from, to)
			take(15) // in the middle of the second
			between(t, in, from, to)
			take(16)
			from, to = publish(7 + int(round%2))
			between(t, in, from, to)
			take(7 + int(round%2))
			between(t, in, 0, 0)
			publish(9) // what nobody asks about is passed over
			take(9)
		}
	})
}

// Stamps that were not used up are not written over: what waits longest says since when.
func TestMoreRequestsThanStamps(t *testing.T) {
	p := newMapped(t, MinRingBytes)
	p.daemon.SetFlags(FlagStamp)
	out, in := p.requests()
	into := make([]byte, 0, MinRingBytes)
	for range 3 {
		from := Now()
		var to uint64
		for i := range stampCount + 10 {
			if _, err := out.Write(make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				to = Now()
			}
		}
		for range stampCount + 10 - 1 { // Those without one wait as long as the others, for all we know.
			if in.Since() < from {
				t.Fatal("a request's time is lost")
			}
			if _, err := in.CopyOut(into[:0:4]); err != nil {
				t.Fatal(err)
			}
		}
		if at := in.Since(); at < from || at > Now() || at < to {
			t.Errorf("the last one was published at %d, want after %d", at, to)
		}
		if _, err := in.CopyOut(into); err != nil {
			t.Fatal(err)
		}
	}
}

// However publishing and taking meet, what is taken has a time, and its own.
func TestSinceWhileBothRun(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		const (
			messages = 20_000
			bytes    = 8
			ahead    = stampCount / 2
		)
		p := newPair(t, MinRingBytes)
		p.daemon.SetFlags(FlagStamp)
		out, in := p.requests()
		var taken atomic.Int64
		var both sync.WaitGroup
		defer both.Wait()
		both.Go(func() {
			for i := range int64(messages) {
				for i-taken.Load() >= ahead && !t.Failed() {
					runtime.Gosched()
				}
				if _, err := out.Write(binary.LittleEndian.AppendUint64(nil, Now())); err != nil {
					t.Error(err)
					return
				}
			}
		})
		into := make([]byte, 0, MinRingBytes)
		for n := 0; n < messages && !t.Failed(); {
			if !in.Ready() {
				runtime.Gosched()
				continue
			}
			since := in.Since()
			b, err := in.CopyOut(into)
			if err != nil || len(b) == 0 || len(b)%bytes != 0 {
				t.Error(len(b), err)
			}
			if first := binary.LittleEndian.Uint64(b); since < first || since > Now() {
				t.Errorf("published at %d, but begun at %d", since, first)
			}
			n += len(b) / bytes
			taken.Store(int64(n))
		}
	})
}

// The other side may say anything.
func TestHostileStamps(t *testing.T) {
	p := newMapped(t, MinRingBytes)
	out, in := p.requests()
	for _, position := range []uint64{0, 1, 1 << 63, 1<<64 - 1} {
		for i := range p.client.out.stamps {
			p.client.out.stamps[i].position.Store(position)
			p.client.out.stamps[i].at.Store(1<<64 - 1)
		}
		if at := in.Since(); at != 0 && (position != 0 || at != 1<<64-1) {
			t.Errorf("since %d for position %d", at, position)
		}
	}
	p.daemon.SetFlags(FlagStamp)
	for range 2 * stampCount { // what was written there hurts the client's own figures only
		if _, err := out.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if in.Since(); !in.Ready() {
			t.Fatal("nothing is there")
		}
		if _, err := in.CopyOut(make([]byte, 0, 8)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStampsOfAClosedSegment(t *testing.T) {
	p := newMapped(t, MinRingBytes)
	p.daemon.SetFlags(FlagStamp)
	out, in := p.requests()
	if err := p.client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte{1}); err == nil {
		t.Error("written")
	}
	if err := p.daemon.Close(); err != nil {
		t.Fatal(err)
	}
	if at := in.Since(); at != 0 {
		t.Error(at)
	}
}
