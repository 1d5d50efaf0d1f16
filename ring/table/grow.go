package table

import "math/bits"

// The index is extendible hashing. The directory's word i names the segment of all
// hashes whose low bits are i; a segment of depth d is named by all i that agree in
// their low d bits. A full segment splits in two, by the next bit. The bucket and the
// tag come from other bits, so an entry keeps its bucket and a split cannot fail.
const (
	// depthSlack bounds how much deeper than on average a segment may be split: 2^4
	// words of the directory for each segment are 3% of it.
	depthSlack = 4
	// mergeCount is at how many entries two segments become one again: well below what
	// one splits at, or they would take turns.
	mergeCount = segmentSlots * 2 / 5
	// One Reuse looks at mergeSteps segments, and one more for so many blocks freed.
	mergeSteps = 4
	mergeRatio = 64
)

// segment is what the writer knows of a segment.
type segment struct {
	suffix uint64 // the low bits of its hashes
	count  uint16 // entries
	depth  uint8  // how many bits
	listed bool   // among those to look at: it may be merged
	live   bool
}

// newIndex makes an index of one segment.
func (t *Table) newIndex() {
	t.index = append(t.index, segment{live: true})
	t.depths[0] = 1
	t.region.store(t.geometry.directory, 0)
}

// addSegment returns an empty segment, false if there is no room for one.
func (t *Table) addSegment(m segment) (uint64, bool) {
	s := uint64(len(t.index))
	if n := len(t.freeSegments); n > 0 {
		s, t.freeSegments = uint64(t.freeSegments[n-1]), t.freeSegments[:n-1]
	} else if s == t.geometry.maxSegments {
		return 0, false
	} else {
		t.index = append(t.index, segment{})
	}
	m.live = true
	m.listed = t.index[s].listed
	t.index[s] = m
	t.depths[m.depth]++
	start := t.segmentStart(s)
	for at := start; at < start+segmentBytes; at += bucketBytes {
		// The sequence goes on where it was: zero, if the memory was given back.
		for slot := at + wordBytes; slot < at+bucketBytes; slot += wordBytes {
			t.region.store(slot, 0)
		}
	}
	return s, true
}

// removeSegment gives back the memory of a segment that no directory word names.
// Addresses of segments are never used for anything else: an in-process reader that
// comes late may mark a slot there as used.
func (t *Table) removeSegment(s uint64) {
	m := &t.index[s]
	t.depths[m.depth]--
	m.live, m.count = false, 0
	t.freeSegments = append(t.freeSegments, uint32(s))
	t.region.release(t.segmentStart(s), segmentBytes)
}

// maxDepth is how deep the index may be now.
func (t *Table) maxDepth() uint8 {
	live := len(t.index) - len(t.freeSegments)
	return uint8(min(t.geometry.maxDepth, uint64(bits.Len(uint(live)))+depthSlack))
}

// split makes two segments of one and reports whether it could.
func (t *Table) split(s uint64) bool {
	old := t.index[s]
	if old.depth >= t.maxDepth() {
		return false
	}
	bit := uint64(1) << old.depth
	n, ok := t.addSegment(segment{suffix: old.suffix | bit, depth: old.depth + 1})
	if !ok {
		return false
	}
	// First find out what moves, so that the change is short.
	from, to := t.segmentStart(s), t.segmentStart(n)
	moving := t.moving[:0]
	for line := from; line < from+segmentBytes; line += bucketBytes {
		for slot := line + wordBytes; slot < line+bucketBytes; slot += wordBytes {
			w := t.region.load(slot)
			if slotPlace(w) != 0 && t.hash(t.keyAt(slotPlace(w)))&bit != 0 {
				moving = append(moving, uint16(slot-from))
			}
		}
	}
	t.moving = moving
	t.beginShape()
	for _, m := range moving {
		slot := uint64(m)
		t.region.store(to+slot, t.region.load(from+slot))
		t.region.store(from+slot, 0)
	}
	if old.depth == t.depth {
		t.doubleDirectory()
	}
	t.name(old.suffix|bit, old.depth+1, n)
	t.endShape()
	t.index[s].depth++
	t.depths[old.depth]--
	t.depths[old.depth+1]++
	t.index[s].count -= uint16(len(moving))
	t.index[n].count = uint16(len(moving))
	return true
}

