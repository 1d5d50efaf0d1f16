package table

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"causalmesh/causal"
)

// checked returns a version whose value says by a checksum to which key and dot it
// belongs.
func checked(key []byte, counter causal.Counter, valueBytes int) *causal.Version {
	v := &causal.Version{
		Key: key, Value: make([]byte, max(8, valueBytes)), Epoch: testEpoch,
		Dot:   causal.Dot{Origin: causal.ReplicaID(counter % 5), Counter: counter},
		Stamp: causal.Stamp{Time: causal.Time(counter * 3), Origin: causal.ReplicaID(counter % 7)},
	}
	for i := 4; i < len(v.Value); i++ {
		v.Value[i] = byte(uint64(counter) + uint64(i>>3))
	}
	binary.LittleEndian.PutUint32(v.Value, sum(v))
	return v
}

func sum(v *causal.Version) uint32 {
	var head [26]byte
	binary.LittleEndian.PutUint64(head[:], uint64(v.Dot.Counter))
	binary.LittleEndian.PutUint64(head[8:], uint64(v.Stamp.Time))
	binary.LittleEndian.PutUint64(head[16:], uint64(v.Epoch))
	head[24], head[25] = byte(v.Dot.Origin), byte(v.Stamp.Origin)
	c := crc32.Update(crc32.ChecksumIEEE(head[:]), crc32.IEEETable, v.Key)
	return crc32.Update(c, crc32.IEEETable, v.Value[4:])
}

func intact(v *causal.Version) bool {
	return len(v.Value) >= 8 && binary.LittleEndian.Uint32(v.Value) == sum(v)
}

// TestReaderSeesWhatWasPut: a reader at rest sees each complete version, and nothing
// else.
func TestReaderSeesWhatWasPut(t *testing.T) {
	table := newMapped(t, 256<<20)
	rng := rand.New(rand.NewSource(4))
	want := twin{}
	for i := range 20_000 {
		key := fmt.Sprintf("k%d", rng.Intn(10_000))
		v, p := randomVersion(rng, key, valueSize(rng, 50<<10)), causal.Presence(1+rng.Intn(2))
		table.Put(v, p)
		want[key] = twinEntry{v, p}
		if i%3 == 0 {
			table.Reuse()
		}
	}
	readers := []*Reader{table.NewReader(), opened(t, table)}
	for i := range 11_000 {
		key := fmt.Sprintf("k%d", i)
		w := want[key]
		for _, r := range readers {
			var v causal.Version
			ok := r.Slot([]byte(key), &v)
			if ok != (w.p == causal.Complete) || ok && !same(&v, w.v) {
				t.Fatalf("%s: %v %+v, want %+v", key, ok, v, w)
			}
			if i%100 == 0 {
				r.Stability(&causal.SignedVector{})
			}
		}
	}
}

func opened(t *testing.T, table *Table) *Reader {
	t.Helper()
	r, err := over(table.region.bytesAt(0, table.region.bytes))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSlotsStayUntilStability: what Slot has returned is the caller's until the next
// Stability, however much is read and changed until then.
func TestSlotsStayUntilStability(t *testing.T) {
	table := newMapped(t, 256<<20)
	r := table.NewReader()
	for round := range 5 {
		var got []causal.Version
		for i := range 300 {
			key := fmt.Appendf(nil, "k%d", i)
			table.Put(checked(key, causal.Counter(round*1000+i), i*50), causal.Complete)
			var v causal.Version
			if !r.Slot(key, &v) {
				t.Fatalf("%s is not there", key)
			}
			got = append(got, v)
			table.Remove(key)
			table.Reuse()
		}
		for i := range got {
			if !intact(&got[i]) {
				t.Fatalf("what was read of %s has changed", got[i].Key)
			}
		}
		r.Stability(&causal.SignedVector{})
	}
}

// TestReaderMarksWhatItReads: the eviction hand spares what a reader has read.
func TestReaderMarksWhatItReads(t *testing.T) {
	table := newMapped(t, 1<<20)
	fill(table, 4)
	evict := func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove }
	table.Sweep(4, true, evict)
	var v causal.Version
	if !table.NewReader().Slot([]byte("k2"), &v) {
		t.Fatal("k2 is not there")
	}
	table.Sweep(4, true, evict)
	if table.Len() != 1 || table.Get([]byte("k2"), &v) != causal.Complete {
		t.Fatalf("%d entries are left, want the one that was read", table.Len())
	}
}

