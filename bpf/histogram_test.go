package bpf

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The buckets follow each other without gaps, and each duration is in its own.
func TestBucketsAreContiguous(t *testing.T) {
	next := uint64(0)
	for i := range buckets {
		least, most := bounds(i)
		if least != next {
			t.Fatalf("bucket %d begins at %d, the last one ends at %d", i, least, next-1)
		}
		for _, ns := range []uint64{least, least + (most-least)/2, most} {
			if got := bucketOf(ns); got != i {
				t.Fatalf("%d ns is in bucket %d, want %d", ns, got, i)
			}
		}
		next = most + 1
	}
	if next != 1<<41 || bucketOf(1<<63) != buckets-1 {
		t.Errorf("the last bucket ends at %d", next)
	}
}

// Quantiles are within 2 % of those of a sorted list.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []uint64
	counts := make([]uint64, buckets)
	sum := uint64(0)
	for range 100_000 {
		ns := uint64(1) << r.IntN(36)
		ns += r.Uint64N(ns)
		all = append(all, ns)
		counts[bucketOf(ns)]++
		sum += ns
	}
	slices.Sort(all)
	var h Histogram
	h.add(sum, counts)
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(all[min(int(q*float64(len(all))), len(all)-1)])
		if got := float64(h.Quantile(q)); got < 0.98*want || got > 1.02*want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if h.Mean() != sum/uint64(len(all)) {
		t.Errorf("mean %d", h.Mean())
	}
}

// What is below a border of buckets is counted exactly; within a bucket nothing of it is.
func TestCountBelow(t *testing.T) {
	var h Histogram
	if h.CountBelow(1<<20) != 0 {
		t.Error("nothing is below anything")
	}
	counts := make([]uint64, buckets)
	durations := []uint64{0, 1, 63, 64, 65, 66, 1022, 1023, 1024, 1055, 1056, 1<<20 - 1, 1 << 20, 1<<41 - 1, 1 << 41, 1 << 50}
	for _, ns := range durations {
		counts[bucketOf(ns)]++
	}
	h.add(0, counts)
	for _, c := range []struct{ ns, want uint64 }{
		{0, 0}, {1, 1}, {2, 2}, {63, 2}, {64, 3}, {65, 3}, {66, 5}, // 64 and 65 share a bucket
		{1 << 10, 8}, {1<<10 + 31, 8}, {1<<10 + 32, 10}, // 1024 to 1055 as well
		{1 << 20, 12}, {1<<20 + 1, 12}, {1 << 21, 13}, {1 << 40, 13},
	} {
		if got := h.CountBelow(c.ns); got != c.want {
			t.Errorf("%d are below %d ns, want %d", got, c.ns, c.want)
		}
	}
}

func TestSince(t *testing.T) {
	var early, late Histogram
	counts := make([]uint64, buckets)
	counts[10] = 5
	early.add(50, counts)
	counts[20] = 3
	late.add(110, counts)
	d := late.Since(&early)
	if d.Count != 3 || d.Sum != 60 || d.Quantile(0) != 20 || d.Quantile(1) != 20 {
		t.Errorf("%+v", d)
	}
	told := uint64(0)
	d.Each(func(least, most, n uint64) { told += least + most + n })
	if told != 20+20+3 {
		t.Errorf("each tells of %d", told)
	}
	if d = late.Since(&Histogram{}); d.Count != 8 || d.Quantile(0) != 10 {
		t.Errorf("since nothing: %d", d.Count)
	}
	var none Histogram
	if none.Quantile(0.5) != 0 || none.Mean() != 0 {
		t.Error("nothing has a quantile")
	}
}
