package sim

import (
	"maps"
	"slices"

	"causalmesh/causal"
)

type storeTrace = trace[*storeEvent]

// storeMutations makes at least one step of each action wrong, or takes a wrong one in
// its place. Where what is wrong is why the step must not be taken, nothing is said of
// the state to which it would lead.
func storeMutations(causal.Propagation) []mutation[*storeEvent] {
	return []mutation[*storeEvent]{
		{causal.ActionWrite, "its time is not above that of its server's last one", writesBelowLast},
		{causal.ActionWrite, "its time is not above what an earlier life has left", writesBelowLeft},
		{actionSpread, "there is nothing that not everyone is known to have", spreadsNothing},
		{actionRaise, "S covers what not everyone has", raisesBeyond},
		{actionRaise, "what S covers is not shown", showsBefore},
		{actionRaise, "a late version is taken for the newest", showsLate},
		{actionRaise, "the home does not note what the database lacks", notesNothing},
		{"", "the home answers before it knows what the asker does", servesEarly},
		{causal.ActionEvict, "there is nothing to forget", evictsNothing},
		{"", "the home forgets what is not flushed", evictsDirty},
		{"", "another server forgets what F does not cover", evictsUnflushed},
		{causal.ActionMiss, "what is asked for is there", missesComplete},
		{causal.ActionServeMiss, "it answers with another version", namesAnother},
		{causal.ActionServeMiss, "the asker merges what it has no answer to", installsUnanswered},
		{causal.ActionInstallMiss, "the entry is another than the answer", mergesAnother},
		{"", "what is being loaded is forgotten", evictsBusy},
		{actionLookup, "it finds another version", namesAnother},
		{actionLookup, "the home merges what it has not been told", loadsUnanswered},
		{actionLookup, "the grace of what is being loaded is not over", purgesAsked},
		{causal.ActionLoaded, "the entry is another than the answer", mergesAnother},
		{causal.ActionLoadFails, "no load is under way", failsNothing},
		{causal.ActionLoadFails, "no answer is taken for absent", assumesAbsent},
		{causal.ActionFlush, "the database lacks another version", flushesAnother},
		{causal.ActionFlush, "a flush of the key is under way", flushesTwice},
		{actionStoreUpwards, "it was not asked to", storesUnasked},
		{actionStoreUpwards, "a lower version replaces a higher one", storesDownwards},
		{actionStoreUpwards, "the home hears of it before", flushedEarly},
		{causal.ActionFlushed, "the home forgets that it has something newer", notesNothing},
		{causal.ActionFlushFails, "the home takes it for flushed", notesNothing},
		{causal.ActionFlushFails, "no flush is under way", failsNoFlush},
		{causal.ActionAnnounce, "it covers what is not flushed", announcesMore},
		{actionPurge, "there is no tombstone", purgesOther},
		{causal.ActionRead, "it returns another version", namesAnother},
		{"", "what is late is read", readsIncomplete},
	}
}

// storePast is what a trace has told before one of its events.
type storePast struct {
	servers  []storeState
	flushed  []causal.VectorClock // F
	loads    map[loadOf]*pastLoad
	versions []*storeEvent // writes
	spread   causal.VectorClock
	flushing map[string]causal.Dot
	stored   map[string]causal.Dot // by this epoch
}

type loadOf struct {
	server causal.ReplicaID
	key    string
}

type pastLoad struct {
	stable   causal.VectorClock // S of the asker
	answered bool
}

func pastOf(t *storeTrace, i int) *storePast {
	p := &storePast{
		servers: make([]storeState, storeServers), flushed: make([]causal.VectorClock, storeServers),
		loads: map[loadOf]*pastLoad{}, spread: make(causal.VectorClock, storeServers),
		flushing: map[string]causal.Dot{}, stored: map[string]causal.Dot{},
	}
	for _, e := range t.events[:i] {
		p.take(e)
	}
	return p
}

