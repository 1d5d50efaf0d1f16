package netloop

import (
	"sync"

	"causalmesh/ring"
)

const (
	// baseBuffer is the size of a new buffer: a few hundred small requests.
	baseBuffer = 16 << 10
	// keepBuffer is the largest buffer that is used again. Larger ones, grown by
	// a big frame, are left to the garbage collector.
	keepBuffer = 256 << 10
)

// buffer holds what was received, or what is to be sent. It is boxed so that the
// pool need not allocate a slice header.
type buffer struct{ ring.Outgoing }

var buffers = sync.Pool{New: func() any { return newBuffer(baseBuffer) }}

func newBuffer(size int) *buffer {
	return &buffer{ring.Outgoing{Bytes: make([]byte, 0, size)}}
}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func putBuffer(b *buffer) {
	if b == nil || cap(b.Bytes) > keepBuffer || cap(b.Bytes) < baseBuffer {
		return
	}
	b.Outgoing = b.Reused(b.Bytes)
	buffers.Put(b)
}
