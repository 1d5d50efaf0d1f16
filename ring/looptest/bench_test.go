package looptest_test

import (
	"testing"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
	"causalmesh/ring/netloop"
	"causalmesh/ring/uring"
)

// The implementations side by side.
var implementations = []struct {
	name string
	make func(testing.TB) func(ring.Options) ring.Loop
}{
	{"net", func(testing.TB) func(ring.Options) ring.Loop {
		return func(o ring.Options) ring.Loop { return netloop.New(o) }
	}},
	{"uring", func(t testing.TB) func(ring.Options) ring.Loop {
		return func(o ring.Options) ring.Loop {
			l, err := uring.New(o)
			if err != nil {
				t.Skipf("NOT MEASURED: %v", err)
			}
			return l
		}
	}},
}

func BenchmarkPingPong(b *testing.B) {
	for _, i := range implementations {
		b.Run(i.name, func(b *testing.B) { looptest.PingPong(b, i.make(b)) })
	}
}

func BenchmarkPipelined(b *testing.B) {
	for _, i := range implementations {
		b.Run(i.name, func(b *testing.B) { looptest.Pipelined(b, i.make(b)) })
	}
}
