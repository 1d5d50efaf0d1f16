package table

import "causalmesh/causal"

// hand is where the next sweep goes on.
type hand struct {
	segment, slot uint64 // slot counts through the buckets of the segment
	stray         int    // once the segments are through
}

// Sweep implements causal.Table with a clock hand: a second chance for what was used.
func (t *Table) Sweep(n int, spare bool, visit func(v *causal.Version, p causal.Presence) causal.Verdict) {
	for n = min(n, t.entries); n > 0; n-- {
		at, w := t.next()
		if spare && w&slotUsed != 0 {
			t.forgive(at)
			t.pass()
			continue
		}
		p := t.entry(slotPlace(w), &t.visited)
		switch visit(&t.visited, p) {
		case causal.Remove:
			t.removeAt(at)
		case causal.Keep:
			t.pass()
		case causal.Enough:
			return
		}
	}
	t.visited = causal.Version{}
}

// next moves the hand to an entry, if it does not stand at one. There is one.
func (t *Table) next() (place, uint64) {
	h := &t.hand
	for {
		for ; h.segment < uint64(len(t.index)); h.segment, h.slot = h.segment+1, 0 {
			if t.index[h.segment].count == 0 {
				continue
			}
			start := t.segmentStart(h.segment)
			for ; h.slot < segmentSlots; h.slot++ {
				slot := start + h.slot/bucketSlots*bucketBytes + (h.slot%bucketSlots+1)*wordBytes
				if w := t.region.load(slot); slotPlace(w) != 0 {
					return place{slot: slot}, w
				}
			}
		}
		if h.stray < len(t.strays.slots) {
			return place{stray: h.stray}, t.strays.slots[h.stray]
		}
		*h = hand{}
	}
}

// pass moves the hand past the entry that it stands at.
func (t *Table) pass() {
	if t.hand.segment < uint64(len(t.index)) {
		t.hand.slot++
	} else {
		t.hand.stray++
	}
}

// forgive takes the mark off that an entry was used.
func (t *Table) forgive(at place) {
	if at.slot == 0 {
		t.strays.slots[at.stray] &^= slotUsed
		return
	}
	t.region.store(at.slot, t.region.load(at.slot)&^slotUsed)
}

func (t *Table) removeAt(at place) {
	if at.slot == 0 {
		t.dropStray(at.stray)
		return
	}
	t.drop(at.slot)
}