func (p *storePast) take(e *storeEvent) {
	at := loadOf{e.server, e.key}
	switch e.do {
	case causal.ActionWrite:
		p.versions = append(p.versions, e)
	case actionSpread:
		p.spread[e.origin]++
	case causal.ActionMiss:
		p.loads[at] = &pastLoad{stable: e.after.stable}
	case causal.ActionServeMiss:
		p.loads[loadOf{e.asker, e.key}].answered = true
	case actionLookup:
		p.loads[at].answered = true
	case causal.ActionInstallMiss, causal.ActionLoaded, causal.ActionLoadFails:
		delete(p.loads, at)
	case causal.ActionFlush:
		p.flushing[e.key] = e.dot
	case causal.ActionFlushed, causal.ActionFlushFails:
		delete(p.flushing, e.key)
	case actionStoreUpwards:
		p.stored[e.key] = e.stored
	case actionPurge:
		p.stored[e.key] = causal.Dot{}
	case causal.ActionAnnounce:
		p.flushed[e.server] = e.vector
	}
	if e.after != nil {
		p.servers[e.server] = *e.after
	}
}

// entry is what a server shows of a key.
func (p *storePast) entry(s causal.ReplicaID, key string) storeEntry {
	return p.servers[s].entries[key]
}

// eachKey looks for a server and a key, in order.
func (p *storePast) eachKey(fits func(s causal.ReplicaID, key string) bool) (s causal.ReplicaID, key string, ok bool) {
	for i := range p.servers {
		for _, k := range shardKeys() {
			if fits(causal.ReplicaID(i), k) {
				return causal.ReplicaID(i), k, true
			}
		}
	}
	return 0, "", false
}

// other is a version of the key, but not this one; absent is one.
func (p *storePast) other(key string, not causal.Dot) causal.Dot {
	for _, v := range p.versions {
		if v.key == key && v.dot != not {
			return v.dot
		}
	}
	return causal.Dot{}
}

// written counts the versions of each origin.
func (p *storePast) written() causal.VectorClock {
	v := make(causal.VectorClock, storeServers)
	for _, w := range p.versions {
		v = v.Add(w.dot)
	}
	return v
}

// flushedFor reports whether a server may take the version that it shows for one that
// the database has.
func (p *storePast) flushedFor(s causal.ReplicaID, key string) bool {
	if isHome(s, key) {
		return p.servers[s].dirty[key].IsZero()
	}
	dot := p.entry(s, key).dot
	return dot.Origin == storeServers || p.flushed[causal.HomeOf([]byte(key), storeServers)].Covers(dot)
}

// storesTombstone reports whether the database has one that this epoch has written.
func (p *storePast) storesTombstone(key string) bool {
	return slices.ContainsFunc(p.versions, func(v *storeEvent) bool { return v.dot == p.stored[key] && v.tombstone })
}

func isHome(s causal.ReplicaID, key string) bool {
	return causal.HomeOf([]byte(key), storeServers) == s
}

// instead is an event in the place of one that it may have nothing to do with.
func instead(do causal.Action, s causal.ReplicaID, key string) *storeEvent {
	return &storeEvent{do: do, server: s, key: key}
}

// insteadOf takes an event where a server and a key fit, in the place of the i-th.
func insteadOf(t *storeTrace, i int, do causal.Action, fits func(p *storePast, s causal.ReplicaID, key string) bool) (*storeEvent, bool) {
	p := pastOf(t, i)
	s, key, ok := p.eachKey(func(s causal.ReplicaID, key string) bool { return fits(p, s, key) })
	return instead(do, s, key), ok
}

// unsaid copies an event to make it wrong, so that nothing is said of what follows.
func unsaid(e *storeEvent) *storeEvent {
	w := *e
	w.after = nil
	return &w
}

// led copies an event and the state to which it has led, to make that wrong.
func led(e *storeEvent) *storeEvent {
	w, after := *e, *e.after
	after.entries, after.dirty = maps.Clone(after.entries), maps.Clone(after.dirty)
	w.after = &after
	return &w
}

