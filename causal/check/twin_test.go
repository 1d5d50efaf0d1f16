package check

import (
	"causalmesh/causal"
)

// The twin judges a history by the letter of the definition, with no regard for
// cost: versions are found by scanning, and the past of every operation is
// written out as a set.

type judgement map[Violation]bool // without messages

type twinVersion struct {
	item    Item
	process int // -1: foreign
	op      int
	outcome Outcome
	must    bool
}

// twinRead is one item of a read, or of the final state (process -1, op the
// server).
type twinRead struct {
	item        Item
	process, op int
	version     int // none, unjudged, or an index
}

type twin struct {
	h        *History
	versions []twinVersion
	reads    []twinRead
	last     causal.Epoch
	out      judgement
}

func twinCheck(h *History) judgement {
	t := &twin{h: h, out: judgement{}}
	t.collect()
	if len(t.out) > 0 {
		return t.out
	}
	t.resolve()
	t.clashes()
	t.pasts()
	t.end()
	return t.out
}

func (t *twin) fail(k Kind, process, op int, key KeyID) {
	t.out[Violation{Kind: k, Place: Place{ProcessID(process), OpIndex(op), key}}] = true
}

func (t *twin) failRead(k Kind, r twinRead) {
	if r.process < 0 {
		r.op = -1
	}
	t.fail(k, r.process, r.op, r.item.Key)
}

func (t *twin) must(process int) bool {
	return t.h.CleanRestarts || t.h.processes[process].epoch == t.last
}

func (t *twin) collect() {
	for _, p := range t.h.processes {
		t.last = max(t.last, p.epoch)
	}
	for i, p := range t.h.processes {
		for j, o := range p.ops {
			switch o.kind {
			case opWrite, opDelete:
				it := p.items[o.first]
				for _, w := range t.versions {
					if it.Value != 0 && w.item.Value == it.Value {
						t.fail(KindMalformed, i, j, it.Key)
					}
				}
				t.versions = append(t.versions, twinVersion{it, i, j, o.outcome, o.outcome == Acknowledged && t.must(i)})
			case opRead, opReadMany:
				for _, it := range p.itemsOf(o) {
					t.reads = append(t.reads, twinRead{it, i, j, unsettled})
				}
			}
		}
	}
	for s, state := range t.h.Final {
		for k := range t.h.Keys {
			it := Item{Key: KeyID(k)}
			for _, listed := range state.Items {
				if listed.Key == it.Key {
					it = listed
				}
			}
			t.reads = append(t.reads, twinRead{it, -1, s, unsettled})
		}
	}
}

const unsettled = int(unjudged)

func (t *twin) declared(k KeyID, match func(ValueID) bool) bool {
	for _, f := range t.h.Foreign {
		if f.Key == k && match(f.Value) {
			return true
		}
	}
	return false
}

func isDelete(v ValueID) bool { return v == 0 }
func isAny(ValueID) bool      { return true }

// foreign returns the version of a foreign value and stamp.
func (t *twin) foreign(k KeyID, value ValueID, dot causal.Dot, stamp causal.Stamp) int {
	for i, w := range t.versions {
		if w.process < 0 && w.item.Key == k && w.item.Value == value && w.item.Stamp == stamp {
			return i
		}
	}
	it := Item{Key: k, Seen: SeenValue, Value: value, Dot: dot, Stamp: stamp}
	if value == 0 {
		it.Seen = SeenTombstone
	}
	t.versions = append(t.versions, twinVersion{item: it, process: -1})
	return len(t.versions) - 1
}

// learn takes a read's word for the dot and stamp of a version.
func (t *twin) learn(i int, r twinRead) {
	w := &t.versions[i].item
	if w.Stamp.IsZero() {
		w.Stamp = r.item.Stamp
	} else if !r.item.Stamp.IsZero() && r.item.Stamp != w.Stamp {
		t.failRead(KindStampClash, r)
	}
	if w.Dot.IsZero() {
		w.Dot = r.item.Dot
	} else if !r.item.Dot.IsZero() && r.item.Dot != w.Dot {
		t.failRead(KindDotClash, r)
	}
}

