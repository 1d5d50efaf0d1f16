package table

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"causalmesh/causal"
)

// Options are the settings of a table.
type Options struct {
	// Bytes is the most that versions and index may ever take, with what a step has
	// replaced or removed; 0 stands for the machine's memory. It costs address space
	// only. To put more is a mistake of the caller's, who has to evict: Put panics.
	Bytes int64
	// Epoch is the cluster's.
	Epoch causal.Epoch
}

// Table is a causal.Table off the Go heap.
type Table struct {
	region     region
	geometry   geometry
	epoch      causal.Epoch
	key0, key1 uint64
	blocks     *allocator
	pending    []uint64 // blocks retired since the last Reuse

	index        []segment
	freeSegments []uint32
	depths       [depthBits + 1]int // segments by depth
	depth        uint8              // of the directory
	entries      int
	sparse       []uint32 // segments that may have to be merged
	strays       strays
	hand         hand

	// Memory of split, merge and Sweep.
	moving  []uint16
	trial   trial
	visited causal.Version

	unchecked int // calls of mustHold since it has looked
}

var _ causal.Table = (*Table)(nil)

// New returns an empty table. Close gives its memory back.
func New(o Options) (*Table, error) {
	n, err := o.bytes()
	if err != nil {
		return nil, err
	}
	g := layOut(n)
	r, err := mapRegion(g.bytes)
	if err != nil {
		return nil, err
	}
	return newTable(r, g, o.Epoch), nil
}

// NewOnHeap returns an empty table in memory of the Go heap, for the race detector: it
// does not see other memory.
func NewOnHeap(o Options) (*Table, error) {
	n, err := o.bytes()
	if err != nil {
		return nil, err
	}
	g := layOut(n)
	return newTable(regionOver(make([]uint64, g.bytes/wordBytes)), g, o.Epoch), nil
}

func (o *Options) bytes() (uint64, error) {
	if o.Bytes < 0 {
		return 0, fmt.Errorf("table: Options.Bytes is %d", o.Bytes)
	}
	if o.Bytes > 0 {
		return uint64(o.Bytes), nil
	}
	return machineBytes()
}

func newTable(r region, g geometry, epoch causal.Epoch) *Table {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	t := &Table{
		region: r, geometry: g, epoch: epoch,
		key0: binary.NativeEndian.Uint64(key[:8]), key1: binary.NativeEndian.Uint64(key[8:]),
	}
	t.blocks = newAllocator(&t.region, &t.geometry)
	t.newIndex()
	h := t.header()
	h.write()
	return t
}

// Get implements causal.Table.
func (t *Table) Get(key []byte, v *causal.Version) causal.Presence {
	slot, w := t.find(t.hash(key), key)
	if slot == 0 {
		if i, ok := t.strays.find(key); ok {
			t.strays.slots[i] |= slotUsed
			return t.entry(slotPlace(t.strays.slots[i]), v)
		}
		return causal.Missing
	}
	if w&slotUsed == 0 {
		t.region.store(slot, w|slotUsed)
	}
	return t.entry(slotPlace(w), v)
}

// Put implements causal.Table. It leaves out Deps and Carried. Keys and values within
// MaxKeyBytes and MaxValueBytes are the caller's promise.
func (t *Table) Put(v *causal.Version, p causal.Presence) {
	if len(v.Key) > MaxKeyBytes || len(v.Value) > MaxValueBytes {
		panic(fmt.Sprintf("table: a key of %d bytes with a value of %d bytes was let through", len(v.Key), len(v.Value)))
	}
	h := t.hash(v.Key)
	small := t.smallWord(v, p)
	off := t.blocks.alloc(entryBytes(small))
	t.region.storeEntry(off, small, v)
	slot, old := t.find(h, v.Key)
	if slot != 0 {
		t.set(slot, slotOf(h, off))
		t.retire(slotPlace(old))
		return
	}
	if i, ok := t.strays.find(v.Key); ok {
		t.dropStray(i) // perhaps there is room by now
	}
	t.insert(h, slotOf(h, off), v.Key)
}

