//go:build linux

package shm

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// over is how an end waits with bells.
func over(ctx context.Context, own, other bell) patient {
	return patient{
		ring: other.ring,
		wait: func() error {
			select {
			case <-own:
				return nil
			case <-ctx.Done():
				return fmt.Errorf("the bell does not ring: %w", ctx.Err())
			}
		},
	}
}

// wakeups is how often a test sleeps and wakes, or so.
func wakeups() int {
	if underRace {
		return 20_000
	}
	return 200_000
}

// TestPublish: of two sides that publish and then look, at least one sees the other. The
// race detector breaks that for plain stores to mapped memory.
func TestPublish(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		const rounds = 20_000
		p := newPair(t, MinRingBytes)
		words := [2]*atomic.Uint64{p.daemon.in.tail, p.daemon.in.sleeps}
		var saw [2][rounds]bool
		var turn [2]struct {
			atomic.Uint64
			_ [apart]byte
		}
		var both sync.WaitGroup
		for own := range 2 {
			both.Go(func() {
				for i := range uint64(rounds) {
					turn[own].Store(i + 1)
					for spins := 0; turn[1-own].Load() <= i; spins++ {
						if spins > 1000 {
							runtime.Gosched()
						}
					}
					publish(words[own], i+1)
					saw[own][i] = words[1-own].Load() > i
				}
			})
		}
		both.Wait()
		for i := range rounds {
			if !saw[0][i] && !saw[1][i] {
				t.Fatalf("in round %d neither side saw the other", i)
			}
		}
	})
}

// TestNoWakeUpIsLost: in a small ring both ends wait all the time, and each wait ends.
func TestNoWakeUpIsLost(t *testing.T) {
	test := func(out *Producer, in *Consumer, total int) {
		room, bytes := newBell(), newBell()
		together(t,
			func(ctx context.Context) error { return produce(out, total, over(ctx, room, bytes)) },
			func(ctx context.Context) error { return consume(in, total, over(ctx, bytes, room)) },
		)
	}
	for _, n := range []int{8, 64} {
		out, in := newOnHeap(t, n).requests()
		test(out, in, wakeups()*n/4)
	}
	out, in := newMapped(t, MinRingBytes).replies()
	test(out, in, wakeups()*512)
}

// TestPingPong: both sides sleep until the other has spoken.
func TestPingPong(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		p := newPair(t, MinRingBytes)
		there, back := newBell(), newBell()
		together(t,
			func(ctx context.Context) error { return echo(p.daemon, wakeups(), over(ctx, there, back)) },
			func(ctx context.Context) error { return ask(p.client, wakeups(), over(ctx, back, there)) },
		)
	})
}

// TestFullAndEmpty: one side fills the ring and waits for room, the other takes all of it
// and sleeps, after hesitating for as long as brings them near to one another. A single
// bell that is missed stops both.
func TestFullAndEmpty(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		out, in := newPair(t, MinRingBytes).requests()
		room, bytes := newBell(), newBell()
		together(t,
			func(ctx context.Context) error { return fill(out, wakeups(), over(ctx, room, bytes)) },
			func(ctx context.Context) error { return empty(in, wakeups(), over(ctx, bytes, room)) },
		)
	})
}

// fill fills a ring so many times.
func fill(out *Producer, times int, p patient) error {
	jitter, all := source(11), make([]byte, out.size)
	for range times {
		if err := writeAll(out, all, p); err != nil {
			return err
		}
		hesitate(&jitter)
		for out.AwaitRoom(len(all)) {
			if err := p.wait(); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty empties a full ring so many times.
func empty(in *Consumer, times int, p patient) error {
	jitter, all := source(12), make([]byte, 0, in.size)
	for range times {
		hesitate(&jitter)
		if _, err := readFull(in, all, p); err != nil {
			return err
		}
	}
	return nil
}

// hesitate takes some time, or none.
func hesitate(jitter *source) {
	for range jitter.next() % 256 {
		runtime.KeepAlive(jitter)
	}
}

// ask sends so many messages, and expects each of them back before the next.
func ask(s *Segment, times int, p patient) error {
	in, out := s.Ends()
	message, got := make([]byte, 64), make([]byte, 0, 64)
	var sent, seen source
	for range times {
		if err := writeAll(out, sent.fill(message), p); err != nil {
			return err
		}
		var err error
		if got, err = readFull(in, got[:0], p); err != nil {
			return err
		}
		if !seen.match(got) {
			return errOtherBytes
		}
	}
	return nil
}

// echo sends back so many messages.
func echo(s *Segment, times int, p patient) error {
	in, out := s.Ends()
	message := make([]byte, 0, 64)
	for range times {
		var err error
		if message, err = readFull(in, message[:0], p); err != nil {
			return err
		}
		if err := writeAll(out, message, p); err != nil {
			return err
		}
	}
	return nil
}

// readFull fills into up to its capacity.
func readFull(in *Consumer, into []byte, p patient) ([]byte, error) {
	for {
		had := len(into)
		var err error
		if into, err = in.CopyOut(into); err != nil {
			return into, err
		}
		if len(into) > had && in.MustRing() {
			p.ring()
		}
		if len(into) == cap(into) {
			return into, nil
		}
		if in.Sleep() {
			if err := p.wait(); err != nil {
				return into, err
			}
		}
	}
}

// TestOneBellForOneSleep: and none for who is awake.
func TestOneBellForOneSleep(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		out, in := newPair(t, MinRingBytes).requests()
		write := func(n int) {
			t.Helper()
			if k, err := out.Write(make([]byte, n)); k != n || err != nil {
				t.Fatalf("wrote %d of %d: %v", k, n, err)
			}
		}
		is := func(what string, got, want bool) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %v", what, got)
			}
		}
		write(1)
		is("a bell for who is awake", out.MustRing(), false)
		is("sleep over what is new", in.Sleep(), false)
		is("a bell for who did not sleep", out.MustRing(), false)
		b, err := in.Peek()
		if len(b) != 1 || err != nil {
			t.Fatal(len(b), err)
		}
		is("sleep until more has come", in.Sleep(), true)
		write(1)
		is("a bell for who sleeps", out.MustRing(), true)
		is("a second bell", out.MustRing(), false)
		is("sleep over what has come", in.Sleep(), false)
		if b, err = in.CopyOut(make([]byte, 0, 1)); len(b) != 1 || err != nil {
			t.Fatal(len(b), err)
		}
		is("sleep over what was not taken", in.Sleep(), false)
		if b, err = in.CopyOut(make([]byte, 0, 8)); len(b) != 1 || err != nil {
			t.Fatal(len(b), err)
		}
		is("sleep", in.Sleep(), true)
		in.Awake()
		write(MinRingBytes)
		is("a bell for who has awoken", out.MustRing(), false)

		is("a bell for who does not wait", in.MustRing(), false)
		is("wait for room", out.AwaitRoom(2), true)
		if _, err = in.Peek(); err != nil {
			t.Fatal(err)
		}
		in.Advance(1)
		is("a bell for who waits", in.MustRing(), true)
		is("a second bell", in.MustRing(), false)
		is("wait for more room", out.AwaitRoom(2), true)
		in.Advance(1)
		is("a bell for who waits still", in.MustRing(), true)
		is("wait for room that is there", out.AwaitRoom(2), false)
		is("a bell for who did not wait", in.MustRing(), false)
		is("wait for all", out.AwaitRoom(MinRingBytes), true)
		out.StopWaiting()
		in.Advance(1)
		is("a bell for who has stopped waiting", in.MustRing(), false)
	})
}
