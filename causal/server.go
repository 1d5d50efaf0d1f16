package causal

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"causalmesh/causal/internal/defect"
)

// Propagation says how a version becomes stable.
type Propagation uint8

// The two ways.
const (
	// OneRound: E rises at the end of a version's traversal, and S when E covers all
	// that the version depends on.
	OneRound Propagation = iota
	// TwoRound: E rises at the end of a second traversal, which flushes every link
	// behind the first, and takes the version's past with it.
	TwoRound
)

func (p Propagation) String() string {
	if p == TwoRound {
		return "two-round"
	}
	return "one-round"
}

// Ack says when a write is acknowledged.
type Ack uint8

// The two moments.
const (
	AckLocal      Ack = iota // the head has the write
	AckReplicated            // the head's successor has it too
)

func (a Ack) String() string {
	if a == AckReplicated {
		return "replicated"
	}
	return "local"
}

// Experiment alters the protocol for the simulator: a defect that its checker
// must catch, or the carrying variant. The zero value is the protocol.
type Experiment struct {
	Defects defect.Set
	// Carrying: writes carry the session's own unstable writes along, and S rises
	// at the end of one traversal without closing.
	Carrying bool
	// TailCloses: E rises at a tail only when it stays closed, so that E is S. It
	// is safe, and late: the simulator compares it.
	TailCloses bool
	// Observe, if set, is called at each Transition.
	Observe func(Transition)
}

// Config describes a server's place in its cluster.
type Config struct {
	Self        ReplicaID
	Replicas    int
	Epoch       Epoch
	Incarnation Incarnation
	Propagation Propagation
	Ack         Ack
	// Store says that there is a database below. Without one nothing is ever
	// evicted, and what is not cached is absent.
	Store bool
	// MemoryBytes bounds what the server caches, the I-cache included; 0 means no
	// bound.
	MemoryBytes int
	// Key is the cluster key, empty for none.
	Key []byte
	// Limits; zero fields stand for DefaultLimits.
	Limits Limits
	// Heartbeat is the longest silence on a link. Default 100 ms.
	Heartbeat time.Duration
	// FlushDelay is how long a home may wait for more to flush, so that the database is
	// asked for many at once, and a key that is written often is flushed once. Default 0.
	FlushDelay time.Duration
	// FlushRetry is the pause after a failed flush. Default 100 ms.
	FlushRetry time.Duration
	// TombstoneGrace is how long a tombstone is kept where there is no database
	// below, and must be longer than any version is in flight. Default 1 h.
	TombstoneGrace time.Duration
	// Experiment is for the simulator.
	Experiment Experiment
}

// ErrConfig is wrapped by what NewServer refuses.
var ErrConfig = errors.New("bad configuration")

func (c *Config) fill() error {
	if err := c.Limits.check(); err != nil {
		return err
	}
	c.Limits = c.Limits.fill()
	c.Heartbeat = cmp.Or(c.Heartbeat, 100*time.Millisecond)
	c.FlushRetry = cmp.Or(c.FlushRetry, 100*time.Millisecond)
	c.TombstoneGrace = cmp.Or(c.TombstoneGrace, time.Hour)
	largest := c.Limits.KeyBytes + c.Limits.ValueBytes + versionOverhead
	switch {
	case c.Replicas < 1 || c.Replicas > MaxReplicas:
		return fmt.Errorf("%w: %d servers, want 1 to %d", ErrConfig, c.Replicas, MaxReplicas)
	case int(c.Self) >= c.Replicas:
		return fmt.Errorf("%w: server %d of %d", ErrConfig, c.Self, c.Replicas)
	case c.Epoch == 0:
		return fmt.Errorf("%w: epoch 0", ErrConfig)
	case c.Ack == AckReplicated && c.Replicas == 1:
		return fmt.Errorf("%w: acknowledgement %q needs at least two servers", ErrConfig, c.Ack)
	case c.Limits.PendingBytes/c.Replicas < largest:
		return fmt.Errorf("%w: %d pending bytes over %d servers do not hold one version of %d bytes",
			ErrConfig, c.Limits.PendingBytes, c.Replicas, largest)
	case c.MemoryBytes != 0 && c.MemoryBytes < 2*c.Limits.PendingBytes:
		return fmt.Errorf("%w: memory of %d bytes is less than twice the pending bytes (%d)",
			ErrConfig, c.MemoryBytes, c.Limits.PendingBytes)
	}
	return nil
}

// Server is the CausalMesh state machine of one cache server. It is used by one
// goroutine. See the package documentation for how to drive it.
type Server struct {
	cfg     Config
	table   Table
	signer  *signer
	defects defect.Set
	now     Time  // of the input being handled: the wall clock
	token   Token // of the request that is being answered
	clock   Time  // the hybrid clock: the highest time met or given

	received VectorClock // R: the last counter of each origin that came by its own traversal
	marked   VectorClock // two-round: how far second traversals have come here
	// everywhere is E, stable is S. Both are replaced when they rise, never changed,
	// since replies and messages refer to them until the next step.
	everywhere, stable VectorClock
	vectors            lender
	// published is the S that readers of the table see: S at the end of a step.
	published VectorClock
	// icache holds, per origin, what has arrived and is not visible, oldest first.
	// Invariant: exactly the counters S+1 … R.
	icache []icache
	// pendingBytes is what the I-cache is charged with, per origin.
	pendingBytes []int
	pendingTotal int

	log    linkLog
	sent   VectorClock // the E that the successor was last sent
	sentAt Time
	up     []bool // outgoing links
	ackTo  bool   // the predecessor wants acknowledgements

	remembered memory
	// held are writes whose acknowledgement waits for the successor, in the order of
	// their dots but for retries, which wait behind later ones.
	held fifo[heldWrite]
	// The rest is memory for a step's own use; what old holds is not used across calls.
	todo     []Dot
	deps     []Dot
	versions []Version // lent to replies and flushes
	old      Version

	home homeState
	// fading says that something to sweep has been put into the table: a version with a
	// deadline, or, where no database is below, a tombstone.
	fading bool

	draining bool
	fenced   bool
	counters Counters
}

