package table

import (
	"fmt"

	"causalmesh/causal"
)

// header is what stands at the start of a region and never changes. A reader keeps a
// copy of its own, checked once, and does not look at the original again: it may be
// memory that somebody else writes.
type header struct {
	region     region
	key0, key1 uint64
	epoch      causal.Epoch

	directory, segments, blocks uint64
	maxDepth, maxSegments       uint64
}

// header is what readers of the table start from.
func (t *Table) header() header {
	g := &t.geometry
	return header{
		region: region{base: t.region.base, bytes: t.region.bytes},
		key0:   t.key0, key1: t.key1, epoch: t.epoch,
		directory: g.directory, segments: g.segments, blocks: g.blocks,
		maxDepth: g.maxDepth, maxSegments: g.maxSegments,
	}
}

// write puts the header where readHeader finds it.
func (h *header) write() {
	r := &h.region
	for off, w := range map[uint64]uint64{
		offVersion: layoutVersion, offBytes: r.bytes, offEpoch: uint64(h.epoch),
		offKey0: h.key0, offKey1: h.key1,
		offDirectory: h.directory, offMaxDepth: h.maxDepth,
		offSegments: h.segments, offMaxSegments: h.maxSegments,
		offBlocks: h.blocks,
	} {
		r.store(off, w)
	}
	r.store(offMagic, magic) // last: the rest is there
}

// readHeader reads the header of a region that somebody else wrote, and believes
// nothing in it: whatever a reader computes from it lies inside of the region.
func readHeader(r region) (header, error) {
	if r.bytes < headerBytes || r.bytes%osPage != 0 {
		return header{}, fmt.Errorf("%w: %d bytes", ErrLayout, r.bytes)
	}
	if m, v, n := r.load(offMagic), r.load(offVersion), r.load(offBytes); m != magic || v != layoutVersion || n != r.bytes {
		return header{}, fmt.Errorf("%w: magic %x, version %d, %d bytes of %d", ErrLayout, m, v, n, r.bytes)
	}
	h := header{
		region: r,
		key0:   r.load(offKey0), key1: r.load(offKey1), epoch: causal.Epoch(r.load(offEpoch)),
		directory: r.load(offDirectory), segments: r.load(offSegments), blocks: r.load(offBlocks),
		maxDepth: r.load(offMaxDepth), maxSegments: r.load(offMaxSegments),
	}
	for _, part := range []struct{ off, n, shift uint64 }{
		{h.directory, wordBytes, h.maxDepth}, {h.segments, h.maxSegments, 12}, {h.blocks, 1, 0},
	} {
		if part.off%bucketBytes != 0 || part.off > r.bytes || part.shift > depthBits || part.n > (r.bytes-part.off)>>part.shift {
			return header{}, fmt.Errorf("%w: a part at %d", ErrLayout, part.off)
		}
	}
	return h, nil
}
