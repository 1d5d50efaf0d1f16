package table

import "github.com/dchest/siphash"

// place is where a slot is: in the region if it is not zero, else a stray.
type place struct {
	slot  uint64 // offset of the slot's word
	stray int
}

func (t *Table) hash(key []byte) uint64 { return siphash.Hash(t.key0, t.key1, key) }

// segmentOf is the segment for a hash.
func (t *Table) segmentOf(h uint64) uint64 {
	return t.region.load(t.geometry.directory + h&(1<<t.depth-1)*wordBytes)
}

func (t *Table) segmentStart(s uint64) uint64 { return t.geometry.segments + s*segmentBytes }

// find returns where key's slot is, and what it says; zero if there is none.
func (t *Table) find(h uint64, key []byte) (slot, w uint64) {
	start := t.segmentStart(t.segmentOf(h))
	tag, b := slotTag(h), firstBucket(h)
	for range 2 {
		line := start + b*bucketBytes
		for at := line + wordBytes; at < line+bucketBytes; at += wordBytes {
			w := t.region.load(at)
			if slotTag(w) == tag && slotPlace(w) != 0 && string(t.keyAt(slotPlace(w))) == string(key) {
				return at, w
			}
		}
		b = otherBucket(b, tag)
	}
	return 0, 0
}

// set changes one slot. Readers that have looked at its bucket start anew.
func (t *Table) set(slot, w uint64) {
	line := slot &^ (bucketBytes - 1)
	s := t.region.load(line)
	t.region.store(line, s+1)
	t.region.store(slot, w)
	t.region.store(line, s+2)
}

// insert adds a slot for a key that has none.
func (t *Table) insert(h, w uint64, key []byte) {
	for {
		s := t.segmentOf(h)
		if t.settle(t.segmentStart(s), h, w) {
			t.index[s].count++
			t.entries++
			return
		}
		if !t.split(s) {
			break
		}
	}
	// More entries fall on two buckets than these hold, and splitting cannot help.
	t.strays.add(key, w)
	t.entries++
}

// settle puts w into its first bucket if there is room: one look there finds it. If
// both buckets are full it moves another entry to that one's other bucket.
func (t *Table) settle(start, h, w uint64) bool {
	b1 := firstBucket(h)
	b2 := otherBucket(b1, slotTag(h))
	for _, b := range [2]uint64{b1, b2} {
		if slot := t.room(start, b); slot != 0 {
			t.set(slot, w)
			return true
		}
	}
	return t.displace(start, b1, w) || t.displace(start, b2, w)
}

// room returns an empty slot of a bucket, zero if there is none.
func (t *Table) room(start, b uint64) uint64 {
	line := start + b*bucketBytes
	for at := line + wordBytes; at < line+bucketBytes; at += wordBytes {
		if slotPlace(t.region.load(at)) == 0 {
			return at
		}
	}
	return 0
}

// displace makes room for w in a full bucket.
func (t *Table) displace(start, b, w uint64) bool {
	line := start + b*bucketBytes
	for at := line + wordBytes; at < line+bucketBytes; at += wordBytes {
		other := t.region.load(at)
		to := t.room(start, otherBucket(b, slotTag(other)))
		if to == 0 {
			continue
		}
		// Both buckets change as one, or a reader could miss the entry in either.
		line2 := to &^ (bucketBytes - 1)
		s, s2 := t.region.load(line), t.region.load(line2)
		t.region.store(line, s+1)
		t.region.store(line2, s2+1)
		t.region.store(to, other)
		t.region.store(at, w)
		t.region.store(line2, s2+2)
		t.region.store(line, s+2)
		return true
	}
	return false
}

// drop empties a slot and retires its block.
func (t *Table) drop(slot uint64) {
	off := slotPlace(t.region.load(slot))
	t.set(slot, 0)
	t.entries--
	s := (slot - t.geometry.segments) / segmentBytes
	t.index[s].count--
	t.noteSparse(s)
	t.retire(off)
}

// whereIs returns the place of the slot that names a block.
func (t *Table) whereIs(off uint64) place {
	key := t.keyAt(off)
	h := t.hash(key)
	if slot, w := t.find(h, key); slot != 0 && slotPlace(w) == off {
		return place{slot: slot}
	}
	i, ok := t.strays.find(key)
	if !ok || slotPlace(t.strays.slots[i]) != off {
		panic("table: a block has an entry that the index does not know")
	}
	return place{stray: i}
}

// rename makes a slot name another block.
func (t *Table) rename(at place, off uint64) {
	if at.slot == 0 {
		w := &t.strays.slots[at.stray]
		*w = slotMoved(*w, off)
		return
	}
	t.set(at.slot, slotMoved(t.region.load(at.slot), off))
}
