package table

import "math/bits"

// Small blocks come from pages of one size each.
const (
	smallPage  = 64 << 10
	smallLimit = 32 << 10

	fineLimit = 256 // up to here a class every 8 bytes, then eight for each doubling
	fineSizes = fineLimit / wordBytes
	classes   = fineSizes + 8*7

	// idlePages is how many empty pages are kept, rather than given back.
	idlePages = 16
)

// classOf is the class of the smallest blocks that hold n bytes.
func classOf(n uint64) int {
	if n <= fineLimit {
		return int((n+wordBytes-1)/wordBytes) - 1
	}
	k := bits.Len64(n-1) - 1 // 2^k < n ≤ 2^(k+1)
	return fineSizes + (k-8)*8 + int((n-1-1<<k)>>(k-3))
}

// classBytes is the size of a class's blocks.
func classBytes(c int) uint64 {
	if c < fineSizes {
		return uint64(c+1) * wordBytes
	}
	k := (c-fineSizes)/8 + 8
	return 1<<k + uint64((c-fineSizes)%8+1)<<(k-3)
}

// page is what the writer knows of a page of small blocks. Free blocks are chained
// through their first word.
type page struct {
	next, prev uint32 // in its bin, by number+1
	live       uint16 // blocks given out
	fresh      uint16 // blocks ever given out since the page is its class's
	free       uint16 // first free block+1
	touched    uint8  // OS pages that memory was taken for
	class      uint8
	bin        uint8
}

// bins sort a class's pages by how full they are, roughly.
const (
	bins   = 14
	noBin  = 255 // full, empty, or being evacuated
	pageOS = smallPage / osPage
)

type class struct {
	head        [bins]uint32 // first page+1 with room, by fullness
	some        uint16       // bins that are not empty
	size        uint32
	perPage     uint16
	live, fresh int // blocks, over all pages
}

// allocator hands out blocks of a region. It belongs to the writer, and what it knows
// is of no use to readers.
type allocator struct {
	region  *region
	base    uint64 // of the pages
	most    int
	pages   []page
	idle    []uint32 // empty pages that still have memory
	cold    []uint32 // empty pages without
	classes [classes]class
	large   [largeOrders]cells
	idleBig uint64 // bytes of idle large cells

	live uint64 // bytes of blocks in use
	held uint64 // bytes of memory taken

	evacuation evacuation
	sparse     [(classes + 63) / 64]uint64 // classes that may have to be compacted
}

func newAllocator(r *region, g *geometry) *allocator {
	a := &allocator{region: r, base: g.blocks, most: int(g.small), large: g.large}
	for c := range a.classes {
		size := classBytes(c)
		a.classes[c].size, a.classes[c].perPage = uint32(size), uint16(smallPage/size)
	}
	a.evacuation.page = noPage
	return a
}

// charged is what a block for n bytes costs.
func charged(n uint64) uint64 {
	if n > smallLimit {
		return (n + osPage - 1) &^ (osPage - 1)
	}
	return classBytes(classOf(n))
}

// alloc returns a block of at least n bytes.
func (a *allocator) alloc(n uint64) uint64 {
	a.live += charged(n)
	if n > smallLimit {
		return a.allocLarge(n)
	}
	return a.allocSmall(classOf(n))
}

func (a *allocator) allocSmall(c int) uint64 {
	cl := &a.classes[c]
	if cl.some == 0 {
		a.addPage(c)
	}
	number := cl.head[bits.Len16(cl.some)-1] - 1 // the fullest, so that others run empty
	p := &a.pages[number]
	start := a.pageStart(number)
	var off uint64
	if p.free != 0 {
		off = start + uint64(p.free-1)*uint64(cl.size)
		p.free = uint16(a.region.load(off))
	} else {
		off = start + uint64(p.fresh)*uint64(cl.size)
		p.fresh++
		cl.fresh++
		a.touch(p, uint64(p.fresh)*uint64(cl.size))
	}
	p.live++
	cl.live++
	a.sort(number, p, cl)
	return off
}

