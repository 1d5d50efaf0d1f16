//go:build linux

package uring

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

const (
	// A block is what Out starts with: the small one holds a few hundred small
	// answers, the large one is for connections that say more than that in a turn.
	smallBlock = 16 << 10
	largeBlock = 256 << 10
	// chunkBlocks small blocks are mapped at once.
	chunkBlocks = 64
	// keepSmall and keepLarge are how many unused blocks keep their memory.
	keepSmall = 1024
	keepLarge = 16
)

// outgoing is an Out and the memory that it starts in.
type outgoing struct {
	ring.Outgoing
	block  []byte // off the Go heap
	pinner runtime.Pinner
}

// hold sees to it that the kernel may read Bytes until release. append moves what has
// outgrown its block to the Go heap; that is pinned.
func (o *outgoing) hold() {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(o.Bytes)))
	base := uintptr(unsafe.Pointer(unsafe.SliceData(o.block)))
	if first-base >= uintptr(len(o.block)) {
		o.pinner.Pin(unsafe.SliceData(o.Bytes))
	}
}

// release undoes hold.
func (o *outgoing) release() {
	o.pinner.Unpin()
	o.Outgoing = o.Reused(o.block)
}

// blocks lends outgoing buffers; those in use are bounded by the connections that
// have something to say.
type blocks struct {
	small, large []*outgoing // free
	chunks       [][]byte
}

func (b *blocks) get(large bool) *outgoing {
	free := &b.small
	if large {
		free = &b.large
	}
	if len(*free) == 0 && b.grow(large) != nil {
		return newOutgoing(nil) // No address space left: this one lives on the Go heap.
	}
	last := len(*free) - 1
	o := (*free)[last]
	*free = (*free)[:last]
	return o
}

func (b *blocks) grow(large bool) error {
	if large {
		memory, err := mapMemory(largeBlock)
		if err == nil {
			b.large = append(b.large, newOutgoing(memory))
		}
		return err
	}
	memory, err := mapMemory(chunkBlocks * smallBlock)
	if err != nil {
		return err
	}
	b.chunks = append(b.chunks, memory)
	for rest := memory; len(rest) > 0; rest = rest[smallBlock:] {
		b.small = append(b.small, newOutgoing(rest[:smallBlock:smallBlock]))
	}
	return nil
}

func newOutgoing(block []byte) *outgoing {
	o := &outgoing{block: block}
	o.release()
	return o
}

func (b *blocks) put(o *outgoing) {
	if o == nil {
		return
	}
	o.release()
	switch {
	case o.block == nil:
	case len(o.block) == smallBlock:
		if len(b.small) >= keepSmall { // Its memory goes, its address stays.
			_ = unix.Madvise(o.block, unix.MADV_DONTNEED)
		}
		b.small = append(b.small, o)
	case len(b.large) < keepLarge:
		b.large = append(b.large, o)
	default:
		unmapMemory(o.block)
	}
}

// free is for when all are put back.
func (b *blocks) free() {
	for _, o := range b.large {
		unmapMemory(o.block)
	}
	for _, chunk := range b.chunks {
		unmapMemory(chunk)
	}
}
