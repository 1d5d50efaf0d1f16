package daemon

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/faultlog"
	"causalmesh/daemon/store"
	"causalmesh/ring"
	"causalmesh/ring/netloop"
)

// The listeners of a node.
const (
	listenUnix ring.ListenerID = 1 + iota
	listenTCP
	listenPeer
)

var listenerNames = map[ring.ListenerID]string{
	listenUnix: "clients (listen-unix)", listenTCP: "clients (listen-tcp)", listenPeer: "peers (listen-peer)",
}

// connection is one end of a connection: of a client, or of a link.
type connection interface {
	// received takes bytes, as ring.Handler does.
	received(data []byte) (used int, err error)
	// closed tells that the other side, or an error of received, has ended it.
	closed(err error)
	// late tells that there was no handshake in time.
	late()
}

// node is what the loop drives. All that is not said to be shared belongs to the
// loop's goroutine.
type node struct {
	cfg     Config
	key     []byte
	digest  wire.Digest
	boot    wire.BootID
	log     *slog.Logger
	loop    ring.Loop
	started time.Time
	ready   chan struct{} // closed when joined is set
	ended   chan struct{} // closed when Run returns
	halted  atomic.Bool
	store   *store.Store // nil without a database

	server *causal.Server // nil before there is an epoch
	epoch  causal.Epoch
	joined bool // all links have been up in this epoch
	peers  []*peer
	conns  map[ring.ConnID]connection
	// greetings are the connections whose handshake is awaited, oldest first.
	greetings []greeting
	counters  Counters
	faults    *faultlog.Log
	// turnedAway is how many connections the loop has refused.
	turnedAway uint64

	draining, stopping bool
	drainEnd           causal.Time
	quietSince         causal.Time // R has been quietAt since then
	quietAt            causal.VectorClock
	outcome            error // of a node that drained
	requestBytes       int   // of the longest frame of a client

	clock   clock
	now     causal.Time // the clock at the start of the loop's call
	in      causal.Input
	out     causal.Output
	request causal.Request
	message causal.Message // received
	pull    causal.Message // to the successor
	backlog backlog
	behind  []*client // with requests put off until replies have left

	sharedEpoch atomic.Uint64 // epoch, for the store's workers
	mu          sync.Mutex
	arrived     store.Results // Invariant: under mu; from the store's workers
	posted      []func()      // Invariant: under mu; to be run by the loop
}

// greeting is a connection whose handshake is awaited until a deadline.
type greeting struct {
	id    ring.ConnID
	until causal.Time
}

// Counters count what clients and peers have done; the core and the loop count the
// rest.
type Counters struct {
	Clients          int    `json:"clients"` // connected now, after their handshake
	Welcomed         uint64 `json:"welcomed"`
	Refused          uint64 `json:"refused"` // client handshakes
	Requests         uint64 `json:"requests"`
	Malformed        uint64 `json:"malformed"` // connections closed for what a client sent
	Unread           uint64 `json:"unread"`    // connections closed for not reading replies
	ReservedKeys     uint64 `json:"reserved_keys"`
	Withheld         uint64 `json:"withheld"`     // replies that were too much on top of what waits
	NoHandshake      uint64 `json:"no_handshake"` // connections closed for silence
	PeersRefused     uint64 `json:"peers_refused"`
	PeersMalformed   uint64 `json:"peers_malformed"`
	PeersUnproven    uint64 `json:"peers_unproven"` // without the cluster key
	LinksEstablished uint64 `json:"links_established"`
	LinksSilent      uint64 `json:"links_silent"`
}

