package table

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
)

// shared returns a descriptor of the table for another process.
func shared(t testing.TB, table *Table) int {
	t.Helper()
	fd, err := table.Share()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// attached returns a mapping of the table as another process has it.
func attached(t testing.TB, table *Table) *Mapping {
	t.Helper()
	m, err := Attach(shared(t, table))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// memoryBytes asks the kernel how much memory is behind a descriptor, whoever took it.
func memoryBytes(t testing.TB, fd int) int {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		t.Fatal(err)
	}
	return int(s.Blocks) * 512
}

func residentBytes(t testing.TB, table *Table) int { return memoryBytes(t, table.region.file) }

// TestMappingShowsTheTable: entries, vector, epoch, heartbeat and that it is shut.
func TestMappingShowsTheTable(t *testing.T) {
	table := newMapped(t, 1<<20)
	m := attached(t, table)
	if m.Epoch() != testEpoch || m.Beat() != 0 || m.Shut() {
		t.Errorf("at first: epoch %d, beat %d, shut %v", m.Epoch(), m.Beat(), m.Shut())
	}
	fill(table, 100)
	table.Publish(causal.SignedVector{Vector: causal.VectorClock{3, 2}})
	for _, now := range []uint64{1, 7, 1 << 63} {
		if table.Beat(now); m.Beat() != now {
			t.Errorf("beat %d, was %d", m.Beat(), now)
		}
	}
	r := m.NewReader()
	var s causal.SignedVector
	if r.Stability(&s); !s.Vector.Equal(causal.VectorClock{3, 2}) || r.Epoch() != testEpoch {
		t.Errorf("stability %v, epoch %d", s.Vector, r.Epoch())
	}
	var v causal.Version
	for i := range 100 {
		if !r.Slot(fmt.Appendf(nil, "k%d", i), &v) {
			t.Fatalf("k%d is not there", i)
		}
	}
	if table.Shut(); !m.Shut() || r.Slot([]byte("k1"), &v) {
		t.Error("a shut table is read")
	}
}

// TestMappingMarksNothing: readers in other processes cannot write, so they do not try
// to tell the eviction hand.
func TestMappingMarksNothing(t *testing.T) {
	table := newMapped(t, 1<<20)
	fill(table, 4)
	evict := func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove }
	table.Sweep(4, true, evict)
	var v causal.Version
	if !attached(t, table).NewReader().Slot([]byte("k2"), &v) {
		t.Fatal("k2 is not there")
	}
	if table.Sweep(4, true, evict); table.Len() != 0 {
		t.Errorf("%d entries are left", table.Len())
	}
}

// TestReadingTakesNoMemory: to read where a file has no memory would take some. Readers
// stay within entries, and do not go on where one was given back.
func TestReadingTakesNoMemory(t *testing.T) {
	table := newMapped(t, 256<<20)
	key := func(size, i int) []byte { return fmt.Appendf(nil, "%d-%d", size, i) }
	sizes := []int{1, 17, 40, 100, 1000, 4000, 30_000, 100_000, 1 << 20}
	const each = 20
	for _, n := range sizes {
		for i := range each {
			table.Put(checked(key(n, i), 1, n), causal.Complete)
		}
	}
	// Entries of 32 bytes that fill a page: behind the last one nothing was touched.
	tight := func(i int) []byte { return fmt.Appendf(nil, "t%03d", i) }
	for i := range osPage / 32 {
		v := short(tight(i), i)
		v.Value = []byte("four")
		table.Put(v, causal.Complete)
	}
	before := residentBytes(t, table)
	for _, r := range []*Reader{table.NewReader(), attached(t, table).NewReader()} {
		var v causal.Version
		for _, n := range sizes {
			for i := range each {
				if !r.Slot(key(n, i), &v) || r.Slot(key(n, i+each), &v) {
					t.Fatal("found what is not there, or not what is")
				}
				r.Stability(&causal.SignedVector{})
			}
		}
		for i := range osPage / 32 {
			if !r.Slot(tight(i), &v) {
				t.Fatalf("%s is not there", tight(i))
			}
		}
		if after := residentBytes(t, table); after != before {
			t.Fatalf("%d bytes of memory, %d before anything was read", after, before)
		}
		gone := table.geometry.large[5].base
		if r.loadLong(make([]uint64, 1<<17), gone, look{line: table.geometry.segments, sequence: 1 << 40}) {
			t.Error("read an entry that is no more")
		}
		if after := residentBytes(t, table); after != before {
			t.Fatalf("%d bytes of memory, %d before what is gone was read", after, before)
		}
	}
}

