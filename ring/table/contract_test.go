package table

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"

	"causalmesh/causal"
)

const (
	testEpoch = 7
	twinBytes = 16 << 20 // its address space is memory that has to be cleared
)

// newMapped returns a table in mapped memory, newTwin one in memory of the Go heap.
func newMapped(t testing.TB, bytes int64) *Table {
	t.Helper()
	table, err := New(Options{Bytes: bytes, Epoch: testEpoch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return sameHash(table)
}

func newTwin(t testing.TB, bytes int64) *Table {
	t.Helper()
	table, err := NewOnHeap(Options{Bytes: bytes, Epoch: testEpoch})
	if err != nil {
		t.Fatal(err)
	}
	return sameHash(table)
}

// sameHash has keys fall on the same places of an empty table in each run: how well they
// fill the index would differ otherwise.
func sameHash(table *Table) *Table {
	table.key0, table.key1 = 1, 2
	h := table.header()
	h.write()
	return table
}

// eachTable runs a test of the contract of causal.Table against each table.
func eachTable(t *testing.T, test func(t *testing.T, table causal.Table)) {
	t.Run("heap table", func(t *testing.T) { test(t, causal.NewHeapTable()) })
	t.Run("mapped", func(t *testing.T) { test(t, newMapped(t, 256<<20)) })
	t.Run("twin", func(t *testing.T) { test(t, newTwin(t, twinBytes)) })
}

// must fails the test if the table's parts do not fit together.
func must(t *testing.T, table causal.Table) {
	t.Helper()
	if own, ok := table.(*Table); ok {
		if err := own.check(); err != nil {
			t.Fatal(err)
		}
	}
}

// twin is what a table has to agree with.
type twin map[string]twinEntry

type twinEntry struct {
	v *causal.Version
	p causal.Presence
}

func same(a, b *causal.Version) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil) &&
		a.Dot == b.Dot && a.Stamp == b.Stamp && a.Epoch == b.Epoch && a.Deadline == b.Deadline && a.Tombstone == b.Tombstone
}

// randomVersion has each optional part now and then.
func randomVersion(rng *rand.Rand, key string, valueBytes int) *causal.Version {
	v := &causal.Version{
		Key:   []byte(key),
		Dot:   causal.Dot{Origin: causal.ReplicaID(rng.Intn(64)), Counter: causal.Counter(rng.Uint64())},
		Stamp: causal.Stamp{Time: causal.Time(rng.Uint64()), Origin: causal.ReplicaID(rng.Intn(64))},
		Epoch: testEpoch,
	}
	switch rng.Intn(8) {
	case 0:
		v.Epoch = causal.Epoch(rng.Intn(3))
	case 1:
		v.Deadline = causal.Time(rng.Uint64())
	case 2:
		v.Dot.Incarnation = causal.Incarnation(rng.Intn(1 << 16))
	case 3:
		v.Epoch, v.Deadline, v.Dot.Incarnation = 1, 2, 3
	case 4:
		v.Tombstone = true
		return v
	}
	v.Value = make([]byte, valueBytes)
	rng.Read(v.Value)
	return v
}

// valueSize is mostly small, sometimes large.
func valueSize(rng *rand.Rand, largest int) int {
	switch rng.Intn(20) {
	case 0:
		return rng.Intn(largest)
	case 1, 2:
		return rng.Intn(40 << 10)
	default:
		return rng.Intn(200)
	}
}

func TestTableAgreesWithMap(t *testing.T) {
	eachTable(t, func(t *testing.T, table causal.Table) {
		rng := rand.New(rand.NewSource(1))
		want := twin{}
		for step := range 30_000 {
			key := fmt.Sprintf("k%d", rng.Intn(1+step/20))
			switch op := rng.Intn(10); {
			case op < 5:
				v, p := randomVersion(rng, key, valueSize(rng, 100<<10)), causal.Presence(1+rng.Intn(2))
				if len(v.Value) > 32<<10 && len(want) > 200 {
					v.Value = v.Value[:100] // keep the sum of large ones small
				}
				table.Put(v, p)
				want[key] = twinEntry{v, p}
			case op < 6:
				table.Remove([]byte(key))
				delete(want, key)
			case op < 8:
				expect(t, table, key, want)
			case op < 9:
				sweepBoth(t, rng, table, want)
			default:
				table.Reuse()
			}
			if table.Len() != len(want) {
				t.Fatalf("step %d: %d entries, want %d", step, table.Len(), len(want))
			}
			if step%5000 == 0 {
				must(t, table)
			}
		}
		for key := range want {
			expect(t, table, key, want)
		}
		must(t, table)
	})
}

func expect(t *testing.T, table causal.Table, key string, want twin) {
	t.Helper()
	var v causal.Version
	p, w := table.Get([]byte(key), &v), want[key]
	if p != w.p || w.v != nil && !same(&v, w.v) {
		t.Fatalf("%s is %v %+v, want %+v", key, p, v, w)
	}
}

func sweepBoth(t *testing.T, rng *rand.Rand, table causal.Table, want twin) {
	t.Helper()
	seen := map[string]bool{}
	_, lax := table.(*causal.HeapTable) // it may come by a kept entry again after it has wrapped
	table.Sweep(rng.Intn(20), rng.Intn(2) == 0, func(v *causal.Version, p causal.Presence) causal.Verdict {
		key := string(v.Key)
		if w := want[key]; w.v == nil || !same(v, w.v) || w.p != p || seen[key] && !lax {
			t.Fatalf("swept %s, which is not there", key)
		}
		seen[key] = true
		if rng.Intn(3) == 0 {
			delete(want, key)
			return causal.Remove
		}
		return causal.Keep
	})
}

