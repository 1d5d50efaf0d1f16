/* Histograms of times: a bucket for each ns below 64, then 32 for each doubling. */
#pragma once

#include "maps.h"

enum {
	SUB_BITS = 5,
	TOP_BIT = 40, /* the last buckets take all that is longer: 18 minutes */
	BUCKETS = ((TOP_BIT - SUB_BITS) << SUB_BITS) + (2 << SUB_BITS),
	/* Histograms: the parts of each kind's times, and one more. */
	WAKE_UPS = CM_KINDS * CM_PARTS,
	HISTOGRAMS,
};

struct cm_histogram {
	__u64 sum; /* ns */
	__u64 buckets[BUCKETS];
};

struct {
	MAP_IS(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_IS(max_entries, HISTOGRAMS);
	MAP_HAS(key, __u32); /* kind * CM_PARTS + part, or WAKE_UPS */
	MAP_HAS(value, struct cm_histogram);
} histograms SEC(".maps");

/* The highest bit that is set. clang 14 knows no other way on this machine. */
INLINE __u32 top_bit(__u64 n)
{
	__u32 top = 0;
	for (int half = 32; half > 0; half /= 2)
		if (n >> half) {
			n >>= half;
			top += half;
		}
	return top;
}

INLINE __u32 bucket_of(__u64 ns)
{
	if (ns < 2 << SUB_BITS)
		return ns;
	if (ns >> (TOP_BIT + 1))
		return BUCKETS - 1;
	__u32 shift = top_bit(ns) - SUB_BITS;
	return (shift << SUB_BITS) + (ns >> shift);
}

VERIFIED_ALONE int count(__u32 histogram, __u64 ns, __u32 n)
{
	struct cm_histogram *h = bpf_map_lookup_elem(&histograms, &histogram);
	__u32 i = bucket_of(ns);
	if (!h || i >= BUCKETS)
		return 0;
	h->sum += ns * n;
	h->buckets[i] += n;
	return 0;
}
