package table

import (
	"encoding/binary"
	"fmt"
	"testing"

	"causalmesh/causal"
)

// TestIndexGrowsAndShrinks: it follows the number of entries, both ways.
func TestIndexGrowsAndShrinks(t *testing.T) {
	table := newMapped(t, 256<<20)
	const n = 200_000
	for i := range n {
		table.Put(short(fmt.Appendf(nil, "key-%08d", i), i), causal.Complete)
		if i%100 == 0 {
			table.Reuse()
		}
	}
	must(t, table)
	full := table.indexBytes()
	if full > n*25 {
		t.Errorf("the index takes %d bytes for %d entries", full, n)
	}
	if len(table.strays.slots) != 0 {
		t.Errorf("%d entries found no place", len(table.strays.slots))
	}
	r := table.NewReader()
	var v causal.Version
	for i := range n {
		if key := fmt.Appendf(nil, "key-%08d", i); !r.Slot(key, &v) || v.Dot.Counter != causal.Counter(i+1) {
			t.Fatalf("%s is not there", key)
		}
		if i%100 == 0 {
			r.Stability(&causal.SignedVector{})
		}
	}
	for table.Len() > 100 {
		table.Sweep(100, false, func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove })
		table.Reuse()
	}
	for range 10_000 {
		table.Reuse()
	}
	must(t, table)
	if few := table.indexBytes(); few > 64<<10 {
		t.Errorf("the index still takes %d bytes of %d, for %d entries", few, full, table.Len())
	}
	if held, most := table.Held(), 4<<20; held > most {
		t.Errorf("%d bytes are held for %d entries", held, table.Len())
	}
}

// colliding returns keys that fall on the same two buckets of the same segment, as
// deep as the index may get while it is small.
func colliding(table *Table, n int) [][]byte {
	const same = 1<<8 - 1 // no index of so few entries gets deeper
	var keys [][]byte
	first := table.hash([]byte("0"))
	for i := 0; len(keys) < n; i++ {
		key := binary.AppendUvarint(nil, uint64(i))
		h := table.hash(key)
		if h&same == first&same && firstBucket(h) == firstBucket(first) &&
			otherBucket(0, slotTag(h)) == otherBucket(0, slotTag(first)) {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestCollisionsAreKept: entries that find no place in the index are there for the
// writer, in every way, and harm nobody else. Readers do not find them.
func TestCollisionsAreKept(t *testing.T) {
	table := newMapped(t, 64<<20)
	keys := colliding(table, 24)
	want := twin{}
	put := func(i int) {
		v := short(keys[i], i+len(want))
		table.Put(v, causal.Complete)
		want[string(keys[i])] = twinEntry{v, causal.Complete}
	}
	for i := range keys {
		put(i)
	}
	if n := len(table.strays.slots); n != len(keys)-2*bucketSlots {
		t.Fatalf("%d strays of %d keys", n, len(keys))
	}
	must(t, table)
	r := table.NewReader()
	var v causal.Version
	read := 0
	for i := range keys {
		expect(t, table, string(keys[i]), want)
		if r.Slot(keys[i], &v) {
			read++
		}
	}
	if read != 2*bucketSlots {
		t.Errorf("a reader finds %d of %d", read, len(keys))
	}
	// The hand comes by each once.
	seen := map[string]int{}
	table.Sweep(len(keys), false, func(v *causal.Version, _ causal.Presence) causal.Verdict {
		seen[string(v.Key)]++
		return causal.Keep
	})
	if len(seen) != len(keys) {
		t.Errorf("the hand saw %d of %d", len(seen), len(keys))
	}
	for i := range keys { // replaced
		put(i)
		table.Reuse()
		expect(t, table, string(keys[i]), want)
	}
	must(t, table)
	for i := range 10 { // with room again, they find a place when they are put
		table.Remove(keys[i])
		delete(want, string(keys[i]))
	}
	for i := 10; i < len(keys); i++ {
		put(i)
	}
	if n := len(table.strays.slots); n != 0 {
		t.Errorf("%d strays are left though there is room", n)
	}
	must(t, table)
	table.Sweep(len(keys), false, func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove })
	if table.Reuse(); table.Len() != 0 {
		t.Errorf("%d entries are left", table.Len())
	}
	must(t, table)
}

// TestFullSegmentsAreWellFilled: a segment splits late, or the index costs more than
// it has to.
func TestFullSegmentsAreWellFilled(t *testing.T) {
	table := newMapped(t, 64<<20)
	sum, n := 0, 0
	for i := range 100_000 {
		before := len(table.index)
		counts := table.index[0].count
		table.Put(short(fmt.Appendf(nil, "key-%08d", i), i), causal.Complete)
		if len(table.index) != before && table.index[0].count < counts {
			sum, n = sum+int(counts), n+1
		}
		table.Reuse()
	}
	t.Logf("%d%% full when they split", 100*sum/n/segmentSlots)
	if sum*100 < 88*n*segmentSlots {
		t.Errorf("segments split when they have %d of %d entries", sum/n, segmentSlots)
	}
}
