package check

import (
	"fmt"

	"causalmesh/causal"
)

// DefaultLimit is how many violations a report describes if the checker does not
// say otherwise.
const DefaultLimit = 20

// Checker judges histories one after the other and keeps its memory between
// them. The zero Checker is ready.
type Checker struct {
	// Limit is how many violations a report describes: 0 stands for DefaultLimit, a
	// negative one for none (they are only counted).
	Limit int

	// columns, if not zero, fixes how many processes one pass considers (tests).
	columns int

	h         *History
	report    Report
	lastEpoch causal.Epoch

	// Of the history's layout: where the items and the steps of each process
	// start in the flat slices below.
	itemBase []int32
	stepBase []int32
	// resolved holds the version of each item: an index into versions, or none or
	// unjudged.
	resolved []int32

	versions  []version
	byValue   map[ValueID]int32
	byStamp   map[causal.Stamp]int32
	byDot     map[epochDot]int32
	foreign   map[foreignName]int32  // named by value and stamp
	declared  map[Foreign]struct{}   // History.Foreign
	anyOf     map[KeyID]foreignKinds // what History.Foreign has of a key
	gone      []goneItem
	unstamped []int32

	schedule schedule
	past     past

	final []int32 // servers × keys: resolved final state
	top   []int32 // per key: the highest version that must survive, or none
	bare  []int32 // per key: one that must survive and has no known stamp, or none
}

// The entries of resolved that are not versions.
const (
	none     int32 = -1 // no version: below all others
	unjudged int32 = -2 // not known which version: compared with nothing
)

// Check judges one history. For many, a Checker of one's own saves the memory
// that each needs.
func Check(h *History) Report {
	var c Checker
	return c.Check(h)
}

// Check judges a history. The report is valid beyond the next call.
func (c *Checker) Check(h *History) Report {
	c.h, c.report = h, Report{}
	c.checkForm()
	if c.report.OK() {
		c.collectWrites()
	}
	if !c.report.OK() { // only KindMalformed so far
		return c.report
	}
	c.resolveItems()
	c.checkDots()
	if c.order() {
		c.checkPasts()
	}
	c.checkEnd()
	// The memory that is kept must not hold on to the history.
	clear(c.gone)
	c.h = nil
	return c.report
}

// fail counts a violation and describes it unless the limit is reached.
func (c *Checker) fail(kind Kind, at Place, format string, args ...any) {
	c.report.Counts[kind]++
	if c.describes() {
		c.report.Violations = append(c.report.Violations,
			Violation{Kind: kind, Place: at, Message: fmt.Sprintf(format, args...)})
	}
}

// describes reports whether the next violation would still be described.
func (c *Checker) describes() bool {
	limit := c.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	return len(c.report.Violations) < limit
}

// checkForm refuses what later steps could not index.
func (c *Checker) checkForm() {
	h := c.h
	c.lastEpoch = 0
	c.itemBase, c.stepBase = c.itemBase[:0], c.stepBase[:0]
	items, steps := 0, 0
	for _, p := range h.processes {
		c.itemBase = append(c.itemBase, int32(items))
		c.stepBase = append(c.stepBase, int32(steps))
		items += len(p.items)
		steps += len(p.ops) + 1
		c.lastEpoch = max(c.lastEpoch, p.epoch)
		c.checkPositions(p, Place{Process: p.id, Op: -1, Key: -1}, p.parents)
		for i, o := range p.ops {
			at := Place{Process: p.id, Op: OpIndex(i), Key: -1}
			if o.kind == opJoin {
				c.checkPositions(p, at, p.joinsOf(o))
				continue
			}
			if o.outcome > Refused {
				c.fail(KindMalformed, at, "%s has outcome %d, which means nothing", c.nameOp(at), o.outcome)
			}
			for j := range p.itemsOf(o) {
				c.checkItem(at, &p.items[int(o.first)+j])
			}
		}
	}
	if int64(items)+int64(steps) > 1<<31-1 {
		c.fail(KindMalformed, nowhere, "%d operations are more than one history can hold", steps)
	}
	for _, k := range h.Purged {
		if !c.keyExists(k) {
			c.fail(KindMalformed, nowhere, "a dropped tombstone names key %d of %d", k, len(h.Keys))
		}
	}
	c.resolved = resize(c.resolved, items)
	for _, f := range h.Foreign {
		if !c.keyExists(f.Key) {
			c.fail(KindMalformed, nowhere, "a foreign write names key %d of %d", f.Key, len(h.Keys))
		}
	}
	for _, s := range h.Final {
		for i := range s.Items {
			c.checkItem(nowhere, &s.Items[i])
		}
	}
}

func (c *Checker) keyExists(k KeyID) bool { return k >= 0 && int(k) < len(c.h.Keys) }

func (c *Checker) checkPositions(p *Process, at Place, positions []Position) {
	for _, from := range positions {
		if from.Process < 0 || int(from.Process) >= len(c.h.processes) ||
			from.Ops < 0 || int(from.Ops) > len(c.h.processes[from.Process].ops) {
			c.fail(KindMalformed, at, "%s starts from, or joins, %d operations of process %d, which does not have them",
				p.name, from.Ops, from.Process)
		}
	}
}

func (c *Checker) checkItem(at Place, it *Item) {
	switch {
	case !c.keyExists(it.Key):
		c.fail(KindMalformed, at, "%s names key %d of %d", c.nameOp(at), it.Key, len(c.h.Keys))
	case it.Seen > SeenExpired:
		c.fail(KindMalformed, at, "%s has seen %d, which means nothing", c.nameOp(at), it.Seen)
	case (it.Seen == SeenValue) != (it.Value != 0):
		c.fail(KindMalformed, at, "%s has a value without SeenValue, or SeenValue without one", c.nameOp(at))
	}
}

// resize returns s with length n and unspecified elements.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// filled returns s with length n, all elements x.
func filled[T any](s []T, n int, x T) []T {
	s = resize(s, n)
	for i := range s {
		s[i] = x
	}
	return s
}
