package table

import (
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/dchest/siphash"
	"golang.org/x/sys/unix"

	"causalmesh/causal"
)

// workload is keys of 12 bytes with values of 8, and the order to read them in.
type workload struct {
	keys  [][]byte // all in flat
	flat  []byte
	order []uint32
}

const keyLength = 12

func newWorkload(n int, zipf bool) *workload {
	w := &workload{order: make([]uint32, 1<<20), flat: make([]byte, 0, n*keyLength)}
	for i := range n {
		w.flat = fmt.Appendf(w.flat, "key-%08d", i)
		w.keys = append(w.keys, w.key(i))
	}
	rng := rand.New(rand.NewSource(1))
	z := rand.NewZipf(rng, 1.01, 1, uint64(n-1))
	for i := range w.order {
		w.order[i] = uint32(rng.Intn(n))
		if zipf {
			w.order[i] = uint32(z.Uint64())
		}
	}
	return w
}

func (w *workload) key(i int) []byte  { return w.flat[i*keyLength : (i+1)*keyLength] }
func (w *workload) next(i int) []byte { return w.key(int(w.order[i&(1<<20-1)])) }

func short(key []byte, counter int) *causal.Version {
	return &causal.Version{
		Key: key, Value: []byte("8 bytes."), Epoch: testEpoch,
		Dot: causal.Dot{Counter: causal.Counter(counter + 1)}, Stamp: causal.Stamp{Time: causal.Time(counter + 1)},
	}
}

func (w *workload) fill(table causal.Table) {
	for i, key := range w.keys {
		table.Put(short(key, i), causal.Complete)
	}
	table.Reuse()
}

// cpuTime reports, when it is called again, the processor time of this thread for each
// operation: the machine may be busy with other things.
func cpuTime(b *testing.B) func() {
	runtime.LockOSThread()
	start := threadTime(b)
	return func() {
		b.ReportMetric(float64(threadTime(b)-start)/float64(b.N), "cpu-ns/op")
		runtime.UnlockOSThread()
	}
}

func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

// lockedMap is what a Go program would do without this package.
type lockedMap struct {
	mu sync.RWMutex
	m  map[string]*causal.Version
}

func (m *lockedMap) Slot(key []byte, v *causal.Version) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := m.m[string(key)]
	if w == nil {
		return false
	}
	*v = *w
	return true
}

// BenchmarkHash waits for each hash, as a look-up has to.
func BenchmarkHash(b *testing.B) {
	key, h := newWorkload(1, false).key(0), uint64(0)
	defer cpuTime(b)()
	for b.Loop() {
		h = siphash.Hash(h, 1, key)
	}
}

func benchmarkSlot(b *testing.B, w *workload, r *Reader) {
	b.ReportAllocs()
	var v causal.Version
	var s causal.SignedVector
	for _, key := range w.keys { // the first look at a page maps it
		if !r.Slot(key, &v) {
			b.Fatal("not there")
		}
		r.Stability(&s)
	}
	b.ResetTimer()
	defer cpuTime(b)()
	for i := 0; b.Loop(); i++ {
		if i&15 == 0 {
			r.Stability(&s)
		}
		if !r.Slot(w.next(i), &v) {
			b.Fatal("not there")
		}
	}
}