// TestShareNeedsSharedMemory: a table of the Go heap has none, nor has a closed one.
func TestShareNeedsSharedMemory(t *testing.T) {
	closed, err := New(Options{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, table := range map[string]*Table{"twin": newTwin(t, 64<<10), "closed": closed} {
		if fd, err := table.Share(); !errors.Is(err, ErrNotShared) || fd >= 0 {
			t.Errorf("%s: shared as %d, %v", name, fd, err)
		}
	}
}

// TestNewRespectsTheFileLimit: the memory counts as a file, and the error says so.
func TestNewRespectsTheFileLimit(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Bytes: 64 << 20})
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, ErrAddressSpace) || !strings.Contains(err.Error(), "ulimit -f") {
		t.Errorf("got %v", err)
	}
}

// TestCloseGivesMemoryBackAtOnce: also while others have the table mapped; they find it
// shut, and empty.
func TestCloseGivesMemoryBackAtOnce(t *testing.T) {
	table := newMapped(t, 256<<20)
	fill(table, 10_000)
	table.Publish(causal.SignedVector{Vector: causal.VectorClock{1}})
	fd, m := shared(t, table), attached(t, table)
	r := m.NewReader()
	var v causal.Version
	// Somebody looks at a bucket whose sequence is zero, as all are afterwards.
	l := look{line: r.segments + (r.maxSegments-1)*segmentBytes, shape: table.region.load(offShape)}
	if !r.Slot([]byte("k1"), &v) || !r.holds(l) || memoryBytes(t, fd) < 100<<10 {
		t.Fatal("there was nothing before")
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	var s causal.SignedVector
	if r.Stability(&s); len(s.Vector) != 0 || !m.Shut() || r.Slot([]byte("k1"), &v) {
		t.Error("a closed table is read")
	}
	if r.holds(l) {
		t.Error("what was given back passes for what was there")
	}
	if n := memoryBytes(t, fd); n > headerBytes+osPage { // and the page that was looked at
		t.Errorf("%d bytes are still there", n)
	}
}

// TestCloseBesideReaders: who reads while the memory is given back sees no half of it.
// After the first split there are buckets whose sequence is zero, as it is afterwards.
func TestCloseBesideReaders(t *testing.T) {
	rng, rounds := rand.New(rand.NewSource(11)), 60
	if underRace {
		rounds = 10
	}
	for round := range rounds {
		table := newMapped(t, 64<<20)
		const keys = 16
		for i := range keys {
			table.Put(checked(fmt.Appendf(nil, "k%d", i), causal.Counter(round+1), 256<<10), causal.Complete)
		}
		for i := 0; len(table.index) == 1; i++ {
			table.Put(short(fmt.Appendf(nil, "short-%d", i), i), causal.Complete)
		}
		m := attached(t, table)
		var seen atomic.Int64
		var readers sync.WaitGroup
		readers.Go(func() {
			r := m.NewReader()
			for i := 0; !m.Shut(); i++ {
				var v causal.Version
				r.Stability(&causal.SignedVector{})
				if !r.Slot(fmt.Appendf(nil, "k%d", i%keys), &v) {
					continue
				}
				if seen.Add(1); !intact(&v) {
					t.Errorf("round %d: %s is torn", round, v.Key)
					return
				}
			}
		})
		for seen.Load() < int64(round%7+1) && !t.Failed() {
			runtime.Gosched()
		}
		for range rng.Intn(3000) { // up to the time of one read
			table.Publish(causal.SignedVector{})
		}
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
		readers.Wait()
	}
}

// TestNothingIsLeftBehind: no descriptor and no mapping, however a table was shared and
// whether it could be attached to.
func TestNothingIsLeftBehind(t *testing.T) {
	time.AfterFunc(time.Hour, func() {}).Stop() // The runtime's own files are opened with the first timer.
	count := func() (files, mappings int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries), strings.Count(string(maps), memoryName)
	}
	files, mappings := count()
	for i := range 300 {
		table, err := New(Options{Bytes: 1 << 20, Epoch: testEpoch})
		if err != nil {
			t.Fatal(err)
		}
		fill(table, 10)
		fd, err := table.Share()
		if err != nil {
			t.Fatal(err)
		}
		m, err := Attach(fd)
		if err != nil {
			t.Fatal(err)
		}
		table.region.store(offVersion, layoutVersion+1)
		if _, err := Attach(fd); !errors.Is(err, ErrLayout) {
			t.Fatalf("attached to another version: %v", err)
		}
		closers := []func() error{m.Close, table.Close, m.Close, table.Close, func() error { return unix.Close(fd) }}
		if i%2 == 1 {
			closers[0], closers[1] = closers[1], closers[0]
		}
		for _, closer := range closers {
			if err := closer(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f, m := count(); f != files || m != mappings {
		t.Errorf("%d descriptors and %d mappings, before it were %d and %d", f, m, files, mappings)
	}
}
