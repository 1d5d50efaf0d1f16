package causal

import "slices"

// Tag authenticates a stability vector or a dot under the cluster key (16 bytes
// of HMAC-SHA256). It is zero where there is no key.
type Tag [16]byte

// SignedVector is a stability vector with the tag of the server that stated it.
type SignedVector struct {
	Vector VectorClock
	Tag    Tag
}

// SignedDot is the dot of a write with the tag from its reply.
type SignedDot struct {
	Dot Dot
	Tag Tag
}

// OwnWrite is a write of the session that was not yet stable when the session
// last heard of it.
type OwnWrite struct {
	Version Version
	Tag     Tag
	// memory of the session's that key and value lie in, to be used again.
	memory []byte
}

// Context is what a session knows, and all that the next server needs to go on
// with it: the stability vector that its reads and writes rest on, and its own
// writes in flight. There are no per-key clocks in it and no list of what was
// read, so it does not grow with the workflow.
type Context struct {
	// Epoch of the cluster that the context is from; 0 before the first reply.
	Epoch Epoch
	// Known is the stability vector, D in the protocol. It is one vector, but for
	// a join under a cluster key: until the next request it holds one signed
	// vector per branch, since only a server can sign their join.
	Known []SignedVector
	// Own holds the session's writes in flight, oldest first.
	Own []OwnWrite
	// Time is the highest hybrid time that the session has met.
	Time Time
}

// clone returns a copy that shares nothing: sessions use the memory of their writes again.
func (c *Context) clone() Context {
	d := *c
	d.Known = nil
	for _, k := range c.Known {
		d.Known = append(d.Known, SignedVector{Vector: k.Vector.Clone(), Tag: k.Tag})
	}
	d.Own = make([]OwnWrite, len(c.Own))
	for i := range c.Own {
		d.Own[i] = c.Own[i].clone()
	}
	return d
}

// know joins v into what the context knows. Without tags the join is one vector.
// With tags only a server can sign the join, so v is kept beside the others,
// unless one of the two covers the other.
func (c *Context) know(v SignedVector) {
	for _, k := range c.Known {
		if v.Vector.AtMost(k.Vector) {
			return
		}
	}
	c.Known = slices.DeleteFunc(c.Known, func(k SignedVector) bool { return k.Vector.AtMost(v.Vector) })
	if i := slices.IndexFunc(c.Known, func(k SignedVector) bool { return k.Tag == Tag{} && v.Tag == Tag{} }); i >= 0 {
		c.Known[i].Vector = c.Known[i].Vector.Join(v.Vector)
		return
	}
	c.Known = append(c.Known, SignedVector{Vector: v.Vector.Clone(), Tag: v.Tag})
}

// covers reports whether the context knows d to be stable.
func (c *Context) covers(d Dot) bool {
	for _, k := range c.Known {
		if k.Vector.Covers(d) {
			return true
		}
	}
	return false
}

// ownBytes is the size of the keys and values that the context carries.
func (c *Context) ownBytes() int {
	n := 0
	for i := range c.Own {
		n += len(c.Own[i].Version.Key) + len(c.Own[i].Version.Value)
	}
	return n
}

func (w *OwnWrite) clone() OwnWrite { return OwnWrite{Version: *w.Version.Clone(), Tag: w.Tag} }
