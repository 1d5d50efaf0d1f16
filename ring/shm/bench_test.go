//go:build linux

package shm

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// BenchmarkIdle is what a poll of a ring costs in which there is nothing, for a loop that
// polls many.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("rings=%d", n), func(b *testing.B) {
			ends := make([]*Consumer, n)
			for i := range ends {
				ends[i], _ = newMapped(b, MinRingBytes).daemon.Ends()
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if got, err := ends[i%n].Peek(); len(got) != 0 || err != nil {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// BenchmarkOneSide is what the steps themselves cost: a message goes in and comes out again
// in one goroutine.
func BenchmarkOneSide(b *testing.B) {
	for _, n := range []int{64, 1024, 16 << 10} {
		message, into := make([]byte, n), make([]byte, 0, n)
		for _, name := range []string{"Write+CopyOut", "stamped"} {
			b.Run(fmt.Sprintf("%s/bytes=%d", name, n), func(b *testing.B) {
				p := newMapped(b, 64<<10)
				if name == "stamped" {
					p.daemon.SetFlags(FlagStamp)
				}
				out, in := p.requests()
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if k, err := out.Write(message); k != n || err != nil {
						b.Fatal(k, err)
					}
					if name == "stamped" && in.Since() == 0 {
						b.Fatal("no time")
					}
					if got, err := in.CopyOut(into); len(got) != n || err != nil {
						b.Fatal(len(got), err)
					}
					if out.MustRing() || in.MustRing() {
						b.Fatal("nobody waits")
					}
				}
			})
		}
		b.Run(fmt.Sprintf("Reserve+Peek/bytes=%d", n), func(b *testing.B) {
			out, in := newMapped(b, 64<<10).requests()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				room, err := out.Reserve(n)
				if cap(room) < n || err != nil {
					b.Fatal(cap(room), err)
				}
				out.Commit(len(append(room, message...)))
				got, err := in.Peek()
				if len(got) != n || err != nil {
					b.Fatal(len(got), err)
				}
				in.Advance(n)
			}
		})
	}
}

// BenchmarkPingPong is there and back for 64 bytes, both sides spinning on threads of
// their own: it wants two processors for itself.
func BenchmarkPingPong(b *testing.B) {
	const n = 64
	p := newMapped(b, 64<<10)
	var both sync.WaitGroup
	defer both.Wait()
	stop := make(chan struct{})
	defer close(stop)
	both.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		in, out := p.daemon.Ends()
		private := make([]byte, 0, n)
		for spins := 0; ; spins++ {
			got, err := in.CopyOut(private)
			if err != nil {
				b.Error(err)
				return
			}
			if len(got) > 0 {
				if _, err := out.Write(got); err != nil {
					b.Error(err)
				}
				out.MustRing()
				continue
			}
			if spins%1024 == 0 {
				select {
				case <-stop:
					return
				default:
				}
			}
		}
	})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	in, out := p.client.Ends()
	message := make([]byte, n)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := out.Write(message); err != nil {
			b.Fatal(err)
		}
		out.MustRing()
		for got := 0; got < n; {
			bytes, err := in.Peek()
			if err != nil {
				b.Fatal(err)
			}
			got += len(bytes)
			in.Advance(len(bytes))
		}
	}
}
