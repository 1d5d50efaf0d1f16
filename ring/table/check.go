package table

import "fmt"

// mustHold panics where the table broke a promise of its own. It looks through all of
// it, so it is done seldom enough to cost a constant per call.
func (t *Table) mustHold() {
	blocks := 0
	for c := range t.blocks.classes {
		blocks += t.blocks.classes[c].fresh
	}
	if t.unchecked++; t.unchecked < blocks+len(t.index)*segmentSlots {
		return
	}
	t.unchecked = 0
	if err := t.check(); err != nil {
		panic("table: " + err.Error())
	}
}

// check says what is wrong with the index or the allocator.
func (t *Table) check() error {
	named, err := t.checkDirectory()
	if err != nil {
		return err
	}
	blocks := map[uint64]uint64{} // bytes by offset
	note := func(off uint64) error {
		if _, twice := blocks[off]; twice {
			return fmt.Errorf("block %d is in use twice", off)
		}
		blocks[off] = entryBytes(t.region.load(off + entrySmall))
		return nil
	}
	entries := 0
	for s := range t.index {
		n, err := t.checkSegment(uint64(s), named[uint64(s)], note)
		if err != nil {
			return err
		}
		entries += n
	}
	for i, w := range t.strays.slots {
		if key := t.keyAt(slotPlace(w)); string(key) != t.strays.keys[i] || t.strays.places[string(key)] != i {
			return fmt.Errorf("stray %d is another's", i)
		}
		if err := note(slotPlace(w)); err != nil {
			return err
		}
		entries++
	}
	if entries != t.entries {
		return fmt.Errorf("%d entries, counted %d", t.entries, entries)
	}
	live := uint64(0)
	for _, n := range blocks {
		live += charged(n)
	}
	if live != t.blocks.live {
		return fmt.Errorf("%d live bytes, counted %d", t.blocks.live, live)
	}
	for _, off := range t.pending {
		if err := note(off); err != nil {
			return err
		}
	}
	return t.blocks.check(blocks)
}

func (t *Table) checkDirectory() (map[uint64]int, error) {
	named := map[uint64]int{}
	for i := range uint64(1) << t.depth {
		s := t.segmentOf(i)
		if s >= uint64(len(t.index)) || !t.index[s].live {
			return nil, fmt.Errorf("word %d of the directory names segment %d, which is not there", i, s)
		}
		if m := t.index[s]; i&(1<<m.depth-1) != m.suffix {
			return nil, fmt.Errorf("word %d of the directory names the segment of %b/%d", i, m.suffix, m.depth)
		}
		named[s]++
	}
	return named, nil
}

func (t *Table) checkSegment(s uint64, named int, note func(uint64) error) (int, error) {
	m := t.index[s]
	if !m.live {
		if named != 0 || m.count != 0 {
			return 0, fmt.Errorf("segment %d is free, but not empty", s)
		}
		return 0, nil
	}
	if named != 1<<(t.depth-m.depth) {
		return 0, fmt.Errorf("segment %d of depth %d is named %d times", s, m.depth, named)
	}
	n := 0
	start := t.segmentStart(s)
	for b := range uint64(segmentBuckets) {
		line := start + b*bucketBytes
		if t.region.load(line)&1 != 0 {
			return 0, fmt.Errorf("segment %d: a sequence is odd", s)
		}
		for at := line + wordBytes; at < line+bucketBytes; at += wordBytes {
			w := t.region.load(at)
			if slotPlace(w) == 0 {
				continue
			}
			n++
			h := t.hash(t.keyAt(slotPlace(w)))
			if slotTag(h) != slotTag(w) || h&(1<<m.depth-1) != m.suffix ||
				b != firstBucket(h) && b != otherBucket(firstBucket(h), slotTag(h)) {
				return 0, fmt.Errorf("segment %d: an entry where nobody looks for it", s)
			}
			if err := note(slotPlace(w)); err != nil {
				return 0, err
			}
		}
	}
	if n != int(m.count) {
		return 0, fmt.Errorf("segment %d has %d entries, counted %d", s, m.count, n)
	}
	return n, nil
}

// check holds the allocator against the blocks that are given out.
func (a *allocator) check(blocks map[uint64]uint64) error {
	used := make([]int, len(a.pages))
	held, cellsUsed := a.idleBig, uint64(0)
	for off, n := range blocks {
		if n > smallLimit {
			c := &a.large[orderOf(n)]
			if off < c.base || off >= c.start(uint32(c.fresh)) || (off-c.base)&(1<<c.shift-1) != 0 {
				return fmt.Errorf("large block %d is no cell", off)
			}
			held += charged(n)
			cellsUsed++
			continue
		}
		number := uint32((off - a.base) / smallPage)
		if number >= uint32(len(a.pages)) {
			return fmt.Errorf("block %d is in no page", off)
		}
		p := &a.pages[number]
		if int(p.class) != classOf(n) || (off-a.pageStart(number))%uint64(a.classes[p.class].size) != 0 {
			return fmt.Errorf("block %d of %d bytes is in a page of class %d", off, n, p.class)
		}
		used[number]++
	}
	var live, fresh [classes]int
	for i := range a.pages {
		p := &a.pages[i]
		held += uint64(p.touched) * osPage
		live[p.class] += int(p.live)
		fresh[p.class] += int(p.fresh)
		if err := a.checkPage(uint32(i), used[i], blocks); err != nil {
			return err
		}
	}
	for c := range a.classes {
		if cl := &a.classes[c]; cl.live != live[c] || cl.fresh != fresh[c] {
			return fmt.Errorf("class %d has %d of %d blocks, counted %d of %d", c, cl.live, cl.fresh, live[c], fresh[c])
		}
	}
	for i := range a.large {
		c := &a.large[i]
		cellsUsed += uint64(len(c.idle) + len(c.cold))
		cellsUsed -= c.fresh
	}
	if cellsUsed != 0 {
		return fmt.Errorf("large cells do not add up: %d", int64(cellsUsed))
	}
	if held != a.held {
		return fmt.Errorf("%d bytes held, counted %d", a.held, held)
	}
	return nil
}

func (a *allocator) checkPage(number uint32, used int, blocks map[uint64]uint64) error {
	p := &a.pages[number]
	cl := &a.classes[p.class]
	if int(p.live) != used {
		return fmt.Errorf("page %d has %d blocks in use, counted %d", number, p.live, used)
	}
	free := 0
	for f := p.free; f != 0; free++ {
		off := a.pageStart(number) + uint64(f-1)*uint64(cl.size)
		if _, both := blocks[off]; both || f > p.fresh || free > int(p.fresh) {
			return fmt.Errorf("page %d: block %d is free, and is not", number, f-1)
		}
		f = uint16(a.region.load(off))
	}
	if free != int(p.fresh-p.live) {
		return fmt.Errorf("page %d has %d free blocks of %d, %d in use", number, free, p.fresh, p.live)
	}
	listed := p.bin != noBin
	if want := p.live > 0 && p.live < cl.perPage && number != a.evacuation.page; listed != want {
		return fmt.Errorf("page %d with %d of %d blocks: is it offered? %v", number, p.live, cl.perPage, listed)
	}
	return nil
}
