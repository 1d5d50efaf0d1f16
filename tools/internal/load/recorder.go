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
	// Of those that succeeded.
	sent, received int64 // bytes
	flight         flight
}

func (c *counts) add(d *counts) {
	c.reads += d.reads
	c.writes += d.writes
	c.absent += d.absent
	c.errors += d.errors
	c.unserved += d.unserved
	c.sent += d.sent
	c.received += d.received
	c.flight.add(d.flight)
}

func (c *counts) done() int64 { return c.reads + c.writes }

// flight counts own writes in flight of sessions that read.
type flight struct {
	atBegin, atEnd int64
	// prepared are the requests that brought them into flight.
	prepared int64
}

func (f *flight) add(g flight) {
	f.atBegin += g.atBegin
	f.atEnd += g.atEnd
	f.prepared += g.prepared
}

// tally is what has been measured.
type tally struct {
	counts     counts
	reads      *hdrhistogram.Histogram // latencies, in nanoseconds
	writes     *hdrhistogram.Histogram
	lag        *hdrhistogram.Histogram // of free sessions behind the schedule; nil in a closed loop
	firstError error
	// ended counts all operations that have ended, measured or not: for the progress
	// line.
	ended int64
}

func newTally(longest time.Duration, open bool) tally {
	histogram := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(longest), digits) }
	t := tally{reads: histogram(), writes: histogram()}
	if open {
		t.lag = histogram()
	}
	return t
}

func (t *tally) merge(u *tally) {
	t.counts.add(&u.counts)
	t.reads.Merge(u.reads)
	t.writes.Merge(u.writes)
	if t.lag != nil {
		t.lag.Merge(u.lag)
	}
	if t.firstError == nil {
		t.firstError = u.firstError
	}
	t.ended += u.ended
}

// latency is that of all operations.
func (t *tally) latency() *hdrhistogram.Histogram {
	all := hdrhistogram.New(t.reads.LowestTrackableValue(), t.reads.HighestTrackableValue(), digits)
	all.Merge(t.reads)
	all.Merge(t.writes)
	return all
}

// operation is one operation that has ended, or a series of them that was timed as one.
type operation struct {
	read    bool
	count   int64 // of operations
	absent  int64 // reads that found nothing
	err     error
	latency time.Duration // the mean of a series
	// lag is how late a free session began it; 0 if none was free when it was due.
	lag            time.Duration
	sent, received int // bytes
	flight         flight
	measured       bool // it counts
}

func (t *tally) add(o operation) {
	t.ended += o.count
	if o.err != nil && t.firstError == nil {
		t.firstError = o.err
	}
	if !o.measured {
		return
	}
	if o.lag > 0 {
		record(t.lag, o.lag)
	}
	latencies := t.writes
	switch {
	case o.err != nil:
		t.counts.errors++
		return
	case !o.read:
		t.counts.writes += o.count
	default:
		latencies = t.reads
		t.counts.reads += o.count
		t.counts.absent += o.absent
	}
	t.counts.flight.add(o.flight)
	t.counts.sent += int64(o.sent)
	t.counts.received += int64(o.received)
	record(latencies, o.latency)
}

// recorder takes what some sessions measure.
type recorder struct {
	mu sync.Mutex
	tally
}

// newRecorder returns one for any latency that a load may have.
func newRecorder(o *Options) *recorder {
	return &recorder{tally: newTally(o.longest(), o.Rate > 0)}
}

func (r *recorder) add(o operation) {
	r.mu.Lock()
	r.tally.add(o)
	r.mu.Unlock()
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
