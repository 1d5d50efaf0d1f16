package sim

import (
	"slices"

	"causalmesh/causal"
)

type ringTrace = trace[*ringEvent]

// ringMutations makes at least one step of each action wrong. Where what is wrong is
// why the step must not be taken, nothing is said of the state to which it would lead.
func ringMutations(mode causal.Propagation) []mutation[*ringEvent] {
	list := []mutation[*ringEvent]{
		{causal.ActionRead, "it returns another version", readsAnother},
		{causal.ActionRead, "it returns what the session has overwritten", readsOverwritten},
		{causal.ActionWrite, "its time is not above what the server has", writesLate},
		{causal.ActionWrite, "it leaves out a dependency", writesAlone},
		{causal.ActionSync, "the session knows less than the server", syncsLess},
		{actionJoins, "it drops a write that is in flight", joinsLess},
		{actionJoins, "it knows less than the one that is joined", joinsLower},
		{causal.ActionSend, "it sends what is not the next", sendsAnother},
		{causal.ActionReceive, "it skips a version", skips},
		{causal.ActionReceive, "it counts what was not sent", receivesMore},
		{causal.ActionLearn, "nobody has stated so much", learnsMore},
		{causal.ActionLearn, "S covers less than is closed", learnsLess},
		{causal.ActionEnd, "it goes one too far", endsBeyond},
		{causal.ActionResync, "the successor has stated more than it has", resyncsBeyond},
	}
	if mode == causal.TwoRound {
		list = append(list,
			mutation[*ringEvent]{causal.ActionEndFirstRound, "its mark is beyond what has come", skips},
			mutation[*ringEvent]{causal.ActionPassMark, "it skips a version", skips},
			mutation[*ringEvent]{causal.ActionSend, "it sends a version for a mark", sendsVersion},
		)
	}
	return list
}

// wrong copies an event to make it wrong. Nothing is said any more of what follows.
func wrong(e *ringEvent) *ringEvent {
	w := *e
	w.after, w.known = nil, nil
	return &w
}

func readsAnother(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	for _, o := range t.events[:i] {
		if o.do == causal.ActionWrite && o.key == e.key && o.dot != e.dot {
			e.dot = o.dot
			return e, true
		}
	}
	return nil, false
}

// readsOverwritten: the server's version instead of the session's own, higher one.
func readsOverwritten(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	if t.events[i].known == nil || !slices.Contains(t.events[i].known.own, e.dot) {
		return nil, false
	}
	e.dot = causal.Dot{}
	return e, true
}

func writesLate(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	for _, o := range slices.Backward(t.events[:i]) {
		if o.do == causal.ActionWrite && o.dot.Origin != e.server && e.isAfter(t, i, o) {
			e.time = o.time
			return e, true
		}
	}
	return nil, false
}

// isAfter reports whether the server of e has received the version that o has written.
func (e *ringEvent) isAfter(t *ringTrace, i int, o *ringEvent) bool {
	return t.events[i].after.received.Covers(o.dot)
}

func writesAlone(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	if len(e.deps) == 0 {
		return nil, false
	}
	e.deps = e.deps[1:]
	return e, true
}

func syncsLess(t *ringTrace, i int) (*ringEvent, bool) { return knowsLess(t.events[i]) }

func joinsLower(t *ringTrace, i int) (*ringEvent, bool) { return knowsLess(t.events[i]) }

// knowsLess lowers D where it is not zero.
func knowsLess(e *ringEvent) (*ringEvent, bool) {
	if e.known == nil {
		return nil, false
	}
	w := *e
	known := *e.known
	w.known = &known
	known.known = known.known.Clone()
	for i := range known.known {
		if known.known[i] > 0 {
			known.known[i]--
			return &w, true
		}
	}
	return nil, false
}

func joinsLess(t *ringTrace, i int) (*ringEvent, bool) {
	w := *t.events[i]
	if w.known == nil || len(w.known.own) == 0 {
		return nil, false
	}
	w.known = &ringContext{w.known.known, w.known.own[1:]}
	return &w, true
}

func sendsAnother(t *ringTrace, i int) (*ringEvent, bool) { return skips(t, i) }

func sendsVersion(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	e.mark = false
	return e, t.events[i].mark
}

// skips leaves out a dot.
func skips(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	e.dot.Counter++
	return e, true
}

func receivesMore(t *ringTrace, i int) (*ringEvent, bool) {
	w := *t.events[i]
	after := *w.after
	after.received = after.received.Clone()
	after.received[w.dot.Origin]++
	w.after = &after
	return &w, true
}

func learnsMore(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	received := t.events[i].after.received
	for o := range received {
		if e.most[o] < received[o] { // it may have it, but not everyone
			e.vector = e.vector.Clone()
			e.vector[o] = e.most[o] + 1
			return e, true
		}
	}
	return nil, false
}

func learnsLess(t *ringTrace, i int) (*ringEvent, bool) {
	w := *t.events[i]
	after := *w.after
	w.after = &after
	after.stable = after.stable.Clone()
	for o := range after.stable {
		if after.stable[o] > 0 {
			after.stable[o]--
			return &w, true
		}
	}
	return nil, false
}

func endsBeyond(t *ringTrace, i int) (*ringEvent, bool) {
	w := *t.events[i]
	after := *w.after
	w.after = &after
	after.everywhere = after.everywhere.Clone()
	after.everywhere[(int(w.server)+1)%ringServers]++
	return &w, true
}

func resyncsBeyond(t *ringTrace, i int) (*ringEvent, bool) {
	e := wrong(t.events[i])
	e.vector = e.vector.Clone().Join(make(causal.VectorClock, ringServers))
	e.vector[e.server] = e.most[e.server] + 1
	return e, true
}