func newNode(c Config, key []byte, log *slog.Logger) *node {
	n := &node{
		cfg: c, key: key, digest: c.digest(), boot: wire.BootID(rand.Uint64() | 1), log: log, started: time.Now(),
		ready: make(chan struct{}), ended: make(chan struct{}), conns: map[ring.ConnID]connection{},
		faults: faultlog.New(log), requestBytes: c.requestBytes(),
	}
	n.loop = netloop.New(ring.Options{MaxConns: maxConns(c.MaxConns, log), HighWater: highWater, MaxQueued: maxQueued})
	for i, address := range c.Peers {
		n.peers = append(n.peers, &peer{n: n, id: causal.ReplicaID(i), address: address, note: "not connected yet"})
	}
	return n
}

func (n *node) replicas() int { return n.cfg.replicas() }

// successor and predecessor are nil in a ring of one.
func (n *node) successor() *peer   { return n.neighbour(1) }
func (n *node) predecessor() *peer { return n.neighbour(n.replicas() - 1) }

func (n *node) neighbour(distance int) *peer {
	if n.replicas() == 1 {
		return nil
	}
	return n.peers[(int(n.cfg.NodeID)+distance)%n.replicas()]
}

// enter notes the time; every call of the loop begins with it.
func (n *node) enter() { n.now = n.clock.now() }

// Accepted implements ring.Handler.
func (n *node) Accepted(c ring.ConnID, l ring.ListenerID, _ ring.Peer) error {
	n.enter()
	if n.stopping {
		return errShuttingDown
	}
	if l == listenPeer {
		n.conns[c] = &inLink{n: n, id: c}
	} else {
		n.conns[c] = &client{n: n, id: c}
	}
	n.greetings = append(n.greetings, greeting{c, n.now.Add(n.cfg.LinkTimeout)})
	return nil
}

// Connected implements ring.Handler. The token of a dial is the peer's number.
func (n *node) Connected(token uint64, c ring.ConnID, err error) {
	n.enter()
	n.peers[token].connected(c, err)
	n.settle()
}

// Received implements ring.Handler.
func (n *node) Received(c ring.ConnID, data []byte) (int, error) {
	n.enter()
	conn := n.conns[c]
	if conn == nil {
		return len(data), nil // hung up on; the loop closes it
	}
	used, err := conn.received(data)
	n.settle()
	return used, err
}

// Closed implements ring.Handler.
func (n *node) Closed(c ring.ConnID, err error) {
	n.enter()
	if conn := n.conns[c]; conn != nil {
		delete(n.conns, c)
		conn.closed(err)
		n.settle()
	}
}

// hangUp closes a connection. Nothing more is heard from it.
func (n *node) hangUp(c ring.ConnID) {
	delete(n.conns, c)
	n.loop.Close(c)
}

// Woken implements ring.Handler.
func (n *node) Woken() {
	n.enter()
	n.mu.Lock()
	results, posted := n.arrived, n.posted
	n.arrived, n.posted = store.Results{}, nil
	n.mu.Unlock()
	n.backlog.add(results)
	for _, f := range posted {
		f()
	}
	n.settle()
}

// post makes the loop run f, from any goroutine.
func (n *node) post(f func()) {
	n.mu.Lock()
	n.posted = append(n.posted, f)
	n.mu.Unlock()
	n.loop.Wake()
}

// maxPosted is how much may wait for the loop before nothing more is offered to it:
// questions whose askers have given up wait, too.
const maxPosted = 1024

// offer is post, unless too much waits for the loop already.
func (n *node) offer(f func()) bool {
	n.mu.Lock()
	room := len(n.posted) < maxPosted
	if room {
		n.posted = append(n.posted, f)
	}
	n.mu.Unlock()
	if room {
		n.loop.Wake()
	}
	return room
}

// Tick implements ring.Handler.
func (n *node) Tick(time.Time) {
	n.enter()
	for len(n.greetings) > 0 && n.now >= n.greetings[0].until {
		if conn := n.conns[n.greetings[0].id]; conn != nil {
			conn.late()
		}
		n.greetings = n.greetings[1:]
	}
	if n.server != nil {
		n.out.Reset()
		n.in.Kind = 0 // what follows answers no request of this moment
		n.server.Tick(n.now, &n.out)
		n.carryOut()
		for _, p := range n.peers {
			p.tick()
		}
	}
	n.resumeClients()
	n.noteCrowding()
	n.settle()
	n.checkDrained()
}

