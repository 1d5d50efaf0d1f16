package load

import (
	"math/rand/v2"
	"sync"
	"time"
)

// arrivals tells when operations fall due in an open loop: at random, with
// exponential gaps, as those of many independent clients do. Sessions may take from it
// at once.
type arrivals struct {
	mu   sync.Mutex
	rng  *rand.Rand
	gap  float64 // mean, in nanoseconds
	next float64 // in nanoseconds since the load began
}

func newArrivals(perSecond float64, rng *rand.Rand) *arrivals {
	a := &arrivals{rng: rng, gap: float64(time.Second) / perSecond}
	a.next = a.gap * rng.ExpFloat64()
	return a
}

// take hands out the next operation: when it is due, since the load began.
func (a *arrivals) take() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.next
	a.next += a.gap * a.rng.ExpFloat64()
	return time.Duration(due)
}

// due is what take would return.
func (a *arrivals) due() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Duration(a.next)
}

// leave takes all that is due before the end, and counts it.
func (a *arrivals) leave(end time.Duration) (n int64) {
	for ; a.due() < end; a.take() {
		n++
	}
	return n
}
