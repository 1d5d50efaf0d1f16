package check

import (
	"cmp"
	"slices"

	"causalmesh/causal"
)

// vectorCounts bounds the memory of all vectors of one pass, in counts of 4
// bytes: that of the processes and those kept for others to take in.
const vectorCounts = 32 << 20

// entry says that from operation op of a process on, version is in the past:
// the process wrote it there, or read it there without its write being in the
// past (see source).
type entry struct {
	stamp   causal.Stamp
	key     KeyID
	version int32
	process ProcessID
	op      OpIndex
}

// past works out, in passes over the schedule, what is in the past of each step.
// A pass considers the operations of processes lo to hi only, so that vectors
// stay short however many processes there are.
type past struct {
	lo, hi int
	width  int
	// counts holds one row of width per process: how many operations of process
	// lo+i are in its past.
	counts []OpIndex
	// top is, per process, the version with the highest stamp in its past.
	top []int32
	// The same for the positions that others take in; slot finds the row of a
	// step, or is none.
	slot       []int32
	slots      int
	slotCounts []OpIndex
	slotTop    []int32

	before []OpIndex // the row of a ReadMany as it was before

	// entries of each key, lowest stamp first: keyStart[k] to keyStart[k+1].
	entries  []entry
	keyStart []int32
	after    []int32 // per version: the first entry of its key with a higher stamp

	done     []int32 // per process: steps gone through in this pass
	findings []finding
}

// finding is a read that returned less than its past holds. Several passes may
// find the same read at fault.
type finding struct {
	item    int32 // among all items: tells reads apart
	kind    Kind
	at      Place
	version int32 // returned, or none
	higher  entry // what the past holds
}

// checkPasts judges stamps and reads by what precedes them.
func (c *Checker) checkPasts() {
	c.assignSlots()
	c.collectEntries()
	a := &c.past
	n := len(c.h.processes)
	a.width = c.columns
	if a.width == 0 {
		a.width = max(8, vectorCounts/(a.slots+n+1))
	}
	a.width = min(a.width, max(n, 1))
	a.findings = a.findings[:0]
	for a.lo = 0; a.lo < n; a.lo += a.width {
		a.hi = min(n, a.lo+a.width)
		c.pass()
	}
	c.failFindings()
}

// assignSlots gives a row to every position that another process takes in.
func (c *Checker) assignSlots() {
	a := &c.past
	steps := 0
	for _, p := range c.h.processes {
		steps += len(p.ops) + 1
	}
	a.slot = filled(a.slot, steps, none)
	a.slots = 0
	for _, p := range c.h.processes {
		for s := int32(0); int(s) <= len(p.ops); s++ {
			c.eachSource(p, s, func(from Position, _ int32) bool {
				step := c.stepBase[from.Process] + int32(from.Ops)
				if from.Process != p.id && a.slot[step] == none {
					a.slot[step] = int32(a.slots)
					a.slots++
				}
				return true
			})
		}
	}
}

// collectEntries lists, per key, when its versions enter pasts.
func (c *Checker) collectEntries() {
	a := &c.past
	keys := len(c.h.Keys)
	a.entries = a.entries[:0]
	a.keyStart = filled(a.keyStart, keys+1, 0)
	for _, p := range c.h.processes {
		base := c.itemBase[p.id]
		for i, o := range p.ops {
			if o.kind == opJoin {
				continue
			}
			for _, v := range c.resolved[base+o.first : base+o.first+o.count] {
				if v >= 0 && c.enters(v, p, o) {
					w := &c.versions[v]
					a.entries = append(a.entries, entry{
						stamp: w.stamp, key: w.key, version: v, process: p.id, op: OpIndex(i),
					})
					a.keyStart[w.key+1]++
				}
			}
		}
	}
	for k := range keys {
		a.keyStart[k+1] += a.keyStart[k]
	}
	slices.SortFunc(a.entries, func(x, y entry) int {
		if d := cmp.Compare(x.key, y.key); d != 0 {
			return d
		}
		if d := x.stamp.Compare(y.stamp); d != 0 {
			return d
		}
		if d := cmp.Compare(x.process, y.process); d != 0 {
			return d
		}
		return cmp.Compare(x.op, y.op)
	})
	a.after = resize(a.after, len(c.versions))
	for k := range keys {
		higher := a.keyStart[k+1]
		for i := a.keyStart[k+1] - 1; i >= a.keyStart[k]; i-- {
			if i+1 < a.keyStart[k+1] && a.entries[i].stamp != a.entries[i+1].stamp {
				higher = i + 1
			}
			a.after[a.entries[i].version] = higher
		}
	}
}

// enters reports whether operation o of p makes v part of the past by itself.
func (c *Checker) enters(v int32, p *Process, o op) bool {
	w := &c.versions[v]
	if o.kind == opWrite || o.kind == opDelete {
		return w.outcome == Acknowledged
	}
	if _, _, joined := c.source(v, p); joined || w.lastEntry == p.id {
		return false
	}
	w.lastEntry = p.id
	return true
}

// pass goes through all steps once, considering processes lo to hi.
func (c *Checker) pass() {
	a := &c.past
	n := len(c.h.processes)
	width := a.hi - a.lo
	a.counts = filled(a.counts, n*width, 0)
	a.top = filled(a.top, n, none)
	a.done = filled(a.done, n, 0)
	a.slotCounts = resize(a.slotCounts, a.slots*width)
	a.slotTop = resize(a.slotTop, a.slots)
	for _, id := range c.schedule.order {
		p := c.h.processes[id]
		step := a.done[id]
		a.done[id]++
		row := a.counts[int(id)*width : (int(id)+1)*width]
		c.step(p, step, row)
		if a.contains(id) {
			row[int(id)-a.lo] = OpIndex(step)
		}
		if slot := a.slot[c.stepBase[id]+step]; slot != none {
			copy(a.slotCounts[int(slot)*width:], row)
			a.slotTop[slot] = a.top[id]
		}
	}
}