// TestGotStaysUntilReuse: what Get has returned can be read until Reuse, whatever
// happens to the key.
func TestGotStaysUntilReuse(t *testing.T) {
	eachTable(t, func(t *testing.T, table causal.Table) {
		rng := rand.New(rand.NewSource(2))
		for round := range 50 {
			var got []causal.Version
			var want []*causal.Version
			for i := range 40 {
				key := fmt.Sprintf("k%d", i%20)
				w := randomVersion(rng, key, valueSize(rng, 80<<10))
				table.Put(w, causal.Complete)
				var v causal.Version
				table.Get([]byte(key), &v)
				got, want = append(got, v), append(want, w)
				if rng.Intn(4) == 0 {
					table.Remove([]byte(key))
				}
			}
			table.Sweep(20, false, func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove })
			for i := range got {
				if !same(&got[i], want[i]) {
					t.Fatalf("round %d: what was got of %s has changed", round, want[i].Key)
				}
			}
			must(t, table)
			table.Reuse()
			must(t, table)
		}
	})
}

// TestPutWhatWasGot: a version that refers to the table's own memory can be put.
func TestPutWhatWasGot(t *testing.T) {
	eachTable(t, func(t *testing.T, table causal.Table) {
		w := randomVersion(rand.New(rand.NewSource(3)), "key", 100)
		table.Put(w, causal.Incomplete)
		for range 10 {
			var v causal.Version
			table.Get(w.Key, &v)
			table.Put(&v, causal.Complete)
			table.Reuse()
		}
		expect(t, table, "key", twin{"key": {w, causal.Complete}})
	})
}

// TestHandGoesRoundEverything: sweeping n entries of n visits each exactly once,
// wherever the hand stands.
func TestHandGoesRoundEverything(t *testing.T) {
	eachTable(t, func(t *testing.T, table causal.Table) {
		const n = 2000
		fill(table, n)
		for _, start := range []int{0, 1, 7, 100, 1999} {
			table.Sweep(1+start, false, func(*causal.Version, causal.Presence) causal.Verdict { return causal.Keep })
			seen := map[string]int{}
			table.Sweep(n, false, func(v *causal.Version, _ causal.Presence) causal.Verdict {
				seen[string(v.Key)]++
				return causal.Keep
			})
			if len(seen) != n {
				t.Fatalf("%d steps of the hand see %d entries", n, len(seen))
			}
		}
		visits := 0
		table.Sweep(n, false, func(*causal.Version, causal.Presence) causal.Verdict { visits++; return causal.Enough })
		if visits != 1 || table.Len() != n {
			t.Fatalf("%d visits after enough, %d entries", visits, table.Len())
		}
		table.Sweep(2*n, false, func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove })
		table.Sweep(n, false, func(*causal.Version, causal.Presence) causal.Verdict {
			t.Fatal("visited an empty table")
			return causal.Remove
		})
		if table.Len() != 0 {
			t.Errorf("%d entries are left", table.Len())
		}
		must(t, table)
	})
}

// TestHandSparesWhatWasRead: what was read since the hand passed gets one more turn.
func TestHandSparesWhatWasRead(t *testing.T) {
	eachTable(t, func(t *testing.T, table causal.Table) {
		fill(table, 4)
		evict := func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove }
		table.Sweep(4, true, evict) // all are new: spared once
		if table.Len() != 4 {
			t.Fatalf("the first turn removed %d entries", 4-table.Len())
		}
		var v causal.Version
		table.Get([]byte("k2"), &v)
		table.Sweep(4, true, evict)
		if table.Len() != 1 || table.Get([]byte("k2"), &v) != causal.Complete {
			t.Fatalf("%d entries are left, want the one that was read", table.Len())
		}
		table.Sweep(4, false, evict)
		if table.Len() != 0 {
			t.Error("an entry is spared though nothing is to be")
		}
	})
}

func fill(table causal.Table, n int) {
	for i := range n {
		table.Put(&causal.Version{Key: fmt.Appendf(nil, "k%d", i), Stamp: causal.Stamp{Time: 1}}, causal.Complete)
	}
}

// TestBytesFollowWhatIsThere: what is put is charged, what is removed is not.
func TestBytesFollowWhatIsThere(t *testing.T) {
	eachTable(t, func(t *testing.T, table causal.Table) {
		empty := table.Bytes()
		for _, n := range []int{8, 300, 10_000, 40_000, 1 << 20, MaxValueBytes} {
			v := &causal.Version{Key: []byte("key"), Value: make([]byte, n), Stamp: causal.Stamp{Time: 1}}
			table.Put(v, causal.Complete)
			if cost := table.Bytes() - empty; cost < n || cost > n+n/8+400 {
				t.Errorf("%d bytes are charged with %d", n, cost)
			}
			table.Remove(v.Key)
			if table.Bytes() != empty {
				t.Errorf("%d bytes are charged for nothing", table.Bytes()-empty)
			}
			table.Reuse()
		}
	})
}