func (t *twin) resolve() {
	for i := range t.reads {
		r := &t.reads[i]
		switch it := r.item; it.Seen {
		case SeenNothing:
			r.version = int(none)
			if t.declared(it.Key, isDelete) {
				r.version = t.foreign(it.Key, 0, causal.Dot{}, causal.ForeignStamp)
			}
		case SeenValue:
			t.resolveValue(r)
		}
	}
	var unknown []*twinRead
	for i := range t.reads {
		r := &t.reads[i]
		if r.item.Seen < SeenTombstone || r.item.Stamp.IsZero() {
			continue
		}
		if !t.resolveStamp(r) {
			unknown = append(unknown, r)
		}
	}
	t.resolveUnknown(unknown)
	for _, r := range t.reads {
		if r.process >= 0 && r.version >= 0 && t.must(r.process) {
			t.versions[r.version].must = true
		}
	}
}

func (t *twin) resolveValue(r *twinRead) {
	for i, w := range t.versions {
		if w.process < 0 || w.item.Value != r.item.Value {
			continue
		}
		switch {
		case w.outcome == Refused:
			t.failRead(KindRefused, *r)
		case w.item.Key != r.item.Key:
			t.failRead(KindWrongKey, *r)
		default:
			t.learn(i, *r)
			r.version = i
		}
		return
	}
	if !t.declared(r.item.Key, func(v ValueID) bool { return v == r.item.Value }) {
		t.failRead(KindNowhere, *r)
		return
	}
	r.version = t.foreign(r.item.Key, r.item.Value, r.item.Dot, r.item.Stamp)
}

func (t *twin) resolveStamp(r *twinRead) bool {
	for i, w := range t.versions {
		if w.outcome == Refused || w.item.Stamp != r.item.Stamp || w.item.Stamp == causal.ForeignStamp {
			continue
		}
		switch {
		case w.item.Key != r.item.Key:
			t.failRead(KindWrongKey, *r)
		case r.item.Seen == SeenTombstone && w.item.Seen != SeenTombstone:
			t.failRead(KindNowhere, *r)
		default:
			t.learn(i, *r)
			r.version = i
		}
		return true
	}
	return false
}

func (t *twin) resolveUnknown(unknown []*twinRead) {
	type group struct {
		key  KeyID
		seen Seen
	}
	stamps := map[group]map[causal.Stamp]bool{}
	for _, r := range unknown {
		g := group{r.item.Key, r.item.Seen}
		if stamps[g] == nil {
			stamps[g] = map[causal.Stamp]bool{}
		}
		stamps[g][r.item.Stamp] = true
	}
	candidates := map[group][]int{}
	for i, w := range t.versions {
		if w.process >= 0 && w.outcome != Refused && w.item.Stamp.IsZero() {
			g := group{w.item.Key, SeenTombstone}
			if w.item.Seen == SeenValue {
				g.seen = SeenExpired
			}
			candidates[g] = append(candidates[g], i)
		}
	}
	for _, r := range unknown {
		g := group{r.item.Key, r.item.Seen}
		foreign := t.declared(g.key, isDelete) || g.seen == SeenExpired && t.declared(g.key, isAny)
		switch {
		case foreign, len(stamps[g]) <= len(candidates[g]) && len(candidates[g]) > 1:
			r.version = t.foreign(g.key, 0, r.item.Dot, r.item.Stamp)
		case len(candidates[g]) == 1 && len(stamps[g]) == 1:
			r.version = candidates[g][0]
			t.learn(r.version, *r)
		default:
			t.failRead(KindNowhere, *r)
		}
	}
}

func (t *twin) clashes() {
	for i, w := range t.versions {
		for _, u := range t.versions[:i] {
			if w.outcome == Refused || u.outcome == Refused {
				continue
			}
			if w.item.Stamp == u.item.Stamp && !w.item.Stamp.IsZero() && w.item.Stamp != causal.ForeignStamp {
				t.fail(KindStampClash, w.process, w.op, w.item.Key)
			}
			if w.process >= 0 && u.process >= 0 && !w.item.Dot.IsZero() &&
				w.item.Dot.Origin == u.item.Dot.Origin && w.item.Dot.Counter == u.item.Dot.Counter &&
				t.h.processes[w.process].epoch == t.h.processes[u.process].epoch {
				t.fail(KindDotClash, w.process, w.op, w.item.Key)
			}
		}
	}
}

// bitset is a set of steps or of versions.
type bitset []uint64

func (b bitset) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// join adds c to b and reports whether that changed b.
func (b bitset) join(c bitset) bool {
	changed := false
	for i, w := range c {
		changed = changed || b[i]|w != b[i]
		b[i] |= w
	}
	return changed
}

