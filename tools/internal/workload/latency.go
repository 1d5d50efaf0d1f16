package workload

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Latencies is a histogram whose buckets are at most 1/32 wider than what is in
// them. It may be used from any goroutine.
type Latencies struct {
	buckets [64 * latencySteps]atomic.Uint64
	count   atomic.Uint64
}

const (
	latencyBits  = 5
	latencySteps = 1 << latencyBits // buckets for each power of two
)

// bucketOf returns the bucket of d: below 2*latencySteps each nanosecond has its own;
// above, the bits behind the highest one choose.
func bucketOf(d time.Duration) int {
	n := uint64(max(0, d))
	shift := max(0, bits.Len64(n)-latencyBits-1)
	return shift*latencySteps + int(n>>shift)
}

// boundOf returns the highest duration in a bucket.
func boundOf(bucket int) time.Duration {
	if bucket < 2*latencySteps {
		return time.Duration(bucket)
	}
	shift := bucket/latencySteps - 1
	return time.Duration(uint64(bucket-shift*latencySteps+1)<<shift - 1)
}

// Add counts one operation.
func (l *Latencies) Add(d time.Duration) {
	l.buckets[bucketOf(d)].Add(1)
	l.count.Add(1)
}

// Quantile returns the latency that the part q of all operations did not exceed.
func (l *Latencies) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(l.count.Load())))
	var seen uint64
	for i := range l.buckets {
		if seen += l.buckets[i].Load(); seen >= rank && seen > 0 {
			return boundOf(i)
		}
	}
	return 0
}
