//go:build !race

package netloop

import (
	"io"
	"testing"

	"causalmesh/ring"
)

// Not under the race detector, which makes sync.Pool forget at random.
//
// A round trip through reader, loop, handler and writer allocates nothing. The
// average is rounded down, which leaves room for a garbage collection that empties
// the buffer pool.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			nc := dial(t, network, serve(t, network, ring.Options{}, &scripted{}))
			message := frame(make([]byte, 100))
			answer := make([]byte, len(message))
			average := testing.AllocsPerRun(2000, func() {
				if _, err := nc.Write(message); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(nc, answer); err != nil {
					t.Fatal(err)
				}
			})
			if average != 0 {
				t.Errorf("%v allocations per round trip, want 0", average)
			}
		})
	}
}