// pasts closes the causal order over all steps and judges each by its past.
func (t *twin) pasts() {
	base := make([]int, 0, len(t.h.processes))
	steps := 0
	for _, p := range t.h.processes {
		base = append(base, steps)
		steps += len(p.ops) + 1
	}
	at := func(from Position) int { return base[from.Process] + int(from.Ops) }
	direct := make([][]int, steps) // what precedes a step directly
	brings := make([]bitset, steps)
	for i, p := range t.h.processes {
		for s := range len(p.ops) + 1 {
			brings[base[i]+s] = make(bitset, len(t.versions)/64+1)
			var from []Position
			if s == 0 {
				from = p.parents
			} else {
				direct[base[i]+s] = append(direct[base[i]+s], base[i]+s-1)
				if o := p.ops[s-1]; o.kind == opJoin {
					from = p.joinsOf(o)
				}
			}
			for _, f := range from {
				direct[base[i]+s] = append(direct[base[i]+s], at(f))
			}
		}
	}
	for v, w := range t.versions {
		if w.process >= 0 && w.outcome == Acknowledged {
			brings[base[w.process]+w.op+1].add(v)
		}
	}
	for _, r := range t.reads {
		if r.process < 0 || r.version < 0 {
			continue
		}
		step := base[r.process] + r.op + 1
		brings[step].add(r.version)
		w := t.versions[r.version]
		if w.process < 0 || !t.h.CleanRestarts && t.h.processes[w.process].epoch < t.h.processes[r.process].epoch {
			continue
		}
		from := base[w.process] + w.op + 1
		if w.outcome == Unknown {
			from--
		}
		direct[step] = append(direct[step], from)
	}
	reach := closure(direct)
	for s, from := range direct {
		for _, f := range from {
			if reach[f].has(s) {
				t.fail(KindCycle, -1, -1, -1)
				return
			}
		}
	}
	known := make([]bitset, steps) // versions in the past, the step included
	for s := range known {
		known[s] = make(bitset, len(t.versions)/64+1)
		for f := range steps {
			if reach[s].has(f) {
				known[s].join(brings[f])
			}
		}
	}
	t.judge(base, known)
}

// closure returns, for each step, all steps that precede it, and itself.
func closure(direct [][]int) []bitset {
	reach := make([]bitset, len(direct))
	for s := range reach {
		reach[s] = make(bitset, len(direct)/64+1)
		reach[s].add(s)
	}
	for changed := true; changed; {
		changed = false
		for s, from := range direct {
			for _, f := range from {
				changed = reach[s].join(reach[f]) || changed
			}
		}
	}
	return reach
}

func (t *twin) judge(base []int, known []bitset) {
	for _, r := range t.reads {
		if r.process < 0 || r.version == unsettled {
			continue
		}
		var stamp causal.Stamp
		if r.version >= 0 {
			if stamp = t.versions[r.version].item.Stamp; stamp.IsZero() {
				continue
			}
		}
		above := func(past bitset) bool {
			for v, w := range t.versions {
				if past.has(v) && w.item.Key == r.item.Key && (stamp.Less(w.item.Stamp) || r.version < 0) {
					return true
				}
			}
			return false
		}
		step := base[r.process] + r.op + 1
		many := t.h.processes[r.process].ops[r.op].kind == opReadMany
		if above(known[step-1]) {
			t.failRead(KindStale, r)
		} else if many && above(known[step]) {
			t.failRead(KindTorn, r)
		}
	}
	for _, w := range t.versions {
		if w.process < 0 || w.outcome == Refused || w.item.Stamp.IsZero() {
			continue
		}
		for u := range t.versions {
			if known[base[w.process]+w.op].has(u) && !t.versions[u].item.Stamp.Less(w.item.Stamp) {
				t.fail(KindStampOrder, w.process, w.op, w.item.Key)
			}
		}
	}
}

func (t *twin) end() {
	for _, r := range t.reads {
		if r.process >= 0 || r.version == unsettled {
			continue
		}
		for _, q := range t.reads {
			if q.process < 0 && q.item.Key == r.item.Key && q.version != unsettled && q.version != r.version {
				t.failRead(KindDiverged, r)
			}
		}
		for _, w := range t.versions {
			if !w.must || w.item.Key != r.item.Key {
				continue
			}
			if r.version < 0 || !t.versions[r.version].item.Stamp.IsZero() &&
				t.versions[r.version].item.Stamp.Less(w.item.Stamp) {
				t.failRead(KindLost, r)
			}
		}
	}
	for _, s := range t.h.Final {
		if s.Pending != 0 {
			t.fail(KindPending, -1, -1, -1)
		}
	}
}