// Remove implements causal.Table.
func (t *Table) Remove(key []byte) {
	if slot, _ := t.find(t.hash(key), key); slot != 0 {
		t.drop(slot)
	} else if i, ok := t.strays.find(key); ok {
		t.dropStray(i)
	}
}

func (t *Table) dropStray(i int) {
	off := slotPlace(t.strays.slots[i])
	t.strays.remove(i)
	t.entries--
	t.retire(off)
}

// retire takes a block out of use; until Reuse it stays as it is.
func (t *Table) retire(off uint64) {
	t.blocks.retire(entryBytes(t.region.load(off + entrySmall)))
	t.pending = append(t.pending, off)
}

// Reuse implements causal.Table. The work that has no hurry is done here, some at a
// time.
func (t *Table) Reuse() {
	budget := compactStep
	for _, off := range t.pending {
		n := entryBytes(t.region.load(off + entrySmall))
		t.blocks.free(off, n)
		budget += compactRatio * int(n)
	}
	steps := mergeSteps + len(t.pending)/mergeRatio
	if t.pending = t.pending[:0]; cap(t.pending) > keepPending {
		t.pending = nil
	}
	t.mergeSparse(steps)
	t.compact(budget)
	if invariants {
		t.mustHold()
	}
}

// keepPending is how many retired blocks a table has memory for at rest.
const keepPending = 4096

// Publish implements causal.Table.
func (t *Table) Publish(stable causal.SignedVector) {
	r := &t.region
	s := r.load(offStableSequence)
	r.store(offStableSequence, s+1)
	r.store(offStableLength, uint64(len(stable.Vector)))
	r.store(offStableTag, binary.NativeEndian.Uint64(stable.Tag[:8]))
	r.store(offStableTag+wordBytes, binary.NativeEndian.Uint64(stable.Tag[8:]))
	for i, c := range stable.Vector {
		if i == causal.MaxReplicas {
			panic("table: a vector of more servers than there can be")
		}
		r.store(offStable+uint64(i)*wordBytes, uint64(c))
	}
	r.store(offStableSequence, s+2)
}

// Len implements causal.Table.
func (t *Table) Len() int { return t.entries }

// Bytes implements causal.Table: blocks in use and the index.
func (t *Table) Bytes() int { return int(t.blocks.live) + t.indexBytes() }

// Held is the memory that the table really takes of the system, or keeps: Bytes, what
// waits for Reuse, and what is free in pages that have to be kept.
func (t *Table) Held() int { return int(t.blocks.held) + t.indexBytes() + headerBytes }

func (t *Table) indexBytes() int {
	directory := max(osPage, wordBytes<<t.depth)
	return (len(t.index)-len(t.freeSegments))*segmentBytes + directory + len(t.strays.slots)*strayBytes
}

// Shut makes all readers give up, now and for good: what the table holds is not to be
// believed any more.
func (t *Table) Shut() { t.region.store(offShut, 1) }

// Share returns a new descriptor of the table, through which it can only be read, for
// another process to Attach. The caller closes it. A table on the Go heap, or closed,
// cannot be shared.
func (t *Table) Share() (fd int, err error) { return t.region.share() }

// Beat tells whoever has attached that the writer lives: now is more than before. What
// it counts is between the two; nanoseconds of CLOCK_MONOTONIC are the same for all
// processes of a machine.
func (t *Table) Beat(now uint64) { t.region.store(offBeat, now) }

// Close gives the memory back, also if other processes have attached and stay. No
// reader of this process may be in use any more, nor anything that Get has returned.
func (t *Table) Close() error {
	if t.region.base == nil {
		return nil
	}
	t.Shut()
	// Others may be in the middle of a look. The header stays, and the shape in it is
	// what tells them that the zeros they find are no part of any entry.
	t.beginShape()
	t.region.release(headerBytes, t.region.bytes-headerBytes)
	return t.region.close()
}