func writesBelowLast(t *storeTrace, i int) (*storeEvent, bool) {
	w := unsaid(t.events[i])
	for _, v := range slices.Backward(pastOf(t, i).versions) {
		if v.server == w.server {
			w.time = v.time
			return w, true
		}
	}
	return nil, false
}

func writesBelowLeft(t *storeTrace, i int) (*storeEvent, bool) {
	w := unsaid(t.events[i])
	w.time = slices.Sorted(maps.Keys(t.times))[len(shardKeys())-1] // see epochBegins
	return w, true
}

func spreadsNothing(t *storeTrace, i int) (*storeEvent, bool) {
	w, p := unsaid(t.events[i]), pastOf(t, i)
	last := p.written()
	for o := range last {
		if w.origin = causal.ReplicaID(o); p.spread[o] == last[o] {
			return w, true
		}
	}
	return nil, false
}

func raisesBeyond(t *storeTrace, i int) (*storeEvent, bool) {
	w, p := unsaid(t.events[i]), pastOf(t, i)
	last := p.written()
	for o := range last {
		if p.spread[o] < last[o] {
			w.vector = w.vector.Clone()
			w.vector[o] = p.spread[o] + 1
			return w, true
		}
	}
	return nil, false
}

func showsBefore(t *storeTrace, i int) (*storeEvent, bool) {
	w, p := led(t.events[i]), pastOf(t, i)
	for _, k := range shardKeys() {
		if before := p.entry(w.server, k); before != w.after.entries[k] {
			w.after.entries[k] = before
			return w, true
		}
	}
	return nil, false
}

func showsLate(t *storeTrace, i int) (*storeEvent, bool) {
	w := led(t.events[i])
	for _, k := range shardKeys() {
		if e := w.after.entries[k]; !e.dot.IsZero() && !e.complete {
			e.complete = true
			w.after.entries[k] = e
			return w, true
		}
	}
	return nil, false
}

func notesNothing(t *storeTrace, i int) (*storeEvent, bool) {
	w := led(t.events[i])
	for _, k := range shardKeys() {
		if dirty := w.after.dirty[k]; !dirty.IsZero() && (w.key == "" || w.key == k) {
			w.after.dirty[k] = causal.Dot{}
			return w, true
		}
	}
	return nil, false
}

func servesEarly(t *storeTrace, i int) (*storeEvent, bool) {
	p := pastOf(t, i)
	asker, key, ok := p.eachKey(func(s causal.ReplicaID, key string) bool {
		l, home := p.loads[loadOf{s, key}], causal.HomeOf([]byte(key), storeServers)
		return l != nil && !l.answered && s != home &&
			!l.stable.AtMost(p.servers[home].stable) && p.entry(home, key).complete
	})
	w := instead(causal.ActionServeMiss, causal.HomeOf([]byte(key), storeServers), key)
	w.asker, w.dot = asker, p.entry(w.server, key).dot
	return w, ok
}

func evictsNothing(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionEvict, func(p *storePast, s causal.ReplicaID, key string) bool {
		return p.entry(s, key) == storeEntry{}
	})
}

func evictsDirty(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionEvict, func(p *storePast, s causal.ReplicaID, key string) bool {
		return isHome(s, key) && !p.flushedFor(s, key) && p.loads[loadOf{s, key}] == nil
	})
}

func evictsUnflushed(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionEvict, func(p *storePast, s causal.ReplicaID, key string) bool {
		return !isHome(s, key) && !p.flushedFor(s, key) && p.loads[loadOf{s, key}] == nil
	})
}

func evictsBusy(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionEvict, func(p *storePast, s causal.ReplicaID, key string) bool {
		return p.loads[loadOf{s, key}] != nil && p.entry(s, key) != storeEntry{} && p.flushedFor(s, key)
	})
}

func missesComplete(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionMiss, func(p *storePast, s causal.ReplicaID, key string) bool {
		return p.entry(s, key).complete && p.loads[loadOf{s, key}] == nil
	})
}

