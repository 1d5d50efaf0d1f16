//go:build linux

package uring

import (
	"fmt"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
)

const (
	// receiveBuffer is the most that one completion brings: a few hundred small
	// requests.
	receiveBuffer = 16 << 10
	// receiveBuffers are shared by all connections of a loop: 4 MiB. A power of two,
	// at most 4096 (giouring's arithmetic ends there).
	receiveBuffers = 256
	bufferGroup    = 0
)

// pool is the memory that the kernel receives into. The kernel takes a buffer when
// bytes arrive, not when they are waited for, so idle connections hold none. A
// buffer is the loop's from its completion until it is given back.
type pool struct {
	ring   *giouring.BufAndRing
	index  []byte // the ring's memory
	memory []byte
	size   int // of a buffer
	mask   int
	added  int // given back, not yet told to the kernel
}

func newPool(k *kernel, count, size int) (*pool, error) {
	p := &pool{size: size, mask: giouring.BufRingMask(uint32(count))}
	var err error
	if p.index, err = mapMemory(count * int(unsafe.Sizeof(giouring.BufAndRing{}))); err != nil {
		return nil, err
	}
	if p.memory, err = mapMemory(count * size); err != nil {
		p.free()
		return nil, err
	}
	p.ring = (*giouring.BufAndRing)(unsafe.Pointer(&p.index[0]))
	reg := giouring.BufReg{
		RingAddr:    uint64(uintptr(unsafe.Pointer(&p.index[0]))),
		RingEntries: uint32(count),
		Bgid:        bufferGroup,
	}
	if _, err := k.ring.RegisterBufferRing(&reg, 0); err != nil {
		p.free()
		return nil, fmt.Errorf("register %d receive buffers: %w", count, err)
	}
	for id := range count {
		p.giveBack(uint16(id))
	}
	p.publish()
	return p, nil
}

// bytes are those that a completion has brought.
func (p *pool) bytes(id uint16, n int) []byte {
	start := int(id) * p.size
	return p.memory[start : start+n : start+n]
}

func (p *pool) giveBack(id uint16) {
	p.ring.BufRingAdd(uintptr(unsafe.Pointer(&p.memory[int(id)*p.size])), uint32(p.size), id, p.mask, p.added)
	p.added++
}

// publish lets the kernel have what was given back.
func (p *pool) publish() {
	if p.added > 0 {
		p.ring.BufRingAdvance(p.added)
		p.added = 0
	}
}

// free is for when the kernel has let go of the ring.
func (p *pool) free() {
	unmapMemory(p.index)
	unmapMemory(p.memory)
}
