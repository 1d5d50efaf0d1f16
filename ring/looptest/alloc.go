//go:build !race

package looptest

import (
	"bytes"
	"testing"

	"causalmesh/ring"
)

// Not under the race detector, which makes sync.Pool forget at random.
func (x suite) unraced() []named {
	return []named{{"SteadyStateDoesNotAllocate", x.testSteadyStateDoesNotAllocate}}
}

// A round trip through the loop and its handler allocates nothing, whether the answer
// is small, or many small ones, or large. The average is rounded down, which leaves room
// for a garbage collection that empties a buffer pool.
func (x suite) testSteadyStateDoesNotAllocate(t *testing.T) {
	cases := []struct {
		name     string
		messages []byte
	}{
		{"small", Frame(make([]byte, 100))},
		{"pipelined", bytes.Repeat(Frame(make([]byte, 100)), 64)},
		{"large", Frame(make([]byte, 60_000))},
	}
	for _, network := range Networks {
		for _, c := range cases {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				nc := Dial(t, network, x.serve(t, network, ring.Options{}, &Handler{}))
				answers := make([]byte, len(c.messages))
				average := testing.AllocsPerRun(2000, func() { exchange(t, nc, c.messages, answers) })
				if average != 0 {
					t.Errorf("%v allocations per round trip, want 0", average)
				}
			})
		}
	}
}
