package bpf

import "math/bits"

// Histogram counts durations in ns. Up to 63 each has a bucket of its own, from then
// on each doubling has 32: the middle of a bucket is within 1.6 % of all that is in it.
type Histogram struct {
	Count   uint64
	Sum     uint64 // ns
	buckets []uint64
}

const (
	subBits = 5
	buckets = len(requestsCmHistogram{}.Buckets)
)

// bucketOf does what bucket_of does in the kernel.
func bucketOf(ns uint64) int {
	if ns < 2<<subBits {
		return int(ns)
	}
	shift := bits.Len64(ns) - 1 - subBits
	return min(shift<<subBits+int(ns>>shift), buckets-1)
}

// bounds are the least and the largest duration of a bucket.
func bounds(bucket int) (least, most uint64) {
	if bucket < 2<<subBits {
		return uint64(bucket), uint64(bucket)
	}
	shift := bucket>>subBits - 1
	least = uint64(bucket-shift<<subBits) << shift
	return least, least + 1<<shift - 1
}

// add adds what one processor has counted.
func (h *Histogram) add(sum uint64, counts []uint64) {
	if h.buckets == nil {
		h.buckets = make([]uint64, buckets)
	}
	for i, n := range counts {
		h.buckets[i] += n
		h.Count += n
	}
	h.Sum += sum
}

// Since returns what was counted after an earlier state of the same histogram.
func (h *Histogram) Since(earlier *Histogram) Histogram {
	d := Histogram{Count: h.Count - earlier.Count, Sum: h.Sum - earlier.Sum, buckets: make([]uint64, len(h.buckets))}
	copy(d.buckets, h.buckets)
	for i, n := range earlier.buckets {
		d.buckets[i] -= n
	}
	return d
}

// Quantile returns the duration in ns that a part q of all is not above: the middle of the
// bucket that it is in. It is 0 if nothing was counted.
func (h *Histogram) Quantile(q float64) uint64 {
	if h.Count == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.Count)), h.Count-1)
	for i, n := range h.buckets {
		if rank < n {
			least, most := bounds(i)
			return least + (most-least)/2
		}
		rank -= n
	}
	return 0 // The sum of buckets is Count.
}

// CountBelow returns how many were shorter than ns: exactly if a bucket begins there, as one
// does at each power of two and each ns below 64; else without those in the bucket of ns.
// Durations are whole ns, so what is below n ns has lasted at most n.
func (h *Histogram) CountBelow(ns uint64) (n uint64) {
	if h.Count == 0 {
		return 0
	}
	for _, m := range h.buckets[:bucketOf(ns)] {
		n += m
	}
	return n
}

// Mean returns the average in ns, 0 if nothing was counted.
func (h *Histogram) Mean() uint64 {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / h.Count
}

// Each tells of the buckets with something in them, in order: n durations, from least to
// most ns long.
func (h *Histogram) Each(tell func(least, most, n uint64)) {
	for i, n := range h.buckets {
		if n > 0 {
			least, most := bounds(i)
			tell(least, most, n)
		}
	}
}
