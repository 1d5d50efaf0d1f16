package check

import (
	"strconv"

	"causalmesh/causal"
)

// ProcessID is the place of a process in its history, from 0.
type ProcessID int32

// KeyID is the place of a key in History.Keys, from 0.
type KeyID int32

// OpIndex is the place of an operation in its process, from 0, or how many of
// its first operations are meant.
type OpIndex int32

// Position is a prefix of a process: its first Ops operations.
type Position struct {
	Process ProcessID
	Ops     OpIndex
}

// Outcome is what the session knows about a write.
type Outcome uint8

// The outcomes of a write.
const (
	Acknowledged Outcome = iota
	Unknown              // the reply was lost: it may have taken place, or may yet
	Refused              // it had no effect and never will
)

// Seen is what a reader found under a key.
type Seen uint8

// What a reader can find.
const (
	SeenNothing   Seen = iota // no version of the key at all
	SeenValue                 // a version with a value
	SeenTombstone             // a delete
	SeenExpired               // a version whose time to live is over
)

// Item is one key of an operation with the version that was read or written.
// Dot and Stamp are zero where they are not known.
type Item struct {
	Key   KeyID
	Seen  Seen
	Value ValueID // of SeenValue only
	Dot   causal.Dot
	Stamp causal.Stamp
}

// ItemOf describes a version in the form that a read is recorded in. Expired
// says that the reader was told there is no value because its deadline passed.
func ItemOf(key KeyID, v *causal.Version, expired bool) Item {
	item := Item{Key: key, Dot: v.Dot, Stamp: v.Stamp}
	switch {
	case v.Absent():
		return Item{Key: key}
	case v.Tombstone:
		item.Seen = SeenTombstone
	case expired:
		item.Seen = SeenExpired
	default:
		item.Seen, item.Value = SeenValue, ValueOf(v.Value)
	}
	return item
}

// Foreign is a write of another program into the database. It may appear at any
// time or never; what the database held before the run is foreign, too.
type Foreign struct {
	Key   KeyID
	Value ValueID // 0 for a delete
}

// ServerState is what one server answers once writes have stopped.
type ServerState struct {
	Server causal.ReplicaID
	// Pending counts the versions that are left in the I-cache.
	Pending int
	// Items holds what the server answers for each key. A key that is left out
	// counts as SeenNothing, so that a forgotten key cannot hide a lost write.
	Items []Item
}

// History is what clients did and saw, and what the servers held at the end.
type History struct {
	// Keys names the keys. Every KeyID is below its length.
	Keys []string
	// Foreign lists the writes of other programs.
	Foreign []Foreign
	// Purged lists keys of which the database has dropped a tombstone whose grace was
	// over: "no version at all" may be what is left of it, and is not judged.
	Purged []KeyID
	// Final is the state of every server after the last operation; empty if it is
	// not known, and then convergence is not judged.
	Final []ServerState
	// CleanRestarts says that whole-cluster restarts between epochs lost nothing:
	// whatever was acknowledged in any epoch must survive.
	CleanRestarts bool

	processes []*Process
}

// Start adds a process to the history. Its past starts with those of its
// parents.
func (h *History) Start(name string, epoch causal.Epoch, parents ...Position) *Process {
	n := len(h.processes)
	if n < cap(h.processes) {
		h.processes = h.processes[:n+1]
	} else {
		h.processes = append(h.processes, nil)
	}
	p := h.processes[n]
	if p == nil {
		p = new(Process)
		h.processes[n] = p
	}
	p.id, p.name, p.epoch = ProcessID(n), name, epoch
	p.parents = append(p.parents[:0], parents...)
	return p
}

// Processes returns how many processes there are.
func (h *History) Processes() int { return len(h.processes) }

// Process returns the process of an id below Processes.
func (h *History) Process(id ProcessID) *Process { return h.processes[id] }

// Ops returns how many operations there are.
func (h *History) Ops() int {
	n := 0
	for _, p := range h.processes {
		n += len(p.ops)
	}
	return n
}

// Reset empties the history but for its keys, and keeps the memory for the next
// run. The processes that Start returned must not be used any more.
func (h *History) Reset() {
	for _, p := range h.processes {
		p.ops, p.items, p.joins, p.values = p.ops[:0], p.items[:0], p.joins[:0], 0
	}
	h.processes = h.processes[:0]
	h.Foreign, h.Purged, h.Final, h.CleanRestarts = h.Foreign[:0], h.Purged[:0], h.Final[:0], false
}

// keyName names a key for a person.
func (h *History) keyName(k KeyID) string {
	if k >= 0 && int(k) < len(h.Keys) {
		return strconv.Quote(h.Keys[k])
	}
	return "#" + strconv.Itoa(int(k))
}