// BenchmarkRead reads short entries: the writer's Get, the Slot of a reader here and of
// one in a mapping like another process's, and a Go map under a lock beside them.
func BenchmarkRead(b *testing.B) {
	for _, shape := range []struct {
		name string
		n    int
		zipf bool
	}{{"zipf-2k", 2000, true}, {"zipf-100k", 100_000, true}, {"uniform-100k", 100_000, false}, {"zipf-2M", 2_000_000, true}, {"uniform-2M", 2_000_000, false}} {
		w := newWorkload(shape.n, shape.zipf)
		table := newMapped(b, 1<<30)
		w.fill(table)
		locked := &lockedMap{m: map[string]*causal.Version{}}
		for i, key := range w.keys {
			locked.m[string(key)] = short(key, i)
		}
		var v causal.Version
		b.Run(shape.name+"/key-alone", func(b *testing.B) { // what of the rest is the workload's
			defer cpuTime(b)()
			for i := 0; b.Loop(); i++ {
				v.Dot.Counter += causal.Counter(w.next(i)[0])
			}
		})
		b.Run(shape.name+"/get", func(b *testing.B) {
			b.ReportAllocs()
			defer cpuTime(b)()
			for i := 0; b.Loop(); i++ {
				table.Get(w.next(i), &v)
			}
		})
		b.Run(shape.name+"/slot", func(b *testing.B) { benchmarkSlot(b, w, table.NewReader()) })
		b.Run(shape.name+"/attached", func(b *testing.B) { benchmarkSlot(b, w, attached(b, table).NewReader()) })
		b.Run(shape.name+"/locked-map", func(b *testing.B) {
			defer cpuTime(b)()
			for i := 0; b.Loop(); i++ {
				locked.Slot(w.next(i), &v)
			}
		})
		if err := table.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut replaces entries of a table of 100,000.
func BenchmarkPut(b *testing.B) {
	w := newWorkload(100_000, true)
	for _, c := range []struct {
		name  string
		table causal.Table
	}{{"table", newMapped(b, 1<<30)}, {"heap-table", causal.NewHeapTable()}} {
		w.fill(c.table)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			v := short(nil, 0)
			defer cpuTime(b)()
			for i := 0; b.Loop(); i++ {
				v.Key = w.next(i)
				c.table.Put(v, causal.Complete)
				if i&7 == 0 {
					c.table.Reuse()
				}
			}
		})
	}
}

// BenchmarkPutLarge replaces values of 1 MiB.
func BenchmarkPutLarge(b *testing.B) {
	for _, c := range []struct {
		name  string
		table causal.Table
	}{{"table", newMapped(b, 1<<30)}, {"heap-table", causal.NewHeapTable()}} {
		b.Run(c.name, func(b *testing.B) {
			v := &causal.Version{Value: make([]byte, 1<<20), Stamp: causal.Stamp{Time: 1}}
			b.SetBytes(1 << 20)
			defer cpuTime(b)()
			for i := 0; b.Loop(); i++ {
				v.Key = fmt.Appendf(v.Key[:0], "k%d", i%10)
				c.table.Put(v, causal.Complete)
				c.table.Reuse()
			}
		})
	}
}

// BenchmarkPutNew puts new entries into a table that grows to two million.
func BenchmarkPutNew(b *testing.B) {
	w := newWorkload(2_000_000, false)
	table := newMapped(b, 1<<30)
	defer cpuTime(b)()
	for i := 0; b.Loop(); i++ {
		key := w.keys[i%len(w.keys)]
		if i > 0 && i%len(w.keys) == 0 {
			b.StopTimer()
			if err := table.Close(); err != nil {
				b.Fatal(err)
			}
			table = newMapped(b, 1<<30)
			b.StartTimer()
		}
		table.Put(short(key, i), causal.Complete)
		if i&7 == 0 {
			table.Reuse()
		}
	}
}

// BenchmarkPause looks for the longest Put, and the longest Reuse, while a table grows
// to two million entries and shrinks to half of that again, in processor time: the first
// touch of memory is in it. What it takes to look is left in.
func BenchmarkPause(b *testing.B) {
	w := newWorkload(2_000_000, false)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var put, reuse, sweep []int64
	timed := func(into *[]int64, f func()) {
		start := threadTime(b)
		f()
		*into = append(*into, threadTime(b)-start)
	}
	evict := func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove }
	for b.Loop() {
		table := newMapped(b, 1<<30)
		for i, key := range w.keys {
			v := short(key, i)
			timed(&put, func() { table.Put(v, causal.Complete) })
			if i&7 == 0 {
				timed(&reuse, table.Reuse)
			}
		}
		for table.Len() > len(w.keys)/2 {
			timed(&sweep, func() { table.Sweep(256, false, evict) })
			timed(&reuse, table.Reuse)
		}
		if err := table.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		times []int64
	}{{"put", put}, {"reuse", reuse}, {"sweep-256", sweep}} {
		slices.Sort(c.times)
		last := len(c.times) - 1
		b.ReportMetric(float64(c.times[last])/1e3, c.name+"-max-µs")
		b.ReportMetric(float64(c.times[last-last/10_000])/1e3, c.name+"-p99.99-µs")
	}
}
