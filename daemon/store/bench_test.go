package store

import (
	"fmt"
	"testing"

	"causalmesh/causal"
	"causalmesh/daemon/store/redistest"
)

// The benchmarks keep as many requests under way as the workers can carry. One
// operation is one request; batch=1 is what pipelining saves.

const benchKeys = 1000

func BenchmarkFlush(b *testing.B) {
	benchmark(b, func(f *fixture, n int, value string) Results {
		return f.store.Submit(nil, []causal.FlushRequest{{Version: version(benchKey(n), value, benchKeys+n)}})
	})
}

func BenchmarkLoad(b *testing.B) {
	benchmark(b, func(f *fixture, n int, _ string) Results {
		return f.store.Submit([]causal.LoadRequest{{ID: causal.LoadID(n), Key: []byte(benchKey(n))}}, nil)
	})
}

func benchKey(n int) string { return fmt.Sprintf("k%d", n%benchKeys) }

func benchmark(b *testing.B, submit func(f *fixture, n int, value string) Results) {
	server := redistest.Start(b, "--appendonly", "no")
	for _, size := range []int{8, 4096} {
		value := string(make([]byte, size))
		for _, batch := range []int{1, DefaultConfig.BatchRequests} {
			b.Run(fmt.Sprintf("bytes=%d/batch=%d", size, batch), func(b *testing.B) {
				f := newFixture(b, server, func(c *Config) { c.BatchRequests = batch })
				f.do("FLUSHALL")
				for n := range benchKeys {
					f.mustFlush(version(benchKey(n), value, n))
				}
				trips := f.store.Stats().RoundTrips
				room := batch * DefaultConfig.Workers
				settle := func() {
					r := f.await()
					room += len(r.Loads) + len(r.Flushes)
				}
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					for room == 0 {
						settle()
					}
					room--
					if refused := submit(f, n, value); len(refused.Loads)+len(refused.Flushes) > 0 {
						b.Fatal("refused")
					}
				}
				for room < batch*DefaultConfig.Workers {
					settle()
				}
				if s := f.store.Stats(); s.LoadErrors+s.FlushErrors+s.Superseded+s.Foreign > 0 {
					b.Fatalf("%+v", s)
				} else {
					b.ReportMetric(float64(b.N)/float64(s.RoundTrips-trips), "requests/trip")
				}
			})
		}
	}
}
