package netloop

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

func BenchmarkPingPong(b *testing.B) {
	for _, network := range networks {
		b.Run(network, func(b *testing.B) {
			s := &scripted{}
			nc := dial(b, network, serve(b, network, ring.Options{}, s))
			nc.SetDeadline(time.Time{})
			message := frame(make([]byte, 60))
			answer := make([]byte, len(message))
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				exchange(b, nc, message, answer)
			}
			reportCPU(b, before)
		})
	}
}

func exchange(b testing.TB, nc net.Conn, message, answer []byte) {
	if _, err := nc.Write(message); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(nc, answer); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPipelined counts one message as one operation.
func BenchmarkPipelined(b *testing.B) {
	const conns, depth = 16, 32
	for _, network := range networks {
		b.Run(network, func(b *testing.B) {
			s := &scripted{}
			address := serve(b, network, ring.Options{}, s)
			var all []net.Conn
			for range conns {
				nc := dial(b, network, address)
				nc.SetDeadline(time.Time{})
				all = append(all, nc)
			}
			messages := bytes.Repeat(frame(make([]byte, 60)), depth)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			var wg sync.WaitGroup
			for _, nc := range all {
				wg.Go(func() {
					answers := make([]byte, len(messages))
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
