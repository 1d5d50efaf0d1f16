package sim

import (
	"maps"
	"slices"

	"causalmesh/causal"
)

type readerTrace = trace[*readerEvent]

// readerMutations makes at least one step of each action wrong, or takes a wrong one in
// its place: see storeMutations.
func readerMutations(causal.Propagation) []mutation[*readerEvent] {
	return []mutation[*readerEvent]{
		{causal.ActionWrite, "its time is not above that of its server's last one", writesNotAbove},
		{actionBegin, "S goes back", beginsLower},
		{actionBegin, "S covers what not everyone has", beginsBeyond},
		{actionPut, "S covered it before", putsCovered},
		{actionPut, "a lower version replaces a higher one", putsDownwards},
		{actionPut, "a late version is taken for the newest", putsLate},
		{actionPut, "S is published before what it covers", publishesEarly},
		{actionPut, "what is not put yet is loaded", loadsEarly},
		{actionPut, "a key is forgotten in the midst of a step", evictsInStep},
		{actionLoad, "it finds another version", loadsOther},
		{causal.ActionEvict, "there is nothing to forget", evictsMissing},
		{causal.ActionEvict, "it is still there", evictsNot},
		{actionPublish, "another S is published", publishesOther},
		{actionDirectLoadS, "S does not cover what the session knows", loadsUncoveredS},
		{actionDirectLoadS, "it is a later S", loadsOtherS},
		{actionDirectReadSlot, "it finds another version", findsOther},
		{actionDirectReadSlot, "S does not cover what is taken", takesUncovered},
		{actionDirectReadSlot, "what is missing is taken for absent", takesMissing},
		{actionDirectReadSlot, "it absorbs a later S", absorbsLater},
		{actionGiveUp, "it returns what it has", returnsPart},
	}
}

// readerPast is what a trace has told before one of its events.
type readerPast struct {
	versions []*readerEvent // writes
	stable   causal.VectorClock
	table    readerTable
}

func pastOfReader(t *readerTrace, i int) *readerPast {
	p := &readerPast{
		stable: make(causal.VectorClock, readerServers),
		table:  readerTable{map[string]causal.Dot{}, make(causal.VectorClock, readerServers)},
	}
	for _, k := range shardKeys() {
		p.table.slots[k] = noDot
	}
	for _, e := range t.events[:i] {
		switch e.do {
		case causal.ActionWrite:
			p.versions = append(p.versions, e)
		case actionBegin:
			p.stable = e.vector
		}
		if e.table != nil {
			p.table = *e.table
		}
	}
	return p
}

// other is a version of the key, but not this one; absent is one.
func (p *readerPast) other(key string, not causal.Dot) causal.Dot {
	for _, v := range p.versions {
		if v.key == key && v.dot != not {
			return v.dot
		}
	}
	return causal.Dot{}
}

// bare copies an event to make it wrong, so that nothing is said of what follows.
func (e *readerEvent) bare() *readerEvent {
	w := *e
	w.table, w.read = nil, nil
	return &w
}

// deep copies an event and what follows, to make that wrong.
func (e *readerEvent) deep() *readerEvent {
	w := *e
	if e.table != nil {
		w.table = &readerTable{maps.Clone(e.table.slots), e.table.published.Clone()}
	}
	if e.read != nil {
		w.read = &readerRead{e.read.stage, e.read.stable.Clone(), maps.Clone(e.read.got)}
	}
	return &w
}

func (e *readerEvent) instead(do causal.Action) *readerEvent {
	return &readerEvent{do: do, server: e.server}
}

func writesNotAbove(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].bare()
	for _, v := range slices.Backward(pastOfReader(t, i).versions) {
		if v.dot.Origin == w.dot.Origin {
			w.time = v.time
			return w, true
		}
	}
	return nil, false
}

func beginsLower(t *readerTrace, i int) (*readerEvent, bool) {
	w, before := t.events[i].bare(), pastOfReader(t, i).stable
	w.vector = w.vector.Clone()
	for o := range before {
		if before[o] > 0 {
			w.vector[o] = before[o] - 1
			return w, true
		}
	}
	return nil, false
}

func beginsBeyond(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].bare()
	w.vector = w.vector.Clone() // of what it covers all is written, and nothing else
	w.vector[0]++
	return w, true
}

func putsCovered(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].bare()
	for _, o := range slices.Backward(t.events[:i]) {
		switch {
		case o.do == actionBegin:
			return nil, false
		case o.do == actionPut:
			w.key, w.dot = o.key, o.dot
			return w, true
		}
	}
	return nil, false
}

func putsDownwards(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	if s := w.table.slots; s[w.key] != noDot && s[w.key] != w.dot {
		s[w.key] = w.dot
		return w, true
	}
	return nil, false
}

func putsLate(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	missing := w.table.slots[w.key] == noDot
	w.table.slots[w.key] = w.dot
	return w, missing
}

func publishesEarly(t *readerTrace, i int) (*readerEvent, bool) {
	return t.events[i].instead(actionPublish), true
}

func loadsEarly(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].instead(actionLoad)
	return w, w.choose(pastOfReader(t, i), true)
}

func evictsInStep(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].instead(causal.ActionEvict)
	return w, w.choose(pastOfReader(t, i), false)
}

func evictsMissing(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].bare()
	return w, w.choose(pastOfReader(t, i), true)
}

// choose takes the first key with an empty slot, or with one that is not.
func (e *readerEvent) choose(p *readerPast, missing bool) bool {
	for _, k := range shardKeys() {
		if (p.table.slots[k] == noDot) == missing {
			e.key = k
			return true
		}
	}
	return false
}

func evictsNot(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	w.table.slots[w.key] = pastOfReader(t, i).table.slots[w.key]
	return w, true
}

func loadsOther(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	w.table.slots[w.key] = pastOfReader(t, i).other(w.key, w.table.slots[w.key])
	return w, w.table.slots[w.key] != t.events[i].table.slots[w.key]
}

func publishesOther(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	w.table.published = pastOfReader(t, i).table.published
	return w, !w.table.published.Equal(t.events[i].table.published)
}

func loadsUncoveredS(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].bare()
	w.vector = pastOfReader(t, i).table.published.Clone()
	w.vector[0]++
	return w, true
}

func loadsOtherS(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	w.read.stable = pastOfReader(t, i).stable // the writer's, not published yet
	return w, !w.read.stable.Equal(t.events[i].read.stable)
}

func findsOther(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].bare()
	w.dot = pastOfReader(t, i).other(w.key, w.dot)
	return w, w.dot != t.events[i].dot
}

// takesUncovered: the reader goes on where it has to start again.
func takesUncovered(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	fits := w.read.stage == readerIdle && w.dot != noDot
	w.read.stage, w.read.got = readerReading, map[string]causal.Dot{w.key: w.dot}
	return w, fits
}

func takesMissing(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	fits := w.dot == noDot
	w.dot = causal.Dot{}
	w.read.stage, w.read.got = readerReading, map[string]causal.Dot{w.key: {}}
	return w, fits
}

func absorbsLater(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	w.read.stable = pastOfReader(t, i).table.published
	return w, w.read.stage == readerDone && !w.read.stable.Equal(t.events[i].read.stable)
}

func returnsPart(t *readerTrace, i int) (*readerEvent, bool) {
	w := t.events[i].deep()
	w.read.stage = readerDone
	return w, true
}
