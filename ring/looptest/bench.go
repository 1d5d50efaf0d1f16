package looptest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"causalmesh/ring"
)

// cpuTime is what this process has used, client and server together.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, before time.Duration) {
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

func exchange(t testing.TB, nc net.Conn, message, answer []byte) {
	if _, err := nc.Write(message); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, answer); err != nil {
		t.Fatal(err)
	}
}

// PingPong counts a small message and its echo as one operation.
func PingPong(b *testing.B, make func(ring.Options) ring.Loop) {
	x := suite{make}
	for _, network := range Networks {
		b.Run(network, func(b *testing.B) {
			nc := Dial(b, network, x.serve(b, network, ring.Options{}, &Handler{}))
			nc.SetDeadline(time.Time{})
			message := Frame(bytes.Repeat([]byte("x"), 60))
			answer := bytes.Clone(message)
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				exchange(b, nc, message, answer)
			}
			reportCPU(b, before)
		})
	}
}

// Pipelined counts one message as one operation.
func Pipelined(b *testing.B, make func(ring.Options) ring.Loop) {
	const conns, depth = 16, 32
	x := suite{make}
	for _, network := range Networks {
		b.Run(network, func(b *testing.B) {
			address := x.serve(b, network, ring.Options{}, &Handler{})
			var all []net.Conn
			for range conns {
				nc := Dial(b, network, address)
				nc.SetDeadline(time.Time{})
				all = append(all, nc)
			}
			messages := bytes.Repeat(Frame(bytes.Repeat([]byte("x"), 60)), depth)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			var wg sync.WaitGroup
			for _, nc := range all {
				wg.Go(func() {
					answers := bytes.Clone(messages)
					for range b.N/(conns*depth) + 1 {
						exchange(b, nc, messages, answers)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			reportCPU(b, before)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
