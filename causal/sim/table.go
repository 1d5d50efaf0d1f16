package sim

import (
	"causalmesh/causal"
)

// journal is a causal.Table whose changes reach the shared view one by one, as
// they do where readers run beside the writer. The writer itself sees its changes
// at once.
type journal struct {
	*causal.HeapTable
	steps  []tableStep // not yet in view
	view   view
	shared bool // somebody reads beside the writer
	held   bool // a scenario shows the steps itself
	shown  func(*tableStep)
}

// tableStep is one store of the writer that others can see.
type tableStep struct {
	kind   stepKind
	key    string
	slot   slot
	vector causal.SignedVector
}

type stepKind uint8

const (
	stepOpen    stepKind = iota // the slot is being written
	stepPut                     // the slot is written
	stepRemove                  // the slot is free
	stepPublish                 // S
)

// slot is a key's place in the view.
type slot struct {
	version  causal.Version
	presence causal.Presence
	open     bool // Invariant: a seqlock with an odd count; readers turn away
}

// view is what direct readers see of a server.
type view struct {
	slots  map[string]slot
	stable causal.SignedVector
}

func newJournal(shared bool) *journal {
	return &journal{HeapTable: causal.NewHeapTable(), view: view{slots: map[string]slot{}}, shared: shared}
}

// Put implements causal.Table.
func (j *journal) Put(v *causal.Version, p causal.Presence) {
	j.HeapTable.Put(v, p)
	if j.shared {
		j.steps = append(j.steps, tableStep{kind: stepOpen, key: string(v.Key)},
			tableStep{kind: stepPut, key: string(v.Key), slot: slot{version: *v.Clone(), presence: p}})
	}
}

// Remove implements causal.Table.
func (j *journal) Remove(key []byte) {
	j.HeapTable.Remove(key)
	if j.shared {
		j.steps = append(j.steps, tableStep{kind: stepRemove, key: string(key)})
	}
}

// Sweep implements causal.Table.
func (j *journal) Sweep(n int, spare bool, visit func(v *causal.Version, p causal.Presence) causal.Verdict) {
	j.HeapTable.Sweep(n, spare, func(v *causal.Version, p causal.Presence) causal.Verdict {
		verdict := visit(v, p)
		if verdict == causal.Remove && j.shared {
			j.steps = append(j.steps, tableStep{kind: stepRemove, key: string(v.Key)})
		}
		return verdict
	})
}

// Publish implements causal.Table.
func (j *journal) Publish(stable causal.SignedVector) {
	if j.shared {
		j.steps = append(j.steps, tableStep{kind: stepPublish, vector: causal.SignedVector{Vector: stable.Vector.Clone(), Tag: stable.Tag}})
	}
}

// show carries the writer's steps over to the view; between any two, a reader may
// take steps of its own.
func (j *journal) show(between func()) {
	if j.held {
		return
	}
	for i := range j.steps {
		j.showStep(&j.steps[i])
		between()
	}
	j.steps = j.steps[:0]
}

func (j *journal) showStep(s *tableStep) {
	switch s.kind {
	case stepOpen:
		old := j.view.slots[s.key]
		old.open = true
		j.view.slots[s.key] = old
	case stepPut:
		j.view.slots[s.key] = s.slot
	case stepRemove:
		delete(j.view.slots, s.key)
	case stepPublish:
		j.view.stable = s.vector
	}
	if j.shown != nil {
		j.shown(s)
	}
}

// Stability implements causal.View.
func (v *view) Stability(into *causal.SignedVector) {
	into.Vector, into.Tag = append(into.Vector[:0], v.stable.Vector...), v.stable.Tag
}

// Slot implements causal.View.
func (v *view) Slot(key []byte, version *causal.Version) bool {
	s, ok := v.slots[string(key)]
	if !ok || s.open || s.presence != causal.Complete {
		return false
	}
	*version = s.version
	return true
}
