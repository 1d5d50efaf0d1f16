package causal

import (
	"bytes"
	"slices"
)

// Version is one write of one key. Its slices belong to whoever made it; who keeps a
// version for longer than it is lent keeps a Clone.
//
// The zero Version stands for "absent": no write of the key at all, the lowest
// of all versions.
type Version struct {
	Key   []byte
	Value []byte
	Dot   Dot
	Stamp Stamp
	// Epoch in which the dot was given. Versions of earlier epochs are stable by
	// definition, whatever their dot.
	Epoch Epoch
	// Deadline, if not zero, is the time from which on the version is its own
	// tombstone: see Gone.
	Deadline Time
	// Tombstone marks a delete. It has a stamp and wins or loses like any write.
	Tombstone bool
	// Deps names the writes of the same session that were still in flight when
	// this one was made, the highest of each origin: stability covers a prefix of
	// each origin, so the highest stands for all. What the session had read needs
	// no entry: it was stable, so E covers it, and E travels ahead of the version on
	// every link.
	Deps []Dot
	// Carried holds the session's own writes in flight, whole. Only the carrying
	// variant of the simulator uses it; the wire has no place for it.
	Carried []*Version
}

// Absent reports whether v stands for "no write of this key".
func (v *Version) Absent() bool { return v.Stamp.IsZero() }

// Gone reports whether a reader whose time is now finds no value in v: it is
// absent, a tombstone, or past its deadline.
//
// An expired version is its own tombstone, with its own stamp: expiry is a
// function of the version and of hybrid time, so all servers agree on it without
// a message, and it cannot beat a write that it did not know. Hybrid time makes it
// causal: whoever depends on a session that saw the expiry has a time past the
// deadline.
func (v *Version) Gone(now Time) bool {
	return v.Tombstone || v.Absent() || v.Deadline != 0 && now >= v.Deadline
}

// fades reports whether one day nothing will be left of v in the database.
func (v *Version) fades() bool { return v.Tombstone || v.Deadline != 0 }

// Clone returns a copy that shares no memory with v, but for what v carries.
func (v *Version) Clone() *Version {
	w := *v
	k := len(v.Key)
	b := append(append(make([]byte, 0, k+len(v.Value)), v.Key...), v.Value...) // one piece for both
	if v.Key != nil {
		w.Key = b[:k:k]
	}
	if v.Value != nil {
		w.Value = b[k:]
	}
	w.Deps = slices.Clone(v.Deps)
	return &w
}

// SameContent reports whether other programs see no difference between two
// versions: the same value, or none.
func (v *Version) SameContent(w *Version) bool {
	return v.Tombstone == w.Tombstone && bytes.Equal(v.Value, w.Value)
}

// receipt is what a reply to a write says of it: no key, no value.
type receipt struct {
	dot       Dot
	stamp     Stamp
	epoch     Epoch
	deadline  Time
	tombstone bool
}

func (v *Version) receipt() receipt { return receipt{v.Dot, v.Stamp, v.Epoch, v.Deadline, v.Tombstone} }

func (r receipt) version() Version {
	return Version{Dot: r.dot, Stamp: r.stamp, Epoch: r.epoch, Deadline: r.deadline, Tombstone: r.tombstone}
}

// versionOverhead is what a cached version costs beside its key and value: the
// struct, its slot in the map and the ring of the eviction hand. The memory test
// holds it against the Go heap.
const versionOverhead = 256

// Bytes is the memory that the version is charged with.
func (v *Version) Bytes() int {
	return len(v.Key) + len(v.Value) + versionOverhead + 16*len(v.Deps)
}
