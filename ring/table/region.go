package table

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// region is the memory that is shared with readers. All of it that a reader may look
// at is written and read by atomic words: Go's atomics are in one order that all
// agree on, and that is what the sequences need.
type region struct {
	base  unsafe.Pointer
	bytes uint64
	// mapped is what is to be unmapped, and file the descriptor below; nil for memory
	// of the Go heap, and for whoever only reads.
	mapped []byte
	file   int
}

// regionOver makes a region of Go memory, regionOf one of bytes that start at a word's
// boundary.
func regionOver(words []uint64) region {
	return region{base: unsafe.Pointer(&words[0]), bytes: uint64(len(words)) * wordBytes}
}

func regionOf(b []byte) region { return region{base: unsafe.Pointer(&b[0]), bytes: uint64(len(b))} }

func (r *region) word(off uint64) *uint64    { return (*uint64)(unsafe.Add(r.base, off)) }
func (r *region) load(off uint64) uint64     { return atomic.LoadUint64(r.word(off)) }
func (r *region) store(off uint64, w uint64) { atomic.StoreUint64(r.word(off), w) }
func (r *region) or(off, w uint64)           { atomic.OrUint64(r.word(off), w) }
func (r *region) bytesAt(off, n uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(r.base, off)), n)
}

// storeBytes writes a and then b, and fills the last word with zeros.
func (r *region) storeBytes(off uint64, a, b []byte) {
	for ; len(a) >= wordBytes; a, off = a[wordBytes:], off+wordBytes {
		r.store(off, binary.NativeEndian.Uint64(a))
	}
	if len(a) > 0 {
		var seam [wordBytes]byte
		n := copy(seam[:], a)
		b = b[copy(seam[n:], b):]
		r.store(off, binary.NativeEndian.Uint64(seam[:]))
		off += wordBytes
	}
	for ; len(b) >= wordBytes; b, off = b[wordBytes:], off+wordBytes {
		r.store(off, binary.NativeEndian.Uint64(b))
	}
	if len(b) > 0 {
		var tail [wordBytes]byte
		copy(tail[:], b)
		r.store(off, binary.NativeEndian.Uint64(tail[:]))
	}
}

// copyWords copies words within the region.
func (r *region) copyWords(to, from, n uint64) {
	for i := uint64(0); i < n; i += wordBytes {
		r.store(to+i, r.load(from+i))
	}
}

// loadWords copies words out of the region.
func (r *region) loadWords(into []uint64, off uint64) {
	for i := range into {
		into[i] = r.load(off + uint64(i)*wordBytes)
	}
}
