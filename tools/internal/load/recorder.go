package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// digits is how many decimal digits of a latency histograms keep.
const digits = 3

// counts are numbers of operations.
type counts struct {
	reads, writes int64 // that succeeded
	absent        int64 // reads among them that found nothing
	errors        int64
	unserved      int64 // due, and begun by nobody
}

func (c *counts) add(d counts) {
	c.reads += d.reads
	c.writes += d.writes
	c.absent += d.absent
	c.errors += d.errors
	c.unserved += d.unserved
}

func (c *counts) done() int64 { return c.reads + c.writes }

// tally is what has been measured.
type tally struct {
	counts     counts
	latency    *hdrhistogram.Histogram // in nanoseconds
	lag        *hdrhistogram.Histogram // of free sessions behind the schedule; nil in a closed loop
	firstError error
	// ended counts all operations that have ended, measured or not: for the progress
	// line.
	ended int64
}

func newTally(longest time.Duration, open bool) tally {
	t := tally{latency: hdrhistogram.New(1, int64(longest), digits)}
	if open {
		t.lag = hdrhistogram.New(1, int64(longest), digits)
	}
	return t
}

func (t *tally) merge(u *tally) {
	t.counts.add(u.counts)
	t.latency.Merge(u.latency)
	if t.lag != nil {
		t.lag.Merge(u.lag)
	}
	if t.firstError == nil {
		t.firstError = u.firstError
	}
	t.ended += u.ended
}

// recorder takes what the sessions of one connection measure.
type recorder struct {
	mu sync.Mutex
	tally
}

// operation is one operation that has ended.
type operation struct {
	read, found bool
	err         error
	latency     time.Duration
	// lag is how late a free session began it; 0 if none was free when it was due.
	lag      time.Duration
	measured bool // it counts
}

func (r *recorder) add(o operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
	if o.err != nil && r.firstError == nil {
		r.firstError = o.err
	}
	if !o.measured {
		return
	}
	if o.lag > 0 {
		record(r.lag, o.lag)
	}
	switch {
	case o.err != nil:
		r.counts.errors++
		return
	case !o.read:
		r.counts.writes++
	default:
		r.counts.reads++
		if !o.found {
			r.counts.absent++
		}
	}
	record(r.latency, o.latency)
}

func (r *recorder) addUnserved(n int64) {
	r.mu.Lock()
	r.counts.unserved += n
	r.mu.Unlock()
}

// record keeps a time that is out of the histogram's range as its nearest end.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	v := min(max(int64(d), h.LowestTrackableValue()), h.HighestTrackableValue())
	_ = h.RecordValue(v) // it fails only out of range
}