// touch accounts for the memory that the first n bytes of a page take.
func (a *allocator) touch(p *page, n uint64) {
	if t := uint8((n + osPage - 1) / osPage); t > p.touched {
		a.held += uint64(t-p.touched) * osPage
		p.touched = t
	}
}

// retire says that a block of n bytes is no longer in use; free follows.
func (a *allocator) retire(n uint64) { a.live -= charged(n) }

// free takes back a block of n bytes that has been retired.
func (a *allocator) free(off, n uint64) {
	a.region.store(off+entrySmall, 0)
	if n > smallLimit {
		a.freeLarge(off, n)
		return
	}
	number := uint32((off - a.base) / smallPage)
	p := &a.pages[number]
	cl := &a.classes[p.class]
	block := uint16((off - a.pageStart(number)) / uint64(cl.size))
	a.region.store(off, uint64(p.free))
	p.free = block + 1
	p.live--
	cl.live--
	switch {
	case p.live == 0:
		a.dropPage(number)
	case number != a.evacuation.page:
		a.sort(number, p, cl)
	}
	if a.crowded(int(p.class)) {
		a.sparse[p.class/64] |= 1 << (p.class % 64)
	}
}

func (a *allocator) pageStart(number uint32) uint64 { return a.base + uint64(number)*smallPage }

// addPage gives a class an empty page.
func (a *allocator) addPage(c int) {
	var number uint32
	switch {
	case len(a.idle) > 0:
		number, a.idle = a.idle[len(a.idle)-1], a.idle[:len(a.idle)-1]
	case len(a.cold) > 0:
		number, a.cold = a.cold[len(a.cold)-1], a.cold[:len(a.cold)-1]
	case len(a.pages) < a.most:
		number = uint32(len(a.pages))
		a.pages = append(a.pages, page{})
	default:
		panic("table: out of pages: more was put than Options.Bytes")
	}
	p := &a.pages[number]
	*p = page{class: uint8(c), bin: noBin, touched: p.touched}
	a.sort(number, p, &a.classes[c])
}

// dropPage takes an empty page from its class.
func (a *allocator) dropPage(number uint32) {
	p := &a.pages[number]
	cl := &a.classes[p.class]
	cl.fresh -= int(p.fresh)
	a.unlink(number, p, cl)
	if a.evacuation.page == number {
		a.evacuation.page = noPage
	}
	p.fresh, p.free = 0, 0
	if len(a.idle) < idlePages {
		a.idle = append(a.idle, number)
		return
	}
	a.region.release(a.pageStart(number), smallPage)
	a.held -= uint64(p.touched) * osPage
	p.touched = 0
	a.cold = append(a.cold, number)
}

// sort puts a page where it belongs now that its fullness has changed.
func (a *allocator) sort(number uint32, p *page, cl *class) {
	bin := uint8(noBin)
	if p.live < cl.perPage {
		bin = uint8(uint32(p.live) * bins / uint32(cl.perPage))
	}
	if bin == p.bin {
		return
	}
	a.unlink(number, p, cl)
	if bin == noBin {
		return
	}
	p.bin, p.prev, p.next = bin, 0, cl.head[bin]
	if p.next != 0 {
		a.pages[p.next-1].prev = number + 1
	}
	cl.head[bin] = number + 1
	cl.some |= 1 << bin
}

func (a *allocator) unlink(number uint32, p *page, cl *class) {
	if p.bin == noBin {
		return
	}
	if p.next != 0 {
		a.pages[p.next-1].prev = p.prev
	}
	if p.prev != 0 {
		a.pages[p.prev-1].next = p.next
	} else if cl.head[p.bin] = p.next; p.next == 0 {
		cl.some &^= 1 << p.bin
	}
	p.bin, p.prev, p.next = noBin, 0, 0
}