func readsIncomplete(t *storeTrace, i int) (*storeEvent, bool) {
	w, ok := insteadOf(t, i, causal.ActionRead, func(p *storePast, s causal.ReplicaID, key string) bool {
		e := p.entry(s, key)
		return !e.dot.IsZero() && !e.complete
	})
	w.dot = pastOf(t, i).entry(w.server, w.key).dot
	return w, ok
}

func namesAnother(t *storeTrace, i int) (*storeEvent, bool) {
	w := unsaid(t.events[i])
	w.dot = pastOf(t, i).other(w.key, w.dot)
	return w, w.dot != t.events[i].dot
}

func installsUnanswered(t *storeTrace, i int) (*storeEvent, bool) {
	return instead(causal.ActionInstallMiss, t.events[i].asker, t.events[i].key), true
}

func loadsUnanswered(t *storeTrace, i int) (*storeEvent, bool) {
	return instead(causal.ActionLoaded, t.events[i].server, t.events[i].key), true
}

func mergesAnother(t *storeTrace, i int) (*storeEvent, bool) {
	w := led(t.events[i])
	e := w.after.entries[w.key]
	e.dot = pastOf(t, i).other(w.key, e.dot)
	w.after.entries[w.key] = e
	return w, e != t.events[i].after.entries[w.key]
}

func purgesAsked(t *storeTrace, i int) (*storeEvent, bool) {
	e := t.events[i]
	return instead(actionPurge, e.server, e.key), pastOf(t, i).storesTombstone(e.key)
}

func failsNothing(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionLoadFails, func(p *storePast, s causal.ReplicaID, key string) bool {
		return p.loads[loadOf{s, key}] == nil
	})
}

func assumesAbsent(t *storeTrace, i int) (*storeEvent, bool) {
	w := led(t.events[i])
	complete := w.after.entries[w.key].complete
	w.after.entries[w.key] = storeEntry{complete: true}
	return w, !complete
}

func flushesAnother(t *storeTrace, i int) (*storeEvent, bool) {
	w := unsaid(t.events[i])
	w.dot = pastOf(t, i).other(w.key, w.dot)
	return w, true
}

func flushesTwice(t *storeTrace, i int) (*storeEvent, bool) {
	w, ok := insteadOf(t, i, causal.ActionFlush, func(p *storePast, s causal.ReplicaID, key string) bool {
		return isHome(s, key) && p.flushing[key] != causal.Dot{} && p.flushing[key] == p.servers[s].dirty[key]
	})
	w.dot = pastOf(t, i).flushing[w.key]
	return w, ok
}

func storesUnasked(t *storeTrace, i int) (*storeEvent, bool) {
	w, p := unsaid(t.events[i]), pastOf(t, i)
	w.dot = p.other(w.key, w.dot)
	w.stored = w.dot
	return w, !w.dot.IsZero() && !slices.Contains(p.servers[w.server].requests[w.key], w.dot)
}

func storesDownwards(t *storeTrace, i int) (*storeEvent, bool) {
	w := unsaid(t.events[i])
	w.stored = w.dot
	return w, w.stored != t.events[i].stored
}

func flushedEarly(t *storeTrace, i int) (*storeEvent, bool) {
	e := t.events[i]
	return instead(causal.ActionFlushed, e.server, e.key), pastOf(t, i).flushing[e.key] == e.dot
}

func failsNoFlush(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, causal.ActionFlushFails, func(p *storePast, s causal.ReplicaID, key string) bool {
		return isHome(s, key) && p.flushing[key] == causal.Dot{}
	})
}

func announcesMore(t *storeTrace, i int) (*storeEvent, bool) {
	w := unsaid(t.events[i])
	for o := range w.vector {
		if w.vector[o] < t.events[i].after.stable[o] {
			w.vector = w.vector.Clone()
			w.vector[o]++
			return w, true
		}
	}
	return nil, false
}

func purgesOther(t *storeTrace, i int) (*storeEvent, bool) {
	return insteadOf(t, i, actionPurge, func(p *storePast, s causal.ReplicaID, key string) bool {
		return isHome(s, key) && p.stored[key] != causal.Dot{} && !p.storesTombstone(key)
	})
}
