//go:build linux

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// headerOffs are all words of the header that have a meaning.
func headerOffs() []uintptr {
	offs := []uintptr{offMagic, offVersion, offRingBytes, offFlags}
	for _, r := range []uintptr{offRequests, offReplies} {
		offs = append(offs, r+offTail, r+offWaits, r+offHead, r+offSleeps)
	}
	for i := range uintptr(2 * stampCount) {
		offs = append(offs, offStamps+i*wordBytes)
	}
	return offs
}

// victim is a side that goes on whatever it meets, and looks after itself.
type victim struct {
	*Segment
	private []byte
	good    int // steps in which bytes were moved
	corrupt int
}

func newVictim(s *Segment) *victim {
	return &victim{Segment: s, private: make([]byte, 0, s.ringBytes/2)}
}

// step makes one step of an end, how being which and how far.
func (v *victim) step(how uint64) error {
	in, out := v.Ends()
	how, n := how%8, int(how/8%uint64(v.ringBytes))
	var b []byte
	var err error
	switch how {
	case 0:
		if b, err = out.Reserve(n); err == nil {
			k := min(n, cap(b))
			clear(b[:k])
			out.Commit(k)
		}
	case 1:
		_, err = out.Write(make([]byte, n))
	case 2:
		if b, err = in.Peek(); err == nil {
			in.Advance(min(n, len(b)))
		}
	case 3, 4:
		b, err = in.CopyOut(v.private)
	case 5:
		if in.Sleep() && in.err != nil {
			return errors.New("sleeps on a corrupt ring")
		}
		in.Awake()
	case 6:
		if out.AwaitRoom(n) && out.err != nil {
			return errors.New("waits on a corrupt ring")
		}
		out.StopWaiting()
	case 7:
		in.MustRing()
		out.MustRing()
		in.Since()
	}
	if cap(b) > max(v.ringBytes, cap(v.private)) {
		return fmt.Errorf("%d bytes of a ring of %d", cap(b), v.ringBytes)
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	if err == nil && cap(b) > 0 {
		v.good++
	}
	return v.hold(err)
}

// hold says whether what an end goes by still holds, and mends corrupt ones.
func (v *victim) hold(err error) error {
	in, out := v.Ends()
	if in.shown-in.begin > in.ready-in.begin || in.ready-in.begin > in.size || out.end-out.vacant > out.size {
		return fmt.Errorf("believes head %d, shown %d, tail %d; tail %d, head %d",
			in.begin, in.shown, in.ready, out.end, out.vacant)
	}
	if err == nil {
		return nil
	}
	v.corrupt++
	if in.err != nil {
		in.begin, in.shown, in.err = in.ready, in.ready, nil
	}
	if out.err != nil {
		out.vacant, out.err = out.end, nil
	}
	return nil
}

// spoil writes something to a word, mostly something near to what stands there.
func spoil(w *atomic.Uint64, rng *source, ringBytes int) {
	switch old := w.Load(); rng.next() % 8 {
	case 0:
		w.Store(rng.next()<<33 ^ rng.next())
	case 1:
		w.Store(old ^ 1<<(rng.next()%64))
	case 2:
		w.Store(^uint64(0) >> (rng.next() % 64))
	case 3:
		w.Store(old - 1)
	case 4:
		w.Store(old + uint64(ringBytes))
	default:
		w.Store(old + rng.next()%uint64(ringBytes))
	}
}

// TestHostilePeer: whatever stands in the header, either side gets bytes or ErrCorrupt.
func TestHostilePeer(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		p := newPair(t, MinRingBytes)
		rng := source(8)
		for _, s := range []*Segment{p.daemon, p.client} {
			v := newVictim(s)
			for i := range 20_000 {
				if i%2 == 0 {
					offs := headerOffs()
					spoil(s.memory.word(offs[rng.next()%uint64(len(offs))]), &rng, s.ringBytes)
				}
				if err := v.step(rng.next()); err != nil {
					t.Fatal(err)
				}
			}
			if v.good == 0 || v.corrupt == 0 {
				t.Errorf("%d steps moved bytes, %d were refused: the test shows nothing", v.good, v.corrupt)
			}
		}
	})
}

// TestHostilePeerAtOnce: the same while the words change all the time, the bytes too
// where that is no race of the test's own.
func TestHostilePeerAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		p := newPair(t, MinRingBytes)
		var done atomic.Bool
		var spoiled atomic.Uint64
		var hostile sync.WaitGroup
		hostile.Go(func() {
			rng := source(9)
			for !done.Load() {
				off := uintptr(rng.next()) % headerWords &^ (wordBytes - 1)
				if rng.next()%2 == 0 {
					offs := headerOffs()
					off = offs[rng.next()%uint64(len(offs))]
				}
				spoil(p.client.memory.word(off), &rng, p.client.ringBytes)
				spoiled.Add(1)
				if p.client.memory.mapped != nil {
					rng.fill(p.client.memory.requests[rng.next()%MinRingBytes:][:64])
				}
			}
		})
		v, rng := newVictim(p.daemon), source(10)
		deadline := time.Now().Add(patience)
		for i := 0; i < 100_000 || spoiled.Load() < 10_000 || v.good == 0 || v.corrupt == 0; i++ {
			if err := v.step(rng.next()); err != nil {
				t.Error(err)
				break
			}
			if i%1000 == 0 && time.Now().After(deadline) {
				t.Errorf("%d words spoiled, %d steps moved bytes, %d were refused: the test shows nothing",
					spoiled.Load(), v.good, v.corrupt)
				break
			}
			if i >= 100_000 {
				runtime.Gosched()
			}
		}
		done.Store(true)
		hostile.Wait()
	})
}

