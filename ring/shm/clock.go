package shm

import (
	"math"
	"sync"
	"time"
)

// began is what this process counts from.
var began = time.Now()

// calibrated is the monotonic clock's reading at that time, and by how much it may be wrong.
var calibrated = sync.OnceValues(func() (offset, off int64) { return calibrate(100) })

// Now is the monotonic clock in ns, as stamps are: the same one in all processes of a
// machine, which programs in the kernel read as bpf_ktime_get_ns. It is no system call.
func Now() uint64 {
	offset, _ := calibrated()
	return uint64(offset + int64(time.Since(began)))
}

// calibrate finds out how far Go's clock, which counts from the start of the process, is
// behind the system's. Each reading lies between two of Go's; of many, those count that are
// closest together. The offset is wrong by at most off.
func calibrate(readings int) (offset, off int64) {
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	for range readings {
		before := int64(time.Since(began))
		now := monotonic()
		after := int64(time.Since(began))
		least, most = max(least, now-after), min(most, now-before)
	}
	off = (most - least + 1) / 2
	return least + off, off
}
