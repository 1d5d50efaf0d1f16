package causal

import (
	"fmt"
	"math/rand"
	"runtime"
	"testing"
)

func TestHeapTableAgainstMap(t *testing.T) {
	type entry struct {
		v *Version
		p Presence
	}
	rng := rand.New(rand.NewSource(1))
	table, twin := NewHeapTable(), map[string]entry{}
	for step := range 20_000 {
		key := fmt.Sprintf("k%d", rng.Intn(50))
		switch rng.Intn(6) {
		case 0, 1, 2:
			v := &Version{Key: []byte(key), Value: make([]byte, rng.Intn(40)), Stamp: Stamp{Time: Time(step + 1)}}
			p := Presence(1 + rng.Intn(2))
			table.Put(v, p)
			twin[key] = entry{v, p}
		case 3:
			table.Remove([]byte(key))
			delete(twin, key)
		case 4:
			var v Version
			p, want := table.Get([]byte(key), &v), twin[key]
			if p != want.p || want.v != nil && v.Stamp != want.v.Stamp {
				t.Fatalf("step %d: %s is %v %v, want %v", step, key, p, v.Stamp, want)
			}
		case 5:
			odd := func(v *Version) bool { return v.Stamp.Time%2 == 1 }
			table.Sweep(rng.Intn(10), rng.Intn(2) == 0, func(v *Version, p Presence) Verdict {
				if want := twin[string(v.Key)]; want.v == nil || want.v.Stamp != v.Stamp || want.p != p {
					t.Fatalf("step %d: swept %s, which is not there", step, v.Key)
				}
				if odd(v) {
					delete(twin, string(v.Key))
					return Remove
				}
				return Keep
			})
		}
		bytes := 0
		for _, e := range twin {
			bytes += e.v.Bytes()
		}
		if table.Len() != len(twin) || table.Bytes() != bytes {
			t.Fatalf("step %d: %d entries of %d bytes, want %d of %d", step, table.Len(), table.Bytes(), len(twin), bytes)
		}
	}
}

// TestHandGoesRoundEverything: sweeping n entries of n visits each exactly once,
// wherever the hand stands.
func TestHandGoesRoundEverything(t *testing.T) {
	table := filledTable(10)
	for start := range 10 {
		table.Sweep(1+start, false, func(*Version, Presence) Verdict { return Keep })
		seen := map[string]int{}
		table.Sweep(10, false, func(v *Version, _ Presence) Verdict { seen[string(v.Key)]++; return Keep })
		if len(seen) != 10 {
			t.Fatalf("ten steps of the hand see %d of 10 entries", len(seen))
		}
	}
	// A sweep ends when it is told that it is enough.
	visits := 0
	table.Sweep(10, false, func(*Version, Presence) Verdict { visits++; return Enough })
	if visits != 1 || table.Len() != 10 {
		t.Fatalf("%d visits after enough, %d entries", visits, table.Len())
	}
	// Removing all of them ends, and on an empty table nothing is visited.
	table.Sweep(100, false, func(*Version, Presence) Verdict { return Remove })
	table.Sweep(100, false, func(*Version, Presence) Verdict { t.Fatal("visited an empty table"); return Remove })
	if table.Len() != 0 || table.Bytes() != 0 {
		t.Errorf("%d entries of %d bytes are left", table.Len(), table.Bytes())
	}
}

// TestHandSparesWhatWasRead: what was read since the hand passed gets one more turn.
func TestHandSparesWhatWasRead(t *testing.T) {
	table := filledTable(4)
	evict := func(*Version, Presence) Verdict { return Remove }
	table.Sweep(4, true, evict) // all are new: spared once
	if table.Len() != 4 {
		t.Fatalf("the first turn removed %d entries", 4-table.Len())
	}
	var v Version
	table.Get([]byte("k2"), &v)
	table.Sweep(4, true, evict)
	if table.Len() != 1 || table.Get([]byte("k2"), &v) != Complete {
		t.Fatalf("%d entries are left, want the one that was read", table.Len())
	}
	table.Sweep(4, false, evict)
	if table.Len() != 0 {
		t.Error("an entry is spared though nothing is to be")
	}
}

func filledTable(n int) *HeapTable {
	table := NewHeapTable()
	for i := range n {
		table.Put(&Version{Key: fmt.Appendf(nil, "k%d", i), Stamp: Stamp{Time: 1}}, Complete)
	}
	return table
}

// TestVersionBytesAgainstHeap holds what a cached version is charged with against
// what it costs on the Go heap: 12-byte keys, 8-byte values, as in the workloads.
// A charge that is too low breaks the memory bound; one that is too high wastes
// memory. The map's share varies with how full it is, by some ten bytes.
func TestVersionBytesAgainstHeap(t *testing.T) {
	const n = 100_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // what the first one found free is swept by the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	table := NewHeapTable()
	for i := range n {
		// As Server.write makes them: one piece of memory for key and value.
		b := fmt.Appendf(make([]byte, 0, 20), "key-%08dvalue-%02d", i, i%100)
		table.Put(&Version{Key: b[:12:12], Value: b[12:], Stamp: Stamp{Time: 1}}, Complete)
	}
	cost := int(heap()-before) / n
	charged := table.Bytes() / n
	runtime.KeepAlive(table)
	t.Logf("a version costs %d bytes on the heap and is charged with %d", cost, charged)
	if cost*100 < charged*90 || cost*100 > charged*115 {
		t.Errorf("a version costs %d bytes on the heap but is charged with %d: set versionOverhead to %d",
			cost, charged, versionOverhead+cost-charged)
	}
}
