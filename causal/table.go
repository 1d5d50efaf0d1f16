package causal

// Presence says how much a table knows of a key.
type Presence uint8

// What a table knows of a key.
const (
	// Missing: nothing; the key may exist in the database.
	Missing Presence = iota
	// Incomplete: a version, but a higher one may have been evicted. Not readable.
	Incomplete
	// Complete: the highest stable version, or that there is none.
	Complete
)

// Table is the visible state of a server: the C-cache and the stability vector.
// The server is its only writer. Others may read it at any time, so the server
// publishes values first and the vector that covers them last, at the end of a
// whole step.
type Table interface {
	// Get copies what is known of key to v. The slices of v stay valid until Reuse,
	// whatever is put or removed until then: replies and messages refer to them.
	Get(key []byte, v *Version) Presence
	// Put stores a copy of v, in place of what was there for its key. A table may
	// leave out Deps and Carried: nobody needs those of a visible version.
	Put(v *Version, p Presence)
	// Remove forgets a key.
	Remove(key []byte)
	// Sweep shows up to n entries to visit, none twice, going round all of them over
	// time; entries read since the hand last passed are skipped once if spare is set.
	Sweep(n int, spare bool, visit func(v *Version, p Presence) Verdict)
	// Reuse allows the memory of what was replaced or removed before to be used again:
	// nobody refers to it any more. The server calls it at the beginning of each Step
	// and Tick.
	Reuse()
	// Publish makes S visible, with its tag. Everything that it covers has been put.
	Publish(stable SignedVector)
	// Len is the number of entries, Bytes the memory they are charged with.
	Len() int
	Bytes() int
}

// Verdict is what a visit decides on an entry.
type Verdict uint8

// The verdicts.
const (
	Keep   Verdict = iota
	Remove         // forget the entry
	Enough         // keep it, and end the sweep
)

// HeapTable is a Table in Go memory for a single goroutine.
type HeapTable struct {
	entries map[string]*heapEntry
	ring    []*heapEntry // the eviction hand goes round it
	hand    int
	bytes   int
}

type heapEntry struct {
	version  *Version // never changed, but replaced: what Get gave out stays valid
	presence Presence
	used     bool // since the hand last passed
	place    int  // index in ring
}

// NewHeapTable returns an empty table.
func NewHeapTable() *HeapTable { return &HeapTable{entries: map[string]*heapEntry{}} }

// Get implements Table.
func (t *HeapTable) Get(key []byte, v *Version) Presence {
	e := t.entries[string(key)]
	if e == nil {
		return Missing
	}
	e.used = true
	*v = *e.version
	return e.presence
}

// Put implements Table.
func (t *HeapTable) Put(v *Version, p Presence) {
	e := t.entries[string(v.Key)]
	if e == nil {
		e = &heapEntry{place: len(t.ring)}
		t.entries[string(v.Key)] = e
		t.ring = append(t.ring, e)
	} else {
		t.bytes -= e.version.Bytes()
	}
	e.version, e.presence, e.used = v.Clone(), p, true
	t.bytes += v.Bytes()
}

// Remove implements Table.
func (t *HeapTable) Remove(key []byte) {
	e := t.entries[string(key)]
	if e == nil {
		return
	}
	delete(t.entries, string(key))
	t.bytes -= e.version.Bytes()
	last := t.ring[len(t.ring)-1]
	t.ring[e.place], last.place = last, e.place
	t.ring[len(t.ring)-1] = nil
	t.ring = t.ring[:len(t.ring)-1]
}

// Sweep implements Table with a clock hand: a second chance for what was used.
func (t *HeapTable) Sweep(n int, spare bool, visit func(v *Version, p Presence) Verdict) {
	for n = min(n, len(t.ring)); n > 0; n-- {
		if t.hand >= len(t.ring) {
			t.hand = 0
		}
		e := t.ring[t.hand]
		if spare && e.used {
			e.used = false
			t.hand++
			continue
		}
		switch visit(e.version, e.presence) {
		case Remove:
			t.Remove(e.version.Key)
		case Keep:
			t.hand++
		case Enough:
			return
		}
	}
}

// Reuse implements Table: the garbage collector knows what is referred to.
func (t *HeapTable) Reuse() {}

// Publish implements Table. Nobody else reads a HeapTable.
func (t *HeapTable) Publish(SignedVector) {}

// Len implements Table.
func (t *HeapTable) Len() int { return len(t.entries) }

// Bytes implements Table.
func (t *HeapTable) Bytes() int { return t.bytes }
