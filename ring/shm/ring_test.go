//go:build linux

package shm

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// TestWrapAtEveryOffset: wherever a stretch begins, it is one stretch in place, to write
// and to read, and of any length.
func TestWrapAtEveryOffset(t *testing.T) {
	const n = MinRingBytes
	out, in := newMapped(t, n).requests()
	sent, got := make([]byte, n), make([]byte, 0, n)
	var put, seen source = 1, 1
	for at := uint64(0); at < n; at++ {
		lengths := []int{1, 7, n - 1, n}
		if at%16 == 1 || at > n-16 {
			lengths = append(lengths, int(at), int(n-at), int(n-at)+1)
		}
		for i, k := range lengths {
			startAt(out, in, at-n*(at%2)) // before 2^64 too
			if i%2 == 0 {
				if k, err := out.Write(put.fill(sent[:k])); k != len(sent[:k]) || err != nil {
					t.Fatalf("%d bytes at %d: wrote %d, %v", k, at, k, err)
				}
			} else {
				b, err := out.Reserve(k)
				if len(b) != 0 || cap(b) != n || err != nil {
					t.Fatalf("at %d there is room for %d bytes, %v", at, cap(b), err)
				}
				put.fill(b[:k])
				out.Commit(k)
			}
			b, err := in.Peek()
			if len(b) != k || cap(b) != k || err != nil {
				t.Fatalf("%d bytes at %d: see %d of %d, %v", k, at, len(b), cap(b), err)
			}
			if i == 0 {
				if b, err = in.CopyOut(got); err != nil {
					t.Fatal(err)
				}
			} else {
				in.Advance(k)
			}
			if !seen.match(b) {
				t.Fatalf("%d bytes at %d: others came out", k, at)
			}
		}
	}
}

// TestSmallRings: all states of a small ring, wherever it begins, with all steps from them.
func TestSmallRings(t *testing.T) {
	for _, n := range []int{8, 16} {
		out, in := newOnHeap(t, n).replies()
		block, into := make([]byte, 2*n+2), make([]byte, 0, n)
		var put source
		for i := range n * (n + 1) * (n + 2) * (n + 1) {
			take := i % (n + 1)
			more := i / (n + 1) % (n + 2)
			held := i / (n + 1) / (n + 2) % (n + 1)
			at := i / (n + 1) / (n + 2) / (n + 1)
			startAt(out, in, uint64(at)-uint64(n)/2)
			seen := put
			put.fill(block[:held+more])
			if k, err := out.Write(block[:held]); k != held || err != nil {
				t.Fatalf("wrote %d of %d: %v", k, held, err)
			}
			k, err := out.Write(block[held : held+more])
			if k != min(more, n-held) || err != nil {
				t.Fatalf("wrote %d of %d to a ring with %d of %d: %v", k, more, held, n, err)
			}
			b, err := in.CopyOut(into[:0:take])
			if len(b) != min(take, held+k) || !seen.match(b) || err != nil {
				t.Fatalf("took %d of %d, at most %d: %v", len(b), held+k, take, err)
			}
		}
	}
}

// TestReserveAndPeek: what is shown, what is published, and what is kept.
func TestReserveAndPeek(t *testing.T) {
	const n = MinRingBytes
	out, in := newMapped(t, n).replies()
	b, err := out.Reserve(5)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[:cap(b)], "hello, world")
	if got, err := in.Peek(); len(got) != 0 || err != nil {
		t.Fatalf("%q was not published, %v", got, err)
	}
	out.Commit(5) // what is behind is written again
	if b, err = out.Reserve(7); cap(b) != n-5 || err != nil {
		t.Fatalf("room for %d, %v", cap(b), err)
	}
	out.Commit(copy(b[:7], " there!"))
	got, err := in.Peek()
	if string(got) != "hello there!" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	in.Advance(6)
	for range 2 {
		if got, err = in.Peek(); string(got) != "there!" || err != nil {
			t.Fatalf("then %q, %v", got, err)
		}
	}
	if got, err = in.CopyOut(make([]byte, 0, 5)); string(got) != "there" || err != nil {
		t.Fatalf("took %q, %v", got, err)
	}
	if got, err = in.CopyOut(nil); got != nil || err != nil {
		t.Fatalf("took %q without capacity, %v", got, err)
	}
	if got, err = in.CopyOut(append(make([]byte, 0, 10), "over ther"...)); string(got) != "over ther!" || err != nil {
		t.Fatalf("took %q, %v", got, err)
	}
	// The producer has not looked since; that there is enough it knew.
	if b, err = out.Reserve(n - 12); cap(b) != n-12 || err != nil {
		t.Errorf("room for %d, %v", cap(b), err)
	}
	if b, err = out.Reserve(n - 11); cap(b) != n || err != nil {
		t.Errorf("room for %d, %v", cap(b), err)
	}
}

