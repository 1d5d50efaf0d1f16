package causal

import (
	"slices"
	"strconv"
)

// ReplicaID is a cache server's place in the ring, from 0. Server r passes its
// messages on to server (r+1) mod n.
type ReplicaID uint8

// Counter numbers the writes of one origin: 1, 2, 3, … without gaps. Zero means
// "none yet".
type Counter uint64

// Dot is the unique name of a version within one cluster epoch: who took the
// write, and which of its writes it was. The zero Dot names no write; versions
// that come from the database and not from this epoch have it.
type Dot struct {
	Origin      ReplicaID
	Incarnation Incarnation
	Counter     Counter
}

// Incarnation counts how often a server has joined within one epoch. Counters go
// on where the last incarnation was closed, so (Origin, Counter) alone is unique;
// the incarnation says which life of the server wrote it. It is 0 while the
// ring's members are fixed.
type Incarnation uint16

// Epoch numbers the lives of a whole cluster. Everything of an earlier epoch is
// stable by definition; a context of another epoch is refused. Zero means "no
// epoch yet" (a session before its first reply).
type Epoch uint64

func (d Dot) String() string {
	return "(" + strconv.Itoa(int(d.Origin)) + "," + strconv.FormatUint(uint64(d.Counter), 10) + ")"
}

// IsZero reports whether d names no write.
func (d Dot) IsZero() bool { return d.Counter == 0 }

// VectorClock holds one counter per origin: it stands for the set of all
// versions (i, c) with c ≤ clock[i]. A clock that is shorter than another is
// zero in what it lacks; the empty clock covers nothing.
type VectorClock []Counter

// Covers reports whether d is in the set that v stands for. The zero Dot is
// covered by every clock.
func (v VectorClock) Covers(d Dot) bool {
	if d.Counter == 0 {
		return true
	}
	return int(d.Origin) < len(v) && d.Counter <= v[d.Origin]
}

// AtMost reports whether v ≤ w: w covers everything that v covers.
func (v VectorClock) AtMost(w VectorClock) bool {
	for i, c := range v {
		if c > 0 && (i >= len(w) || c > w[i]) {
			return false
		}
	}
	return true
}

// Equal reports whether v and w cover the same dots.
func (v VectorClock) Equal(w VectorClock) bool { return v.AtMost(w) && w.AtMost(v) }

// HappensBefore reports whether v ≤ w and v ≠ w.
func (v VectorClock) HappensBefore(w VectorClock) bool { return v.AtMost(w) && !w.AtMost(v) }

// Concurrent reports whether neither clock covers the other.
func (v VectorClock) Concurrent(w VectorClock) bool { return !v.AtMost(w) && !w.AtMost(v) }

// Join raises v to the least clock that covers both v and w, growing it where w
// is longer, and returns it. Join is commutative, associative and idempotent.
func (v VectorClock) Join(w VectorClock) VectorClock {
	for len(v) < len(w) {
		v = append(v, 0)
	}
	for i, c := range w {
		v[i] = max(v[i], c)
	}
	return v
}

// Add raises v so that it covers d, and returns it.
func (v VectorClock) Add(d Dot) VectorClock {
	for len(v) <= int(d.Origin) {
		v = append(v, 0)
	}
	v[d.Origin] = max(v[d.Origin], d.Counter)
	return v
}

// Clone returns a copy that shares nothing with v.
func (v VectorClock) Clone() VectorClock { return append(VectorClock(nil), v...) }

// lender gives out vectors that outlive the step they are made in only by being kept,
// so that the others' memory is used again.
type lender struct{ lent, free []VectorClock }

// clone returns a copy of v that is valid until reuse.
func (l *lender) clone(v VectorClock) VectorClock {
	var c VectorClock
	if n := len(l.free); n > 0 {
		c, l.free = l.free[n-1], l.free[:n-1]
	}
	c = append(c[:0], v...)
	l.lent = append(l.lent, c)
	return c
}

// reuse takes back all that was lent but for the vectors to keep.
func (l *lender) reuse(keep ...VectorClock) {
	kept := l.lent[:0]
	for _, v := range l.lent {
		if slices.ContainsFunc(keep, func(k VectorClock) bool { return len(k) > 0 && &k[0] == &v[0] }) {
			kept = append(kept, v)
		} else {
			l.free = append(l.free, v)
		}
	}
	l.lent = kept
}