func (a *past) contains(id ProcessID) bool { return int(id) >= a.lo && int(id) < a.hi }

// step takes step s of p: judges it by its past, and adds it.
func (c *Checker) step(p *Process, s int32, row []OpIndex) {
	a := &c.past
	if s == 0 {
		for _, from := range p.parents {
			c.take(p, from, row)
		}
		return
	}
	o := p.ops[s-1]
	at := Place{Process: p.id, Op: OpIndex(s - 1), Key: -1}
	base := c.itemBase[p.id]
	switch o.kind {
	case opJoin:
		for _, from := range p.joinsOf(o) {
			c.take(p, from, row)
		}
	case opWrite, opDelete:
		c.write(c.resolved[base+o.first], at)
	case opRead:
		c.judge(p, o.first, at, row, row)
		c.takeVersion(p, c.resolved[base+o.first], row)
	case opReadMany:
		a.before = append(a.before[:0], row...)
		for j := o.first; j < o.first+o.count; j++ {
			c.takeVersion(p, c.resolved[base+j], row)
		}
		if a.contains(p.id) {
			row[int(p.id)-a.lo] = OpIndex(s) // what this read itself brought in
		}
		for j := o.first; j < o.first+o.count; j++ {
			c.judge(p, j, at, a.before, row)
		}
	}
}

// stampOf returns the stamp of a version, zero for none.
func (c *Checker) stampOf(v int32) causal.Stamp {
	if v < 0 {
		return causal.Stamp{}
	}
	return c.versions[v].stamp
}

// raise makes v the top of p's past if it is higher.
func (c *Checker) raise(p *Process, v int32) {
	if c.stampOf(c.past.top[p.id]).Less(c.stampOf(v)) {
		c.past.top[p.id] = v
	}
}

// take adds a position to the past of p.
func (c *Checker) take(p *Process, from Position, row []OpIndex) {
	a := &c.past
	if from.Process == p.id {
		return // one's own prefix is in the past already
	}
	if a.contains(from.Process) && row[int(from.Process)-a.lo] >= from.Ops && from.Ops > 0 {
		return // and its past with it
	}
	slot := int(a.slot[c.stepBase[from.Process]+int32(from.Ops)])
	c.raise(p, a.slotTop[slot])
	for i, n := range a.slotCounts[slot*len(row) : (slot+1)*len(row)] {
		row[i] = max(row[i], n)
	}
}

// takeVersion adds a version that was read to the past of p.
func (c *Checker) takeVersion(p *Process, v int32, row []OpIndex) {
	if v < 0 {
		return
	}
	if from, exists, _ := c.source(v, p); exists {
		c.take(p, from, row)
	}
	c.raise(p, v)
}

// write judges the stamp of a write by its past, and adds the write to it.
func (c *Checker) write(v int32, at Place) {
	w := &c.versions[v]
	if w.outcome == Refused {
		return
	}
	top := c.past.top[w.writer]
	if c.past.lo == 0 && !w.stamp.IsZero() && top != none && !c.stampOf(top).Less(w.stamp) {
		at.Key = w.key
		c.fail(KindStampOrder, at, "%s has stamp %v, which is not above its past: that holds %s",
			c.nameOp(at), w.stamp, c.nameVersion(top))
	}
	if w.outcome == Acknowledged {
		c.raise(c.h.processes[w.writer], v)
	}
}

// judge finds fault with an item that returned less than the past holds: stale if
// the session's past before the operation holds more, torn if only the versions
// that were returned with it do.
func (c *Checker) judge(p *Process, j int32, at Place, before, row []OpIndex) {
	a := &c.past
	item := c.itemBase[p.id] + j
	v := c.resolved[item]
	at.Key = p.items[j].Key
	start := a.keyStart[at.Key]
	switch {
	case v == unjudged || v >= 0 && c.versions[v].stamp.IsZero():
		return
	case v >= 0:
		start = a.after[v]
	}
	// What has a stamp above the highest in the past is not in the past.
	top := c.stampOf(a.top[p.id])
	torn := none
	for i := start; i < a.keyStart[at.Key+1]; i++ {
		e := &a.entries[i]
		if top.Less(e.stamp) {
			break
		}
		if !a.contains(e.process) {
			continue
		}
		if column := int(e.process) - a.lo; e.op < before[column] {
			a.findings = append(a.findings, finding{item: item, kind: KindStale, at: at, version: v, higher: *e})
			return
		} else if e.op < row[column] && torn == none {
			torn = i
		}
	}
	if torn != none {
		a.findings = append(a.findings, finding{item: item, kind: KindTorn, at: at, version: v, higher: a.entries[torn]})
	}
}

// failFindings reports each read at fault once, as stale if any pass says so.
func (c *Checker) failFindings() {
	found := c.past.findings
	slices.SortStableFunc(found, func(x, y finding) int {
		if d := cmp.Compare(x.item, y.item); d != 0 {
			return d
		}
		return cmp.Compare(x.kind, y.kind)
	})
	for i, f := range found {
		if i > 0 && found[i-1].item == f.item {
			continue
		}
		why := ""
		if c.describes() {
			why = c.explain(f)
		}
		c.fail(f.kind, f.at, "%s found %s, but %s %s%s", c.nameOp(f.at), c.nameVersion(f.version),
			pastOf(f.kind), c.nameVersion(f.higher.version), why)
	}
}

func pastOf(k Kind) string {
	if k == KindTorn {
		return "the past of what the same read-many found holds"
	}
	return "its past holds"
}
