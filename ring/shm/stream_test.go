//go:build linux

package shm

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
)

// streamBytes is what a stream has, less where every step is instrumented.
func streamBytes() int {
	if underRace {
		return 1 << 20
	}
	return 16 << 20
}

// together runs what belongs to the ends of rings at once, and ends all of it when a part
// fails, or takes for ever.
func together(t *testing.T, parts ...func(context.Context) error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() {
			if err := part(ctx); err != nil {
				t.Error(err)
				cancel()
			}
		})
	}
	all.Wait()
}

// TestStream: two goroutines, one at each end, neither of which ever waits; the bytes
// come out as they went in. On the heap the race detector sees each byte that the
// indexes do not order.
func TestStream(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		total := streamBytes()
		out, in := newPair(t, MinRingBytes).requests()
		startAt(out, in, -uint64(total/2)) // 2^64 in the midst of it
		together(t,
			func(ctx context.Context) error { return produce(out, total, spinning(ctx)) },
			func(ctx context.Context) error { return consume(in, total, spinning(ctx)) },
		)
	})
}

// TestBothWays: requests and replies have nothing to do with one another.
func TestBothWays(t *testing.T) {
	onBoth(t, func(t *testing.T, newPair func(testing.TB, int) pair) {
		total := streamBytes() / 4
		p := newPair(t, 2*MinRingBytes)
		together(t,
			func(ctx context.Context) error { return produce(&p.client.out, total, spinning(ctx)) },
			func(ctx context.Context) error { return consume(&p.daemon.in, total, spinning(ctx)) },
			func(ctx context.Context) error { return produce(&p.daemon.out, total, spinning(ctx)) },
			func(ctx context.Context) error { return consume(&p.client.in, total, spinning(ctx)) },
		)
	})
}

// spinning is how an end waits that has no bell.
func spinning(ctx context.Context) patient {
	return patient{
		wait: func() error { runtime.Gosched(); return ctx.Err() },
		ring: func() {},
	}
}

// patient is how an end waits for the other one, once it may, and wakes it.
type patient struct {
	wait func() error
	ring func()
}

// produce sends so many bytes, in chunks of all sizes, in place and not.
func produce(out *Producer, total int, p patient) error {
	var bytes, sizes source = 3, 4
	chunk := make([]byte, out.size)
	for sent := 0; sent < total; {
		n := 1 + int(sizes.next())%min(len(chunk), total-sent)
		if sizes.next()%2 == 0 {
			n = 1 + (n-1)%64
		}
		var err error
		if sizes.next()%2 == 0 {
			n, err = appendInPlace(out, n, &bytes, p)
		} else {
			err = writeAll(out, bytes.fill(chunk[:n]), p)
		}
		if err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// appendInPlace waits for room for n bytes, and fills it as far as it is contiguous.
func appendInPlace(out *Producer, n int, bytes *source, p patient) (int, error) {
	for {
		b, err := out.Reserve(n)
		if err != nil {
			return 0, err
		}
		if cap(b) < n && out.AwaitRoom(n) {
			if err := p.wait(); err != nil {
				return 0, err
			}
			continue
		}
		if cap(b) == 0 {
			continue // there is room by now
		}
		b = bytes.fill(b[:min(n, cap(b))])
		out.Commit(len(b))
		if out.MustRing() {
			p.ring()
		}
		return len(b), nil
	}
}

// writeAll writes all bytes, piece by piece.
func writeAll(out *Producer, rest []byte, p patient) error {
	for len(rest) > 0 {
		k, err := out.Write(rest)
		if err != nil {
			return err
		}
		if rest = rest[k:]; k > 0 && out.MustRing() {
			p.ring()
		}
		if len(rest) > 0 && out.AwaitRoom(1) {
			if err := p.wait(); err != nil {
				return err
			}
		}
	}
	return nil
}

var errOtherBytes = errors.New("other bytes came out")

// consume takes so many bytes, in place and not, and looks at them.
func consume(in *Consumer, total int, p patient) error {
	var bytes, sizes source = 3, 5
	chunk := make([]byte, 0, in.size)
	for got := 0; got < total; {
		var b []byte
		var err error
		inPlace := sizes.next()%2 == 0
		if inPlace {
			b, err = in.Peek()
			b = b[:min(len(b), 1+int(sizes.next()%256))]
		} else {
			b, err = in.CopyOut(chunk[:0:min(in.size, 1+sizes.next()%512)])
		}
		if err != nil {
			return err
		}
		if !bytes.match(b) {
			return errOtherBytes
		}
		if inPlace {
			in.Advance(len(b))
		}
		if got += len(b); len(b) > 0 && in.MustRing() {
			p.ring()
		}
		if len(b) == 0 && in.Sleep() {
			if err := p.wait(); err != nil {
				return err
			}
		}
	}
	return nil
}
