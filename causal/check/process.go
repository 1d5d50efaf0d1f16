package check

import "causalmesh/causal"

// opKind is what an operation does.
type opKind uint8

const (
	opWrite opKind = iota
	opDelete
	opRead
	opReadMany
	opJoin
)

// op is one operation. Its items (or, for a join, its positions) are a range of
// the process's, so that an operation costs no allocation of its own.
type op struct {
	kind    opKind
	outcome Outcome
	first   int32
	count   int32
}

// Process is one sequential thread of a session, and the appender of its
// operations: each method records one that has ended, in the order in which the
// session carried them out. Operations that failed without effect are left out,
// but for refused writes, which may be recorded so that a read of one is found.
type Process struct {
	id      ProcessID
	name    string
	epoch   causal.Epoch
	parents []Position
	ops     []op
	items   []Item // Invariant: each item belongs to exactly one op, in order
	joins   []Position
	values  uint32 // handed out by NewValue
}

// ID returns the place of the process in its history.
func (p *Process) ID() ProcessID { return p.id }

// Position returns what the process has done so far: where a branch starts, and
// what a join takes in.
func (p *Process) Position() Position {
	return Position{Process: p.id, Ops: OpIndex(len(p.ops))}
}

// Write records a write of value, with the dot and stamp from its reply, or zero
// ones if the reply was lost.
func (p *Process) Write(key KeyID, value ValueID, outcome Outcome, dot causal.Dot, stamp causal.Stamp) {
	p.add(opWrite, outcome, Item{Key: key, Seen: SeenValue, Value: value, Dot: dot, Stamp: stamp})
}

// Delete records a delete, like Write.
func (p *Process) Delete(key KeyID, outcome Outcome, dot causal.Dot, stamp causal.Stamp) {
	p.add(opDelete, outcome, Item{Key: key, Seen: SeenTombstone, Dot: dot, Stamp: stamp})
}

// Read records what a read of one key found.
func (p *Process) Read(item Item) { p.add(opRead, Acknowledged, item) }

// ReadMany records what a read of several keys as one cut found. The items are
// copied.
func (p *Process) ReadMany(items ...Item) { p.add(opReadMany, Acknowledged, items...) }

// Join records that the process took in the past of other processes.
func (p *Process) Join(from ...Position) {
	p.ops = append(p.ops, op{kind: opJoin, first: int32(len(p.joins)), count: int32(len(from))})
	p.joins = append(p.joins, from...)
}

func (p *Process) add(kind opKind, outcome Outcome, items ...Item) {
	p.ops = append(p.ops, op{
		kind: kind, outcome: outcome, first: int32(len(p.items)), count: int32(len(items)),
	})
	p.items = append(p.items, items...)
}

// itemsOf returns the items of an operation that is not a join.
func (p *Process) itemsOf(o op) []Item { return p.items[o.first : o.first+o.count] }

// joinsOf returns the positions that a join takes in.
func (p *Process) joinsOf(o op) []Position { return p.joins[o.first : o.first+o.count] }