// NewServer returns a server with an empty I-cache over an empty table.
func NewServer(cfg Config, table Table) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	n := cfg.Replicas
	s := &Server{
		cfg: cfg, table: table, signer: newSigner(cfg.Key, cfg.Epoch), defects: cfg.Experiment.Defects,
		received: make(VectorClock, n), marked: make(VectorClock, n), everywhere: make(VectorClock, n), stable: make(VectorClock, n),
		published: make(VectorClock, n), sent: make(VectorClock, n),
		icache: make([]icache, n), pendingBytes: make([]int, n), up: make([]bool, n),
		remembered: newMemory(cfg.Limits.Remembered),
		home:       newHomeState(n),
	}
	return s, nil
}

func (s *Server) successor() ReplicaID { return ReplicaID((int(s.cfg.Self) + 1) % s.cfg.Replicas) }

func (s *Server) predecessor() ReplicaID {
	return ReplicaID((int(s.cfg.Self) + s.cfg.Replicas - 1) % s.cfg.Replicas)
}

// tailOf is the origin whose traversals end here: they start at the successor.
func (s *Server) tailOf() ReplicaID { return s.successor() }

// Step carries out one input and appends what follows from it to out. The caller
// handles out completely, in the order that Output describes, before the next
// Step or Tick. The error says that a peer or the database broke the protocol; the
// server is not harmed and has counted it.
func (s *Server) Step(in *Input, out *Output) error {
	s.begin(in.Now)
	var err error
	switch in.Kind {
	case InputRequest:
		s.token = in.Token
		s.request(in.Client, in.Request, out)
	case InputMessage:
		if err = s.message(in.Peer, in.Message, out); err != nil {
			s.counters.PeerErrors++
			err = fmt.Errorf("server %d: %w", in.Peer, err)
			out.Drop = append(out.Drop, in.Peer)
		}
	case InputLinkUp:
		if err = s.linkUp(in, out); err != nil {
			s.counters.PeerErrors++
		}
	case InputLinkDown:
		s.linkDown(in.Peer, out)
	case InputPredecessor:
		s.ackTo = in.WantsAcks
	case InputLoaded:
		err = s.loaded(in.Load, out)
	case InputFlushed:
		err = s.flushed(in.Flush, out)
	}
	s.finish(out)
	return err
}

// Tick tells the server the time. Call it at least every few milliseconds, or tens of
// them while it is AtRest: heartbeats, time-outs, retries, expiry and eviction come from
// here.
func (s *Server) Tick(now Time, out *Output) {
	s.begin(now)
	s.expireLoads(out)
	s.loadIncomplete(out)
	s.sweep()
	s.announceFlushed(out)
	s.finish(out)
}

// keepVersions is how many versions of replies a server has memory for at rest.
const keepVersions = 4096

// begin begins a step: what the last one put out is handled by now.
func (s *Server) begin(now Time) {
	s.now = max(s.now, now)
	s.table.Reuse()
	s.vectors.reuse(s.everywhere, s.stable, s.published)
	if s.versions = s.versions[:0]; cap(s.versions) > keepVersions {
		s.versions = nil
	}
}

// finish ends a step: what became visible is published, in one piece.
func (s *Server) finish(out *Output) {
	s.evictOverBudget()
	s.startFlushes(out)
	if !s.published.Equal(s.stable) {
		s.published = s.stable
		s.table.Publish(s.SignedStability())
	}
	if invariants {
		s.checkInvariants()
	}
}

// AtRest reports whether nothing is in flight, to be flushed, loaded or acknowledged: then
// Tick only has to keep links from falling silent, and may come at longer intervals.
func (s *Server) AtRest() bool {
	return s.pendingTotal == 0 && len(s.home.loads) == 0 && s.Unflushed() == 0 && s.held.len() == 0
}

// Unflushed is how many keys this server has to flush.
func (s *Server) Unflushed() int { return s.home.flush.dirty.len() }

// Evict forgets a key if the rules allow it, and reports whether it did. The
// server evicts by itself when memory runs out; this is for tests and operators.
func (s *Server) Evict(key []byte) bool {
	var v Version
	if s.table.Get(key, &v) == Missing || !s.mayEvict(&v) {
		return false
	}
	s.noteEvicted(&v)
	s.table.Remove(key)
	return true
}

// Drain makes the server refuse writes from now on, so that it comes to rest:
// see Status for what is left.
func (s *Server) Drain() { s.draining = true }

// checkInvariants panics where the server broke a promise of its own.
func (s *Server) checkInvariants() {
	total := 0
	for i := range s.icache {
		if got, want := s.icache[i].len(), int(s.received[i]-s.stable[i]); got != want {
			panic(fmt.Sprintf("causal: server %d holds %d versions of origin %d between S=%d and R=%d",
				s.cfg.Self, got, i, s.stable[i], s.received[i]))
		}
		total += s.pendingBytes[i]
	}
	if total != s.pendingTotal {
		panic("causal: pending bytes do not add up")
	}
	if !s.stable.AtMost(s.everywhere) || !s.everywhere.AtMost(s.received) {
		panic(fmt.Sprintf("causal: server %d: not S ≤ E ≤ R: %v, %v, %v", s.cfg.Self, s.stable, s.everywhere, s.received))
	}
}
