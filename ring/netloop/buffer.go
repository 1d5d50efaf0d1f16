package netloop

import "sync"

const (
	// baseBuffer is the size of a new buffer: a few hundred small requests.
	baseBuffer = 16 << 10
	// keepBuffer is the largest buffer that is used again. Larger ones, grown by
	// a big frame, are left to the garbage collector.
	keepBuffer = 256 << 10
)

// buffer is boxed so that the pool need not allocate a slice header.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, baseBuffer)} }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func putBuffer(b *buffer) {
	if b == nil || cap(b.b) > keepBuffer || cap(b.b) < baseBuffer {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}
