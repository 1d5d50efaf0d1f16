package causal

import (
	"slices"
	"time"
)

// Op is what a client asks for.
type Op uint8

// The operations of a client.
const (
	OpRead     Op = 1 + iota // one key
	OpReadMany               // several keys, one causal cut
	OpWrite
	OpDelete
	OpSync // no key: learn the server's stability vector
)

func (o Op) String() string {
	switch o {
	case OpRead:
		return "read"
	case OpReadMany:
		return "read-many"
	case OpWrite:
		return "write"
	case OpDelete:
		return "delete"
	case OpSync:
		return "sync"
	}
	return "unknown"
}

// RequestID names a request: a retry carries the same one, and a write is done
// once however often its request arrives at the server that did it. A session
// has one request under way at a time, so a server remembers only its last.
type RequestID struct {
	Session uint64 // random, per Session value
	Number  uint32 // 1, 2, 3, …
}

// Request is one operation of a session with the part of its context that the
// server needs. Its slices belong to the caller and are not kept after Step.
type Request struct {
	ID    RequestID
	Op    Op
	Epoch Epoch
	Known []SignedVector
	Time  Time
	// Own names the session's writes in flight, the highest of each origin. Only
	// writes and deletes carry it.
	Own   []SignedDot
	Keys  [][]byte
	Value []byte
	// TTL is the time to live of a write; 0 is for ever.
	TTL time.Duration
	// Carried is for the simulator's carrying variant; the wire has no place for it.
	Carried []*Version
}

// Reply answers a request. Its slices are valid until the server's next Step.
type Reply struct {
	ID RequestID
	Op Op
	// Code is CodeOK or says why there is no answer.
	Code Code
	// Detail completes the error for a person; empty if Code is CodeOK.
	Detail    string
	Epoch     Epoch
	Stability SignedVector
	Time      Time
	// Versions holds one version per key of a read; Absent() ones were not found.
	Versions []Version
	// Written, WrittenTag: what a write became (no key, no value).
	Written    Version
	WrittenTag Tag
}

// Clone returns a copy that shares nothing with r.
func (r *Reply) Clone() *Reply {
	c := *r
	c.Stability.Vector = r.Stability.Vector.Clone()
	c.Versions = slices.Clone(r.Versions)
	for i := range c.Versions {
		c.Versions[i] = *c.Versions[i].Clone()
	}
	c.Written = *r.Written.Clone()
	return &c
}

// MessageKind tells what a server says to another.
type MessageKind uint8

// The messages between servers. Each carries the sender's E.
const (
	// MessageRing goes to the ring successor only: versions and marks in the
	// sender's order. Without entries it is a heartbeat.
	MessageRing MessageKind = 1 + iota
	// MessageAck goes back to the ring predecessor: what has arrived (R).
	MessageAck
	// MessageMiss asks a key's home for its newest stable version.
	MessageMiss
	// MessageMissReply answers MessageMiss.
	MessageMissReply
	// MessageFlushed announces the sender's flush vector (F) to everyone.
	MessageFlushed
)

// Mark says that the second traversal of everything up to Counter of Origin has
// come this far (two-round propagation only).
type Mark struct {
	Origin  ReplicaID
	Counter Counter
}

// RingEntry is one step of a traversal: a version, or a mark.
type RingEntry struct {
	Version *Version // nil for a mark
	Mark    Mark
}

// Message is what one server says to another. What a server is given it does not keep
// after Step, and what it gives is valid until its next Step or Tick: a caller that
// does not encode it by then keeps a Clone.
type Message struct {
	Kind  MessageKind
	Epoch Epoch
	// Everywhere is the sender's E: what every server holds.
	Everywhere VectorClock
	// Time is the sender's hybrid time.
	Time Time
	// Entries of MessageRing.
	Entries []RingEntry
	// Vector of MessageAck (R) and MessageFlushed (F).
	Vector VectorClock
	// Marks of MessageAck: how far second traversals have come at the sender.
	Marks VectorClock
	// Load names the load that MessageMiss asks for and MessageMissReply answers.
	Load LoadID
	// Key of MessageMiss and MessageMissReply.
	Key []byte
	// Code of MessageMissReply: CodeOK or why the home could not load.
	Code Code
	// Version of MessageMissReply; Absent() if there is none.
	Version Version
}

// Clone returns a copy that shares nothing with m, but for what versions carry.
func (m *Message) Clone() *Message {
	c := *m
	c.Everywhere, c.Vector, c.Marks = m.Everywhere.Clone(), m.Vector.Clone(), m.Marks.Clone()
	c.Key, c.Version = slices.Clone(m.Key), *m.Version.Clone()
	c.Entries = slices.Clone(m.Entries)
	for i := range c.Entries {
		if v := c.Entries[i].Version; v != nil {
			c.Entries[i].Version = v.Clone()
		}
	}
	return &c
}

// LoadID numbers the loads of one server.
type LoadID uint64
