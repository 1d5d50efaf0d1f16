package causal

import "reflect"

// Counters count what has happened since the server started.
type Counters struct {
	Reads        uint64 `json:"reads"`
	ReadMisses   uint64 `json:"read_misses"` // reads that had to wait for a load
	Writes       uint64 `json:"writes"`
	Syncs        uint64 `json:"syncs"`
	Retries      uint64 `json:"retries"` // writes answered from memory
	Refused      uint64 `json:"refused"` // requests with an error, the next three included
	Overloaded   uint64 `json:"overloaded"`
	Forged       uint64 `json:"forged"`
	Future       uint64 `json:"future_contexts"`
	Received     uint64 `json:"received"`   // versions that came by their traversal
	Duplicates   uint64 `json:"duplicates"` // versions that came again
	Gaps         uint64 `json:"gaps"`
	RingMessages uint64 `json:"ring_messages"`
	PeerErrors   uint64 `json:"peer_errors"`
	Misses       uint64 `json:"misses_served"` // for other servers
	Loads        uint64 `json:"loads"`
	LoadsShared  uint64 `json:"loads_shared"` // reads that joined a load under way
	LoadErrors   uint64 `json:"load_errors"`
	Flushes      uint64 `json:"flushes"`
	FlushErrors  uint64 `json:"flush_errors"`
	StoreErrors  uint64 `json:"store_errors"` // impossible records
	Imported     uint64 `json:"imported"`
	Reissued     uint64 `json:"reissued"`
	Evicted      uint64 `json:"evicted"`
	Expired      uint64 `json:"expired"`
}

// Status is a server's state for people and tests.
type Status struct {
	Self         ReplicaID   `json:"node"`
	Replicas     int         `json:"replicas"`
	Epoch        Epoch       `json:"epoch"`
	Incarnation  Incarnation `json:"incarnation"`
	Propagation  string      `json:"propagation"`
	Ack          string      `json:"ack"`
	Signed       bool        `json:"signed"` // a cluster key is in force
	Received     VectorClock `json:"received"`
	Everywhere   VectorClock `json:"everywhere"`
	Stable       VectorClock `json:"stable"`
	Flushed      VectorClock `json:"flushed"` // F of the keys homed here
	Pending      int         `json:"pending"` // versions in the I-cache
	PendingBytes int         `json:"pending_bytes"`
	Unsent       int         `json:"unsent"` // entries that the successor may lack
	Held         int         `json:"held"`   // writes that wait for the successor
	Entries      int         `json:"entries"`
	EntryBytes   int         `json:"entry_bytes"`
	Dirty        int         `json:"dirty"` // keys to flush
	LoadsNow     int         `json:"loads_under_way"`
	Parked       int         `json:"parked"` // reads that wait for loads
	Draining     bool        `json:"draining"`
	Fenced       bool        `json:"fenced"`
	Counters     Counters    `json:"counters"`
}

// Status describes the server. The vectors are copies.
func (s *Server) Status() Status {
	f := &s.home.flush
	return Status{
		Self: s.cfg.Self, Replicas: s.cfg.Replicas, Epoch: s.cfg.Epoch, Incarnation: s.cfg.Incarnation,
		Propagation: s.cfg.Propagation.String(), Ack: s.cfg.Ack.String(), Signed: s.signer != nil,
		Received: s.received.Clone(), Everywhere: s.everywhere.Clone(), Stable: s.stable.Clone(), Flushed: f.flushed[s.cfg.Self].Clone(),
		Pending: s.pending(), PendingBytes: s.pendingTotal, Unsent: len(s.log.entries) - s.log.head,
		Held: s.held.len(), Entries: s.table.Len(), EntryBytes: s.table.Bytes(),
		Dirty: f.dirty.len(), LoadsNow: len(s.home.loads), Parked: s.home.parked,
		Draining: s.draining, Fenced: s.fenced, Counters: s.counters,
	}
}

// Received returns R, Marks how far second traversals have come, and Everywhere E,
// for the handshake of an incoming link. They are valid until the next Step.
func (s *Server) Received() VectorClock { return s.received }

// Marks: see Received.
func (s *Server) Marks() VectorClock { return s.marked }

// Everywhere: see Received.
func (s *Server) Everywhere() VectorClock { return s.everywhere }

// Stability returns S. It is valid until the next Step.
func (s *Server) Stability() VectorClock { return s.stable }

// Dirty returns the dot of the version of key that the database may lack; false if
// there is none or the key's home is elsewhere.
func (s *Server) Dirty(key []byte) (Dot, bool) {
	if d := s.home.flush.dirty.get(key); d != nil {
		return d.version.dot, true
	}
	return Dot{}, false
}

// SignedStability returns S with its tag.
func (s *Server) SignedStability() SignedVector {
	return SignedVector{Vector: s.stable, Tag: s.signer.vector(s.stable)}
}

// Add adds d to c.
func (c *Counters) Add(d Counters) {
	to, from := reflect.ValueOf(c).Elem(), reflect.ValueOf(d)
	for i := range to.NumField() {
		to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
	}
}
