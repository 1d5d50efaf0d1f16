package check

import "strings"

// schedule is an order of all steps in which each comes after its past. Step 0
// of a process takes in its parents; step n is its n-th operation, after which
// its Position has n operations.
type schedule struct {
	order  []ProcessID // whose next step it is
	steps  []int32     // done, per process
	wait   []Position  // what a process that cannot go on waits for
	waiter []ProcessID // first process that waits for this one, or -1
	next   []ProcessID // next process that waits for the same one, or -1
	ready  []ProcessID
}

// source returns the position that reading version v brings into the past of
// process p, and whether there is one. joined says that v itself is part of the
// past by being within it; otherwise the read is what makes v part of the past.
func (c *Checker) source(v int32, p *Process) (from Position, exists, joined bool) {
	w := &c.versions[v]
	if w.writer < 0 {
		return Position{}, false, false
	}
	if !c.h.CleanRestarts && c.h.processes[w.writer].epoch < p.epoch {
		return Position{}, false, false
	}
	return Position{Process: w.writer, Ops: w.op + 1}, true, w.outcome == Acknowledged
}

// eachSource calls visit with every position that step s of p brings into its
// past, until visit returns false. v is the version that was read, or none.
func (c *Checker) eachSource(p *Process, s int32, visit func(from Position, v int32) bool) {
	if s == 0 {
		for _, from := range p.parents {
			if !visit(from, none) {
				return
			}
		}
		return
	}
	o := p.ops[s-1]
	switch o.kind {
	case opJoin:
		for _, from := range p.joinsOf(o) {
			if !visit(from, none) {
				return
			}
		}
	case opRead, opReadMany:
		base := c.itemBase[p.id]
		for _, v := range c.resolved[base+o.first : base+o.first+o.count] {
			if v < 0 {
				continue
			}
			if from, exists, _ := c.source(v, p); exists && !visit(from, v) {
				return
			}
		}
	}
}

// order fills the schedule. It reports false if causality has a cycle: then
// there are no pasts to judge by.
func (c *Checker) order() bool {
	s := &c.schedule
	n := len(c.h.processes)
	s.order, s.ready = s.order[:0], s.ready[:0]
	s.steps = filled(s.steps, n, 0)
	s.wait = resize(s.wait, n)
	s.waiter = filled(s.waiter, n, -1)
	s.next = filled(s.next, n, -1)
	for id := n - 1; id >= 0; id-- {
		s.ready = append(s.ready, ProcessID(id))
	}
	total := 0
	for len(s.ready) > 0 {
		id := s.ready[len(s.ready)-1]
		s.ready = s.ready[:len(s.ready)-1]
		c.advance(c.h.processes[id])
		s.wake(id)
	}
	for _, p := range c.h.processes {
		total += len(p.ops) + 1
	}
	if len(s.order) == total {
		return true
	}
	c.failCycle()
	return false
}

// advance orders the steps of p up to one that must wait.
func (c *Checker) advance(p *Process) {
	s := &c.schedule
	for int(s.steps[p.id]) <= len(p.ops) {
		blocked := false
		c.eachSource(p, s.steps[p.id], func(from Position, _ int32) bool {
			blocked = s.steps[from.Process] <= int32(from.Ops)
			if blocked {
				s.wait[p.id] = from
				s.next[p.id] = s.waiter[from.Process]
				s.waiter[from.Process] = p.id
			}
			return !blocked
		})
		if blocked {
			return
		}
		s.order = append(s.order, p.id)
		s.steps[p.id]++
	}
}

// wake makes those ready that waited for what process id has now done.
func (s *schedule) wake(id ProcessID) {
	w := s.waiter[id]
	s.waiter[id] = -1
	for w >= 0 {
		next := s.next[w]
		if s.steps[id] > int32(s.wait[w].Ops) {
			s.ready = append(s.ready, w)
		} else {
			s.next[w] = s.waiter[id]
			s.waiter[id] = w
		}
		w = next
	}
}

// failCycle reports a cycle. Whoever is left waits for someone who is left, so
// following the waits from anyone ends in one.
func (c *Checker) failCycle() {
	s := &c.schedule
	var at ProcessID
	for _, p := range c.h.processes {
		if int(s.steps[p.id]) <= len(p.ops) {
			at = p.id
			break
		}
	}
	met := make(map[ProcessID]bool)
	for !met[at] {
		met[at] = true
		at = s.wait[at].Process
	}
	var b strings.Builder
	for id := at; ; {
		from := s.wait[id]
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.nameOp(Place{Process: id, Op: OpIndex(s.steps[id]) - 1, Key: -1}))
		b.WriteString(" comes after ")
		b.WriteString(c.namePosition(from))
		id = from.Process
		if id == at {
			break
		}
	}
	c.fail(KindCycle, Place{Process: at, Op: OpIndex(s.steps[at]) - 1, Key: -1},
		"%s: so each is causally after itself", b.String())
}
