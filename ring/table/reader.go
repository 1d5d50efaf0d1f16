package table

import (
	"encoding/binary"
	"unsafe"

	"github.com/dchest/siphash"

	"causalmesh/causal"
)

// Reader is a causal.View of a table, beside its writer. Each goroutine needs its own.
type Reader struct {
	header
	mark bool // tell the eviction hand what was read: the one thing that a reader writes

	words []uint64 // memory of what Slot has returned since the last Stability
	used  int

	// What Stability has last put where, at which sequence.
	stable   *causal.SignedVector
	sequence uint64
}

var _ causal.View = (*Reader)(nil)

// NewReader returns a reader for one goroutine of this process.
func (t *Table) NewReader() *Reader { return &Reader{header: t.header(), mark: true} }

// Epoch is the table's, for causal.DirectRead.
func (r *Reader) Epoch() causal.Epoch { return r.epoch }

// How long a reader tries to catch the writer at rest before it gives up. A writer
// that was put off the processor may take any time.
const (
	tries = 16
	spins = 128 // looks at a sequence that is odd
)

// settled waits a little for a sequence to be even.
func (r *Reader) settled(off uint64) (uint64, bool) {
	for range spins {
		if s := r.region.load(off); s&1 == 0 {
			return s, true
		}
	}
	return 0, false
}

// Stability implements causal.View. If it cannot read S in one piece it returns the
// empty vector: that covers nothing. Whoever passes the same into again has left it as it
// was: as long as S is the same, it is not copied again.
func (r *Reader) Stability(into *causal.SignedVector) {
	r.recycle()
	m := &r.region
	for range tries {
		s, ok := r.settled(offStableSequence)
		if !ok || m.load(offShut) != 0 {
			break
		}
		if into == r.stable && s == r.sequence {
			return
		}
		n := min(m.load(offStableLength), causal.MaxReplicas)
		binary.NativeEndian.PutUint64(into.Tag[:8], m.load(offStableTag))
		binary.NativeEndian.PutUint64(into.Tag[8:], m.load(offStableTag+wordBytes))
		into.Vector = into.Vector[:0]
		for i := range n {
			into.Vector = append(into.Vector, causal.Counter(m.load(offStable+i*wordBytes)))
		}
		if m.load(offStableSequence) == s {
			r.stable, r.sequence = into, s
			return
		}
	}
	r.stable = nil
	into.Vector, into.Tag = into.Vector[:0], causal.Tag{}
}

// outcome is what one look came to.
type outcome uint8

const (
	torn  outcome = iota // the writer was there meanwhile
	found                // v holds
	none                 // nothing that may be read
)

// Slot implements causal.View. The key of v is the caller's; if Slot returns false, what
// v holds means nothing.
func (r *Reader) Slot(key []byte, v *causal.Version) bool {
	if len(key) > MaxKeyBytes {
		return false
	}
	h := siphash.Hash(r.key0, r.key1, key)
	for range tries {
		switch r.look(h, key, v) {
		case found:
			return true
		case none:
			return false
		}
	}
	return false
}

// look searches both buckets once.
func (r *Reader) look(h uint64, key []byte, v *causal.Version) outcome {
	m := &r.region
	shape, ok := r.settled(offShape)
	if !ok || m.load(offShut) != 0 {
		return none
	}
	depth := m.load(offDepth)
	if depth > r.maxDepth {
		return none
	}
	s := m.load(r.directory + h&(1<<depth-1)*wordBytes)
	if s >= r.maxSegments {
		return none
	}
	start := r.segments + s*segmentBytes
	tag, b := slotTag(h), firstBucket(h)
	// To wait for both buckets at once is sooner than for one after the other.
	lines := [2]uint64{start + b*bucketBytes, start + otherBucket(b, tag)*bucketBytes}
	m.load(lines[1])
	var sequences [2]uint64
	for i, line := range lines {
		sequence, ok := r.settled(line)
		if !ok {
			return none
		}
		for slot := line + wordBytes; slot < line+bucketBytes; slot += wordBytes {
			w := m.load(slot)
			if slotTag(w) != tag || slotPlace(w) == 0 {
				continue
			}
			switch r.take(look{line, sequence, shape}, slotPlace(w), key, v) {
			case found:
				if r.mark && w&slotUsed == 0 {
					m.or(slot, slotUsed)
				}
				return found
			case torn:
				return torn
			}
		}
		sequences[i] = sequence
	}
	// An entry that moved from the second to the first bucket would have been missed.
	if m.load(lines[0]) != sequences[0] || m.load(lines[1]) != sequences[1] || m.load(offShape) != shape {
		return torn
	}
	return none
}

// look is what has to stay as it was while an entry is read.
type look struct{ line, sequence, shape uint64 }

func (r *Reader) holds(l look) bool {
	return r.region.load(l.line) == l.sequence && r.region.load(offShape) == l.shape
}

// longValue is from where on a reader makes sure of an entry before it copies it, and
// again for each page of it.
const longValue = 1 << 10

// loadLong copies words of an entry as long as look holds: to read where memory was given
// back would take some again, and nobody would know of it.
func (r *Reader) loadLong(to []uint64, off uint64, l look) bool {
	for len(to) > 0 {
		if !r.holds(l) {
			return false
		}
		n := min(len(to), int(osPage-off%osPage)/wordBytes)
		r.region.loadWords(to[:n], off)
		to, off = to[n:], off+uint64(n)*wordBytes
	}
	return true
}

// take reads the entry at off if it is key's: none says that it is another's, or that
// it must not be read, and v then means nothing. Nothing that it loads is believed before
// holds.
func (r *Reader) take(l look, off uint64, key []byte, v *causal.Version) outcome {
	m := &r.region
	if off < r.blocks || off > m.bytes-entryMore {
		return none
	}
	// Most entries end on the next cache line; behind the page there may be no memory.
	if off%osPage <= osPage-bucketBytes {
		m.load(off + bucketBytes - wordBytes)
	}
	small := m.load(off + entrySmall)
	k, n := keyBytes(small), valueBytes(small)
	at := off + headBytes(small)
	if k != uint64(len(key)) || n > MaxValueBytes || at+k+n+wordBytes > m.bytes {
		return none
	}
	if k+n > longValue && !r.holds(l) {
		return torn // before memory is made for what may be no length
	}
	to := r.room(k + n)
	if k+n <= longValue {
		m.loadWords(to, at)
	} else if !r.loadLong(to, at, l) {
		return torn
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(to))), k+n)
	if string(b[:k]) != string(key) {
		return none
	}
	p := decodeHead(m.load(off+entryCounter), m.load(off+entryTime), small, m.loadMore(off, small), r.epoch, v)
	if !r.holds(l) {
		return torn
	}
	if p != causal.Complete {
		return none
	}
	v.Key = key
	if small&flagValue != 0 {
		v.Value = b[k : k+n : k+n]
	}
	r.used += len(to)
	return found
}

// Memory for what is read: at least minWords at a time, at most keepWords kept.
const (
	minWords  = 512
	keepWords = 1 << 20
)

// recycle lets the memory of what was read before be used again.
func (r *Reader) recycle() {
	if r.used = 0; len(r.words) > keepWords {
		r.words = nil
	}
}

// room is memory for n bytes that is the caller's until Stability, once used is raised.
func (r *Reader) room(n uint64) []uint64 {
	words := int(n+wordBytes-1) / wordBytes
	if r.used+words > len(r.words) {
		// What was returned before keeps the old piece.
		r.words, r.used = make([]uint64, max(minWords, words, 2*min(len(r.words), keepWords/2))), 0
	}
	return r.words[r.used : r.used+words]
}
