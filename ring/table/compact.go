package table

import "math/bits"

// Compaction keeps what is free in the pages of a class below an eighth of what is
// live, and a page: beyond that, the entries of the emptiest page move to others.
//
// There is always room for them there. With F free blocks, B to a page and L live ones
// in the emptiest page, that page has at most B-L of the free ones. So F > B leaves
// more than L in the others.
const sparseShare = 8

// What one Reuse may move: a step of compaction, and in proportion to what was freed,
// since a block that is freed can call for no more than eight to be moved.
const (
	compactStep  = 32 << 10
	compactRatio = sparseShare + 1
	skipBytes    = 16 // what it counts for to pass by a free block
)

const noPage = ^uint32(0)

// evacuation is a page that is being emptied.
type evacuation struct {
	page  uint32
	block uint16 // the next to look at
}

// crowded reports whether a class has too many free blocks.
func (a *allocator) crowded(c int) bool {
	cl := &a.classes[c]
	return cl.fresh-cl.live > cl.live/sparseShare+int(cl.perPage)
}

// compact moves entries of up to about so many bytes out of sparse pages.
func (t *Table) compact(budget int) {
	a := t.blocks
	for budget > 0 {
		if a.evacuation.page == noPage && !a.nextEvacuation() {
			return
		}
		number := a.evacuation.page
		p := &a.pages[number]
		cl := &a.classes[p.class]
		for budget > 0 && a.evacuation.page == number {
			off := a.pageStart(number) + uint64(a.evacuation.block)*uint64(cl.size)
			a.evacuation.block++
			budget -= skipBytes
			if t.move(off) {
				budget -= int(cl.size)
			}
		}
	}
}

// nextEvacuation finds a page to empty.
func (a *allocator) nextEvacuation() bool {
	for i := range a.sparse {
		for a.sparse[i] != 0 {
			c := i*64 + bits.TrailingZeros64(a.sparse[i])
			cl := &a.classes[c]
			if !a.crowded(c) || cl.some == 0 {
				a.sparse[i] &^= 1 << (c % 64)
				continue
			}
			number := cl.head[bits.TrailingZeros16(cl.some)] - 1
			a.unlink(number, &a.pages[number], cl)
			a.evacuation = evacuation{page: number}
			return true
		}
	}
	return false
}

// move gives the entry in a block another block, and reports whether there is an entry
// in it. Nothing refers to the old block: the caller is Reuse.
func (t *Table) move(off uint64) bool {
	small := t.region.load(off + entrySmall)
	if small == 0 {
		return false
	}
	at := t.whereIs(off)
	n := entryBytes(small)
	t.blocks.retire(n)
	to := t.blocks.alloc(n)
	t.region.copyWords(to, off, n)
	t.rename(at, to)
	t.blocks.free(off, n)
	return true
}