// While the shape's sequence is odd, and whenever it has changed, readers start anew.
func (t *Table) beginShape() { t.region.store(offShape, t.region.load(offShape)+1) }
func (t *Table) endShape()   { t.beginShape() }

// name makes the directory name segment s for all hashes with a suffix.
func (t *Table) name(suffix uint64, depth uint8, s uint64) {
	for i := suffix; i < 1<<t.depth; i += 1 << depth {
		t.region.store(t.geometry.directory+i*wordBytes, s)
	}
}

func (t *Table) doubleDirectory() {
	n := uint64(wordBytes) << t.depth
	t.region.copyWords(t.geometry.directory+n, t.geometry.directory, n)
	t.setDepth(t.depth + 1)
}

func (t *Table) setDepth(d uint8) {
	t.depth = d
	t.region.store(offDepth, uint64(d))
}

// noteSparse remembers a segment that may have to be merged.
func (t *Table) noteSparse(s uint64) {
	if m := &t.index[s]; m.count <= mergeCount && !m.listed && m.depth > 0 {
		m.listed = true
		t.sparse = append(t.sparse, uint32(s))
	}
}

// mergeSparse merges segments that have become empty enough, some at a time.
func (t *Table) mergeSparse(steps int) {
	for range min(steps, len(t.sparse)) {
		n := len(t.sparse) - 1
		s := uint64(t.sparse[n])
		t.sparse = t.sparse[:n]
		t.index[s].listed = false
		if t.index[s].live && t.index[s].depth > 0 {
			t.merge(s)
		}
	}
	for t.depth > 0 && t.depths[t.depth] == 0 {
		t.halveDirectory()
	}
}

// merge joins a segment with the one that it was split from, if both fit well.
func (t *Table) merge(s uint64) {
	m := t.index[s]
	bit := uint64(1) << (m.depth - 1)
	other := t.segmentOf(m.suffix ^ bit)
	o := t.index[other]
	if o.depth != m.depth || m.count+o.count > mergeCount {
		return
	}
	if m.suffix&bit == 0 {
		s, other, m, o = other, s, o, m
	}
	// s, whose suffix has the bit, goes into other. It is tried on a copy first.
	if !t.trial.fill(t, t.segmentStart(other), t.segmentStart(s)) {
		return
	}
	start := t.segmentStart(other)
	t.beginShape()
	t.name(m.suffix, m.depth, other)
	for i, w := range t.trial {
		if i%(bucketSlots+1) != 0 {
			t.region.store(start+uint64(i)*wordBytes, w)
		}
	}
	t.endShape()
	keep := &t.index[other]
	keep.depth--
	keep.count += m.count
	t.depths[keep.depth+1]--
	t.depths[keep.depth]++
	t.removeSegment(s)
	t.noteSparse(other)
}

func (t *Table) halveDirectory() {
	t.beginShape()
	t.setDepth(t.depth - 1)
	t.endShape()
	if n := uint64(wordBytes) << t.depth; n >= osPage {
		t.region.release(t.geometry.directory+n, n)
	}
}

// trial is a copy of a segment, to see whether another's entries fit.
type trial [segmentBuckets * (bucketSlots + 1)]uint64

func (c *trial) fill(t *Table, into, from uint64) bool {
	t.region.loadWords(c[:], into)
	for b := range uint64(segmentBuckets) {
		for slot := uint64(1); slot <= bucketSlots; slot++ {
			w := t.region.load(from + b*bucketBytes + slot*wordBytes)
			if slotPlace(w) != 0 && !c.add(b, w) && !c.add(otherBucket(b, slotTag(w)), w) {
				return false
			}
		}
	}
	return true
}

func (c *trial) add(b, w uint64) bool {
	line := c[b*(bucketSlots+1) : (b+1)*(bucketSlots+1)]
	for i := 1; i < len(line); i++ {
		if slotPlace(line[i]) == 0 {
			line[i] = w
			return true
		}
	}
	return false
}
