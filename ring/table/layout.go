package table

import (
	"math/bits"

	"causalmesh/causal"
)

// The layout of the region: what other processes see. All offsets are in bytes from
// its start, all words are 64 bits in the machine's byte order. A change of anything
// here is a new layoutVersion.
//
//	header │ directory │ segments │ small blocks │ large blocks, one range per size
const (
	magic         = 0x63_61_75_73_6d_65_73_68 // "causmesh"
	layoutVersion = 2

	osPage    = 4096 // what memory is taken and given back in
	wordBytes = 8
)

// Words of the header: what is never changed, in the first two cache lines.
const (
	offMagic       = 0 * wordBytes
	offVersion     = 1 * wordBytes
	offBytes       = 2 * wordBytes // of the region
	offEpoch       = 3 * wordBytes
	offKey0        = 4 * wordBytes // of the keyed hash
	offKey1        = 5 * wordBytes
	offDirectory   = 6 * wordBytes
	offMaxDepth    = 7 * wordBytes
	offSegments    = 8 * wordBytes
	offMaxSegments = 9 * wordBytes
	offBlocks      = 10 * wordBytes // from here to the end
)

// Words that change seldom: the shape of the index and whether the table is shut.
const (
	offShape = 16 * wordBytes // sequence: odd while entries move between segments
	offDepth = 17 * wordBytes // the directory has 2^depth words
	offShut  = 18 * wordBytes // not zero: read no more
)

// Words of the stability vector, under a sequence of its own.
const (
	offStableSequence = 24 * wordBytes
	offStableLength   = 25 * wordBytes
	offStableTag      = 26 * wordBytes
	offStable         = 28 * wordBytes // one counter per origin
)

// The heartbeat has the last cache line to itself: it changes all the time, and those
// who read must not notice.
const (
	offBeat = headerBytes - bucketBytes

	headerBytes = osPage
)

// The header has room for the longest vector.
const _ = uint(offBeat - offStable - causal.MaxReplicas*wordBytes)

// A segment of the index is one page: buckets of one cache line, each a sequence and
// seven slots.
const (
	bucketBytes    = 64
	bucketSlots    = bucketBytes/wordBytes - 1
	segmentBuckets = 64
	segmentSlots   = segmentBuckets * bucketSlots
	segmentBytes   = segmentBuckets * bucketBytes
)

// A slot names an entry: its tag, where it is, and whether it was read since the
// eviction hand last passed. A slot without a place is empty, whatever its other bits.
const (
	slotUsed      = 1
	slotPlaceBits = 47
	slotTagShift  = 1 + slotPlaceBits
)

func slotOf(h, off uint64) uint64 { return h>>slotTagShift<<slotTagShift | off/wordBytes<<1 | slotUsed }
func slotMoved(w, off uint64) uint64 {
	return w>>slotTagShift<<slotTagShift | off/wordBytes<<1 | w&slotUsed
}
func slotTag(w uint64) uint64   { return w >> slotTagShift }
func slotPlace(w uint64) uint64 { return w << (64 - slotTagShift) >> (64 - slotPlaceBits) * wordBytes }

// A hash is cut in three: the low bits choose the segment, as many as the directory is
// deep, the tag is on top, and the first bucket between them.
const (
	bucketShift = slotTagShift - 6
	depthBits   = 36 // no directory is deeper
)

func firstBucket(h uint64) uint64 { return h >> bucketShift % segmentBuckets }

// otherBucket is the second place of an entry: it follows from the first and the tag,
// and the first from it in the same way, so that an entry can be moved between the two
// by its slot alone.
func otherBucket(bucket, tag uint64) uint64 { return bucket ^ (tag%(segmentBuckets-1) + 1) }

// geometry says where things are in a region.
type geometry struct {
	directory, segments, blocks uint64
	maxDepth, maxSegments       uint64
	small                       uint64 // pages of small blocks
	large                       [largeOrders]cells
	bytes                       uint64
}

// Blocks beyond smallLimit come from ranges of cells, one range per power of two. A
// cell costs address space only: memory is taken for what is used of it.
const (
	largeShift  = 16
	largeOrders = 9 // 64 KiB, …, 16 MiB: the longest key and value fit
)

// layOut gives each part as much address space as it can need while all versions and
// the index together take at most n bytes. Each size of cell has its range for
// itself, so that address space cannot be fragmented: a range that is large enough
// for n bytes of one size never runs out.
func layOut(n uint64) geometry {
	var g geometry
	up := func(x, to uint64) uint64 { return (x + to - 1) / to * to }
	g.maxSegments = n/segmentBytes + 16
	// Some slack for segments that have to be split further than others.
	g.maxDepth = min(depthBits, max(9, uint64(bits.Len64(g.maxSegments))+depthSlack))
	g.directory = headerBytes
	g.segments = g.directory + wordBytes<<g.maxDepth
	g.blocks = up(g.segments+g.maxSegments*segmentBytes, smallPage)
	// Small blocks are at most an eighth more than what is live, and a page per class.
	g.small = up(n+n/4, smallPage)/smallPage + 2*classes
	off := g.blocks + g.small*smallPage
	for i := range g.large {
		c := &g.large[i]
		c.base, c.shift = off, largeShift+uint(i)
		// More than half of each cell is used.
		c.count = up(2*n, 1<<c.shift) >> c.shift
		off += c.count << c.shift
	}
	g.bytes = off
	return g
}
