package causal

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
