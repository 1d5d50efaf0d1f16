package clientlib

import (
	"time"

	"causalmesh/causal"
)

// The names and times of the protocol, as types of this package so that callers
// need no other import.
type (
	// ReplicaID is a server's place in the ring.
	ReplicaID = causal.ReplicaID
	// Epoch numbers the lives of a cluster. Contexts are good for one.
	Epoch = causal.Epoch
	// Incarnation counts how often a server has joined within one epoch.
	Incarnation = causal.Incarnation
	// Dot is the unique name of a write within an epoch: the server that took it and
	// which of its writes it was.
	Dot = causal.Dot
	// Stamp places a write in the one order of all writes: of two writes of a key the
	// one with the higher stamp wins, everywhere. Its Time is in nanoseconds since
	// the Unix epoch.
	Stamp = causal.Stamp
)

// Version tells which write something is: for checkers, tools and logs. The zero
// Version stands for "no write".
type Version struct {
	// Dot is zero for values that are older than the cluster's epoch, or that another
	// program has put into the database.
	Dot   Dot
	Stamp Stamp
	Epoch Epoch
	// Deadline is when the value expires; the zero time for never.
	Deadline time.Time
	// Tombstone: the write is a delete, or its value has expired.
	Tombstone bool
}

// Absent reports whether v stands for "no write".
func (v Version) Absent() bool { return v.Stamp.IsZero() }

func newVersion(v *causal.Version) Version {
	w := Version{Dot: v.Dot, Stamp: v.Stamp, Epoch: v.Epoch, Tombstone: v.Tombstone}
	if v.Deadline != 0 {
		w.Deadline = time.Unix(0, int64(v.Deadline))
	}
	return w
}

// Item is what a read found under a key.
type Item struct {
	Key string
	// Value belongs to the caller. It is nil if Found is false, and never if it is
	// true.
	Value []byte
	// Found: there is a value. If not, Version.Absent tells "never written" from
	// deleted or expired.
	Found   bool
	Version Version
}