// TestTooLong: what a ring never has room for is refused, and goes piece by piece.
func TestTooLong(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		const n = MinRingBytes
		out, in := newPair(t, n).requests()
		startAt(out, in, 100)
		if _, err := out.Write([]byte("before")); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Reserve(n + 1); !errors.Is(err, ErrTooLong) {
			t.Errorf("reserved more than there is: %v", err)
		}
		if out.AwaitRoom(n+1) || out.waits.Load() != 0 {
			t.Error("waits for room that will never be")
		}
		long := new(source).fill(make([]byte, 3*n))
		var got []byte
		for rest := long; len(got) < len("before")+len(long); {
			k, err := out.Write(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
			b, err := in.CopyOut(make([]byte, 0, n))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, append([]byte("before"), long...)) {
			t.Error("other bytes came out")
		}
	})
}

// TestOwnMistakes: who publishes what was not reserved, or leaves what was not shown,
// has written or read elsewhere.
func TestOwnMistakes(t *testing.T) {
	out, in := newMapped(t, MinRingBytes).requests()
	if _, err := out.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"Commit of more than there is room", func() { out.Commit(MinRingBytes - 9) }},
		{"Commit of less than nothing", func() { out.Commit(-1) }},
		{"Advance over what was not shown", func() { in.Advance(1) }},
		{"Advance backwards", func() { in.Advance(-1) }},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s passes", c.what)
				}
			}()
			c.do()
		}()
	}
	if b, err := in.Peek(); len(b) != 10 || err != nil {
		t.Errorf("the ring has changed: %d bytes, %v", len(b), err)
	}
}

// TestGarbageFree: no step leaves anything for the collector.
func TestGarbageFree(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		p := newPair(t, MinRingBytes)
		out, in := p.requests()
		message, into := make([]byte, 300), make([]byte, 0, MinRingBytes)
		fail := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		step := func() {
			b, err := out.Reserve(1)
			fail(err)
			out.Commit(copy(b[:cap(b)], message[:100]))
			_, err = out.Write(message)
			fail(err)
			out.MustRing()
			out.AwaitRoom(MinRingBytes)
			out.StopWaiting()
			b, err = in.Peek()
			fail(err)
			in.Advance(len(b) / 2)
			_, err = in.CopyOut(into)
			fail(err)
			in.MustRing()
			in.Sleep()
			in.Awake()
			p.daemon.SetFlags(p.client.Flags() + 1)
		}
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestClosed: the ends of a closed segment say so, and touch nothing.
func TestClosed(t *testing.T) {
	p := newMapped(t, MinRingBytes)
	in, out := p.client.Ends()
	if _, err := out.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for what, f := range map[string]func() error{
		"Reserve": func() error { _, err := out.Reserve(0); return err },
		"Write":   func() error { _, err := out.Write([]byte("x")); return err },
		"Peek":    func() error { _, err := in.Peek(); return err },
		"CopyOut": func() error { _, err := in.CopyOut(make([]byte, 0, 8)); return err },
	} {
		if err := f(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if out.MustRing() || in.MustRing() || in.Sleep() || out.AwaitRoom(1) {
		t.Error("there is something to wait for")
	}
	in.Awake()
	out.StopWaiting()
	if f := p.client.Flags(); f != 0 {
		t.Errorf("flags %d", f)
	}
	if b, err := p.daemon.in.Peek(); string(b) != "before" || err != nil {
		t.Errorf("the other side has %q, %v", b, err)
	}
}

func ExampleSegment() {
	daemon, err := Create(64 << 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer daemon.Close()
	client, err := Attach(daemon.FD()) // in another process
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	daemon.CloseFD()

	_, requests := client.Ends()
	frame, err := requests.Reserve(5)
	if err != nil || cap(frame) < 5 {
		fmt.Println("no room:", err)
		return
	}
	frame = append(frame, "hello"...)
	requests.Commit(len(frame))
	fmt.Println("ring the daemon's bell:", requests.MustRing())

	in, _ := daemon.Ends()
	private, err := in.CopyOut(make([]byte, 0, 1024))
	fmt.Printf("%s %v\n", private, err)
	// Output:
	// ring the daemon's bell: false
	// hello <nil>
}