// TestPublishedIsRead: readers get S as it was published, with its tag, until the table
// is shut.
func TestPublishedIsRead(t *testing.T) {
	table := newMapped(t, 1<<20)
	r := table.NewReader()
	got := causal.SignedVector{Vector: causal.VectorClock{9, 9}, Tag: causal.Tag{1}}
	if r.Stability(&got); len(got.Vector) != 0 || got.Tag != (causal.Tag{}) {
		t.Errorf("before anything was published: %v", got)
	}
	long := make(causal.VectorClock, causal.MaxReplicas)
	for i := range long {
		long[i] = causal.Counter(i * i)
	}
	for _, v := range []causal.VectorClock{{1, 2, 3}, long, {4}} {
		want := causal.SignedVector{Vector: v, Tag: causal.Tag{1, 2, 3, 15: byte(len(v))}}
		table.Publish(want)
		if r.Stability(&got); len(got.Vector) != len(v) || !got.Vector.Equal(v) || got.Tag != want.Tag {
			t.Errorf("published %v, got %v", want, got)
		}
	}
	fill(table, 1)
	table.Shut()
	if r.Stability(&got); len(got.Vector) != 0 {
		t.Errorf("a shut table has the stability %v", got)
	}
	var v causal.Version
	if r.Slot([]byte("k0"), &v) {
		t.Error("a shut table is read")
	}
}

// TestReadersBesideTheWriter: readers never see half of anything, nor something that
// is older than what they have seen published, whatever the writer does meanwhile:
// put, replace, remove, sweep, split, merge and compact. Under -race it shows that the
// twin's memory is shared by atomic words only.
func TestReadersBesideTheWriter(t *testing.T) {
	for _, c := range []struct {
		name   string
		table  func() *Table
		large  int // bytes of some values
		rounds int
	}{
		{"twin", func() *Table { return newTwin(t, twinBytes) }, 2 << 10, 10_000},
		{"twin, large values", func() *Table { return newTwin(t, 3*twinBytes) }, 1 << 20, 200},
		{"mapped", func() *Table { return newMapped(t, 256<<20) }, 2 << 10, 40_000},
		{"mapped, large values", func() *Table { return newMapped(t, 256<<20) }, 1 << 20, 1000},
	} {
		if underRace && strings.HasPrefix(c.name, "mapped") {
			continue // the detector does not see that memory
		}
		t.Run(c.name, func(t *testing.T) { churn(t, c.table(), c.large, c.rounds) })
	}
}

func churn(t *testing.T, table *Table, large, rounds int) {
	const keys = 5000
	var done atomic.Bool
	var readers sync.WaitGroup
	var seen atomic.Int64
	for i := range 2 {
		readers.Go(func() {
			r := table.NewReader()
			if i == 1 {
				r = opened(t, table)
			}
			readWhile(t, r, rand.New(rand.NewSource(int64(i))), keys, &done, &seen)
		})
	}
	rng := rand.New(rand.NewSource(5))
	vector := causal.VectorClock{0, 0, 0, 0, 0}
	counter := causal.Counter(0)
	for round := 0; round < rounds || seen.Load() == 0 && !t.Failed(); round++ {
		span := 1 + keys*(1+round*6/(rounds+1)%3)/3 // grows and shrinks
		for range 4 {
			counter++
			size := rng.Intn(300)
			if rng.Intn(20) == 0 {
				size = rng.Intn(large + 1)
			}
			v := checked(fmt.Appendf(nil, "k%d", rng.Intn(span)), counter, size)
			table.Put(v, causal.Complete)
			vector.Add(v.Dot)
		}
		switch {
		case round%16 == 0:
			table.Sweep(200, rng.Intn(2) == 0, func(v *causal.Version, _ causal.Presence) causal.Verdict {
				if table.Bytes() < 3<<20 || !intact(v) && t.Failed() {
					return causal.Keep
				}
				return causal.Remove
			})
		case round%2 == 0:
			table.Remove(fmt.Appendf(nil, "k%d", rng.Intn(keys)))
		}
		table.Publish(causal.SignedVector{Vector: vector, Tag: causal.Tag{byte(counter), 15: byte(counter)}})
		table.Reuse()
	}
	done.Store(true)
	readers.Wait()
	must(t, table)
	t.Logf("%d versions read beside %d rounds of the writer", seen.Load(), rounds)
}

func readWhile(t *testing.T, r *Reader, rng *rand.Rand, keys int, done *atomic.Bool, seen *atomic.Int64) {
	var s causal.SignedVector
	last := causal.VectorClock{}
	for !done.Load() {
		r.Stability(&s)
		if s.Tag[0] != s.Tag[15] {
			t.Errorf("half of a tag: %v", s.Tag)
			return
		}
		if len(s.Vector) > 0 {
			if !last.AtMost(s.Vector) {
				t.Errorf("stability %v after %v", s.Vector, last)
				return
			}
			last = append(last[:0], s.Vector...)
		}
		for range 20 {
			key := fmt.Appendf(nil, "k%d", rng.Intn(keys))
			var v causal.Version
			if !r.Slot(key, &v) {
				continue
			}
			seen.Add(1)
			if string(v.Key) != string(key) || !intact(&v) {
				t.Errorf("%s: torn, or another's: %v %v, %d bytes", key, v.Dot, v.Stamp, len(v.Value))
				return
			}
		}
	}
}
