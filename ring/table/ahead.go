package table

import (
	"unsafe"

	"github.com/dchest/siphash"
)

// Ahead is how far a reader has looked ahead for one key.
type Ahead struct {
	hash  uint64
	lines [2]uint64 // its buckets; zero where there are none
}

// Whoever has several keys to read does so in three passes: Approach for each, then
// Reach for each, then Slot for each. Each pass asks for memory that the next one
// needs, and none waits for it, so the processor fetches for all keys at once. What
// they find is a guess, and is used for nothing else: Slot looks for itself.

// Approach asks for the buckets that key may be in.
func (r *Reader) Approach(key []byte, a *Ahead) {
	m := &r.region
	a.hash, a.lines = siphash.Hash(r.key0, r.key1, key), [2]uint64{}
	depth := m.load(offDepth)
	if depth > r.maxDepth {
		return
	}
	s := m.load(r.directory + a.hash&(1<<depth-1)*wordBytes)
	if s >= r.maxSegments {
		return
	}
	start, b := r.segments+s*segmentBytes, firstBucket(a.hash)
	a.lines = [2]uint64{start + b*bucketBytes, start + otherBucket(b, slotTag(a.hash))*bucketBytes}
	prefetch(unsafe.Pointer(m.word(a.lines[0])))
	prefetch(unsafe.Pointer(m.word(a.lines[1])))
}

// Reach asks for the entry that is likely the key's.
func (r *Reader) Reach(a *Ahead) {
	m := &r.region
	tag := slotTag(a.hash)
	for _, line := range a.lines {
		if line == 0 {
			return
		}
		for slot := line + wordBytes; slot < line+bucketBytes; slot += wordBytes {
			w := m.load(slot)
			off := slotPlace(w)
			if slotTag(w) != tag || off < r.blocks || off > m.bytes-bucketBytes {
				continue
			}
			prefetch(unsafe.Pointer(m.word(off)))
			prefetch(unsafe.Pointer(m.word(off + bucketBytes - wordBytes)))
			return
		}
	}
}
