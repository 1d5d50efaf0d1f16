package check

import (
	"fmt"
	"slices"
	"strings"

	"causalmesh/causal"
)

// explainSteps bounds the search for the way by which a version came into a
// past: a report of a large history must not take longer than the check.
const explainSteps = 100_000

// nameOp names an operation for a person.
func (c *Checker) nameOp(at Place) string {
	if at.Process < 0 {
		return "the final state"
	}
	p := c.h.processes[at.Process]
	if at.Op < 0 {
		return fmt.Sprintf("%s (start)", p.name)
	}
	o := p.ops[at.Op]
	var b strings.Builder
	fmt.Fprintf(&b, "%s op %d: ", p.name, at.Op)
	switch o.kind {
	case opJoin:
		b.WriteString("join")
		return b.String()
	case opWrite:
		b.WriteString("write of ")
	case opDelete:
		b.WriteString("delete of ")
	case opRead:
		b.WriteString("read of ")
	case opReadMany:
		b.WriteString("read-many of ")
	}
	for i, it := range p.itemsOf(o) {
		switch {
		case at.Key >= 0 && it.Key != at.Key:
			continue
		case at.Key < 0 && i == 8:
			b.WriteString(" …")
			return b.String()
		case at.Key < 0 && i > 0:
			b.WriteString(", ")
		}
		b.WriteString(c.h.keyName(it.Key))
		if at.Key >= 0 {
			break
		}
	}
	return b.String()
}

// namePosition names the last operation of a prefix.
func (c *Checker) namePosition(from Position) string {
	return c.nameOp(Place{Process: from.Process, Op: from.Ops - 1, Key: -1})
}

// nameVersion names a version, who wrote it and when it comes.
func (c *Checker) nameVersion(v int32) string {
	if v < 0 {
		return "nothing"
	}
	w := &c.versions[v]
	what := "a delete"
	if !w.tombstone {
		what = w.value.String()
	}
	who := "foreign"
	if w.writer >= 0 {
		who = fmt.Sprintf("%s op %d", c.h.processes[w.writer].name, w.op)
	}
	if w.outcome == Unknown {
		who += ", unknown outcome"
	}
	return fmt.Sprintf("%s of %s (%s, stamp %s)", what, c.h.keyName(w.key), who, nameStamp(w.stamp))
}

func nameStamp(s causal.Stamp) string {
	if s.IsZero() {
		return "not known"
	}
	return s.String()
}

// explain tells how the higher version of a finding came into the past of the
// read: backwards from the read, the shortest way by steps between processes.
func (c *Checker) explain(f finding) string {
	start := Position{Process: f.at.Process, Ops: f.at.Op}
	if f.kind == KindTorn {
		start.Ops++ // what the read itself brought in counts
	}
	type link struct {
		to  Position // what the position was reached from, later in causality
		has bool
	}
	reached := map[Position]link{start: {}}
	queue := []Position{start}
	for len(queue) > 0 && len(reached) < explainSteps {
		at := queue[0]
		queue = queue[1:]
		// Follow the process back to its start, so that only steps between
		// processes make a way longer.
		for s := at.Ops; s >= 0; s-- {
			here := Position{Process: at.Process, Ops: s}
			if here != at {
				if _, seen := reached[here]; seen {
					break
				}
				reached[here] = link{to: at, has: true}
			}
			if f.higher.process == here.Process && f.higher.op == s-1 {
				var way []string
				for l := (link{to: here, has: true}); l.has; l = reached[l.to] {
					way = append(way, c.namePosition(l.to))
				}
				way = append(way, c.nameOp(Place{Process: f.at.Process, Op: f.at.Op, Key: -1}))
				slices.Reverse(way)
				return ": " + strings.Join(slices.Compact(way), " ← ")
			}
			c.eachSource(c.h.processes[here.Process], int32(s), func(from Position, _ int32) bool {
				if _, seen := reached[from]; !seen {
					reached[from] = link{to: here, has: true}
					queue = append(queue, from)
				}
				return true
			})
		}
	}
	return ""
}
