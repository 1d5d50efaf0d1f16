package table

import "math/bits"

// idleLarge is how much memory of free large cells is kept, rather than given back:
// to take a page anew costs more than to write it.
const idleLarge = 4 << 20

// cells are blocks of one power of two.
type cells struct {
	base  uint64
	shift uint
	count uint64
	fresh uint64     // cells ever given out
	cold  []uint32   // free, without memory
	idle  []idleCell // free, with memory
}

type idleCell struct {
	cell    uint32
	touched uint32 // OS pages from its start
}

// orderOf is the range that blocks of n bytes come from.
func orderOf(n uint64) int { return max(0, bits.Len64(n-1)-largeShift) }

func (a *allocator) allocLarge(n uint64) uint64 {
	c := &a.large[orderOf(n)]
	need := charged(n)
	a.held += need
	var cell uint32
	switch {
	case len(c.idle) > 0:
		i := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		cell = i.cell
		has := uint64(i.touched) * osPage
		a.idleBig -= has
		a.held -= has
		if has > need {
			a.region.release(c.start(cell)+need, has-need)
		}
	case len(c.cold) > 0:
		cell, c.cold = c.cold[len(c.cold)-1], c.cold[:len(c.cold)-1]
	case c.fresh < c.count:
		cell = uint32(c.fresh)
		c.fresh++
	default:
		panic("table: out of large blocks: more was put than Options.Bytes")
	}
	return c.start(cell)
}

func (a *allocator) freeLarge(off, n uint64) {
	c := &a.large[orderOf(n)]
	cell := uint32((off - c.base) >> c.shift)
	has := charged(n)
	if a.idleBig+has <= idleLarge {
		a.idleBig += has
		c.idle = append(c.idle, idleCell{cell, uint32(has / osPage)})
		return
	}
	a.held -= has
	a.region.release(off, 1<<c.shift) // with what readers that came late have taken behind it
	c.cold = append(c.cold, cell)
}

func (c *cells) start(cell uint32) uint64 { return c.base + uint64(cell)<<c.shift }