// TestCorruptStays: an index that cannot be is never forgotten, though it be mended, and
// what was shown before can still be left.
func TestCorruptStays(t *testing.T) {
	const n, at = MinRingBytes, 10_000
	for _, start := range []uint64{0, 1<<64 - at} {
		for _, bad := range []uint64{at - 1, at - n, at + n + 1, at + 1<<40, at + 1<<63, 1 << 20} {
			out, in := newMapped(t, n).requests()
			startAt(out, in, start+at)
			if k, err := out.Write(make([]byte, 100)); k != 100 || err != nil {
				t.Fatal(k, err)
			}
			b, err := in.Peek()
			if len(b) != 100 || err != nil {
				t.Fatal(len(b), err)
			}
			in.tail.Store(start + bad)
			for range 2 {
				if in.Sleep() || in.sleeps.Load() != 0 {
					t.Errorf("tail %d: sleeps", bad)
				}
				if b, err := in.Peek(); b != nil || !errors.Is(err, ErrCorrupt) {
					t.Errorf("tail %d: %d bytes, %v", bad, len(b), err)
				}
				if b, err := in.CopyOut(make([]byte, 1, 9)); len(b) != 1 || !errors.Is(err, ErrCorrupt) {
					t.Errorf("tail %d: %d bytes, %v", bad, len(b), err)
				}
				in.tail.Store(start + at + 100)
			}
			in.Advance(100)

			out.head.Store(start + bad)
			for range 2 {
				if out.AwaitRoom(n) || out.waits.Load() != 0 {
					t.Errorf("head %d: waits", bad)
				}
				if b, err := out.Reserve(n); b != nil || !errors.Is(err, ErrCorrupt) {
					t.Errorf("head %d: room for %d, %v", bad, cap(b), err)
				}
				if k, err := out.Write(make([]byte, 1)); k != 0 || !errors.Is(err, ErrCorrupt) {
					t.Errorf("head %d: wrote %d, %v", bad, k, err)
				}
				out.head.Store(start + at + 100)
			}
			out.Commit(1)
		}
	}
}

// TestBackIsCorrupt: an index that was further once does not go back, to where it could be.
func TestBackIsCorrupt(t *testing.T) {
	out, in := newMapped(t, MinRingBytes).replies()
	if _, err := out.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if b, err := in.CopyOut(make([]byte, 0, 50)); len(b) != 50 || err != nil {
		t.Fatal(len(b), err)
	}
	in.tail.Store(99)
	if _, err := in.Peek(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("tail goes back: %v", err)
	}
	if b, err := out.Reserve(MinRingBytes); cap(b) != MinRingBytes-50 || err != nil {
		t.Fatal(cap(b), err)
	}
	out.head.Store(49)
	if _, err := out.Reserve(MinRingBytes); !errors.Is(err, ErrCorrupt) {
		t.Errorf("head goes back: %v", err)
	}
}

// FuzzHostile spoils words of the fuzzer's choice between steps of its choice.
func FuzzHostile(f *testing.F) {
	le := binary.LittleEndian
	for _, w := range []uint64{0, 1, 99, MinRingBytes, MinRingBytes + 1, 1 << 63, ^uint64(0)} {
		for off := range byte(len(headerOffs())) {
			f.Add(le.AppendUint64([]byte{1, 100, 0, 255, off}, w))
			f.Add(append(le.AppendUint64([]byte{255, off}, w), 3, 0, 2, 9, 0, 1, 6, 255, 5, 1))
		}
	}
	mapped := newMapped(f, MinRingBytes)
	f.Fuzz(func(t *testing.T, script []byte) {
		for _, p := range []pair{newOnHeap(t, 64), mapped} {
			for _, s := range []*Segment{p.daemon, p.client} {
				for _, ends := range []func() (*Producer, *Consumer){p.requests, p.replies} {
					out, in := ends()
					startAt(out, in, 0)
				}
				run(t, newVictim(s), script)
			}
		}
	})
}

// run does what a script says: steps of three bytes, and words of ten.
func run(t *testing.T, v *victim, script []byte) {
	offs := headerOffs()
	for len(script) >= 3 {
		if script[0] < 128 {
			how := uint64(script[0]%8) + 8*uint64(binary.LittleEndian.Uint16(script[1:]))
			if err := v.step(how); err != nil {
				t.Fatal(err)
			}
			script = script[3:]
			continue
		}
		if len(script) < 10 {
			return
		}
		w := v.memory.word(offs[int(script[1])%len(offs)])
		w.Store(binary.LittleEndian.Uint64(script[2:]))
		script = script[10:]
	}
}