// sendAhead is how many bytes may wait for the successor's connection before no
// more is pulled for it: enough to keep it busy for a turn.
const sendAhead = 1 << 20

// EndOfTurn implements ring.Handler: what the steps of this turn have for the
// successor goes out in as few messages as possible.
func (n *node) EndOfTurn(time.Time) {
	p := n.successor()
	if p == nil || !p.up() {
		return
	}
	n.enter()
	for n.loop.Queued(p.out.id) < sendAhead && n.server.Pull(n.now, &n.pull) {
		p.send(&n.pull)
	}
}

// step carries out n.in, and what follows from it.
func (n *node) step() {
	n.out.Reset()
	if err := n.server.Step(&n.in, &n.out); err != nil {
		n.protest(err)
	}
	n.carryOut()
}

// carryOut does what a step asks for, in the order that causal.Output prescribes.
func (n *node) carryOut() {
	o := &n.out
	for _, p := range o.Drop {
		n.peers[p].drop(errDropped)
	}
	for i := range o.Messages {
		n.peers[o.Messages[i].To].send(&o.Messages[i].Message)
	}
	for i := range o.Replies {
		n.reply(&o.Replies[i])
	}
	if len(o.Loads)+len(o.Flushes) > 0 {
		n.backlog.add(n.store.Submit(o.Loads, o.Flushes))
	}
	for i := range o.Events {
		n.report(&o.Events[i])
	}
}

// reply sends a reply, unless the client has gone.
func (n *node) reply(r *causal.ClientReply) {
	out := n.loop.Out(ring.ConnID(r.Client))
	if out == nil {
		return
	}
	if len(r.Reply.Versions) > 0 && n.loop.Queued(ring.ConnID(r.Client)) > withholdAbove {
		n.counters.Withheld++
		r.Reply.Versions, r.Reply.Code = nil, causal.CodeOverloaded
		r.Reply.Detail = "other replies on this connection wait to be read; ask for less at once"
	}
	var known []causal.SignedVector
	if n.in.Kind == causal.InputRequest && n.in.Client == r.Client && n.request.ID == r.Reply.ID {
		known = n.request.Known
	}
	out.Bytes = wire.AppendReply(out.Bytes, &r.Reply, known)
}

// report logs what the core found worth telling. Imports are not rare where other
// programs write a lot; /status counts them.
func (n *node) report(e *causal.Event) {
	switch e.Kind {
	case causal.EventPeerLostState:
		n.log.Error("a peer lacks what all nodes had; restart all nodes of the cluster", "peer", e.Peer)
	case causal.EventFenced:
		n.log.Error("a later epoch of the cluster owns the database; nothing is served any more, restart this node")
	case causal.EventReissued:
		n.log.Warn("a write was made again above the database's stamp; check the nodes' clocks", "key", string(e.Key))
	default:
		n.log.Debug(e.Kind.String(), "key", string(e.Key))
	}
}

// protest logs why a step was not carried out.
func (n *node) protest(err error) {
	if errors.Is(err, causal.ErrPeer) {
		n.faults.Add(time.Now(), "a peer broke the protocol, its link is set up again", "error", err)
	} else {
		n.faults.Add(time.Now(), "the database holds an impossible record; its key is neither loaded nor flushed until it is deleted there", "error", err)
	}
}

// noteCrowding logs that the loop has turned connections away; while the node ends,
// it is the node that does.
func (n *node) noteCrowding() {
	refused := n.loop.Stats().Refused
	if refused != n.turnedAway && !n.stopping {
		n.faults.Add(time.Now(), "too many connections; raise max-conns", "refused", refused, "max-conns", n.cfg.MaxConns)
	}
	n.turnedAway = refused
}
