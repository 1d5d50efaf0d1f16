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
	"causalmesh/ring/table"
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

// link is one end of a connection to or from another node.
type link interface {
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
	links  map[ring.ConnID]link
	// greetings are the connections of other nodes whose handshake is awaited.
	greetings greetings
	counters  Counters
	faults    *faultlog.Log
	// turnedAway is how many connections the loop has refused.
	turnedAway uint64

	draining, stopping bool
	drainEnd           causal.Time
	quietSince         causal.Time // R has been quietAt since then
	quietAt            causal.VectorClock
	outcome            error // of a node that drained

	now     causal.Time // the clock at the start of the loop's call
	in      causal.Input
	out     causal.Output
	request causal.Request
	message causal.Message // received
	pull    causal.Message // to the successor
	// tickNext is when the core is told the time again if it waits for that.
	tickNext  causal.Time
	mostDirty int // keys since trim has last done something
	// ringNext is when the next message to the successor may leave.
	ringNext causal.Time
	backlog  backlog

	front   *front                    // of clients on this loop
	remotes []*remote                 // of clients on further loops
	state   atomic.Pointer[nodeState] // for the fronts
	table   *table.Table              // nil before there is an epoch

	// Times that no setting changes; tests do, before the node runs.
	askTimeout    time.Duration // of a monitor's question to the loop
	statusTimeout time.Duration // of others
	loadTimeout   time.Duration // of a miss
	drainQuiet    time.Duration

	probes      atomic.Value  // a string, for the status: whether the kernel follows this node
	sharedEpoch atomic.Uint64 // epoch, for the store's workers
	mu          sync.Mutex
	arrived     store.Results // Invariant: under mu; from the store's workers
	posted      []func()      // Invariant: under mu; to be run by the loop
}

func newNode(c Config, key []byte, log *slog.Logger, loops []ring.Loop) *node {
	n := &node{
		cfg: c, key: key, digest: c.digest(), boot: wire.BootID(rand.Uint64() | 1), log: log, started: time.Now(),
		ready: make(chan struct{}), ended: make(chan struct{}), links: map[ring.ConnID]link{},
		faults:     faultlog.New(log),
		askTimeout: askTimeout, statusTimeout: statusTimeout, loadTimeout: causal.DefaultLimits.LoadTimeout, drainQuiet: drainQuiet,
	}
	n.state.Store(&nodeState{})
	n.probes.Store(probesOff)
	n.front = newFront(n, 0, loops[0])
	n.loop = loops[0]
	for i, l := range loops[1:] {
		n.remotes = append(n.remotes, newRemote(n, i+1, l))
	}
	for i, address := range c.Peers {
		n.peers = append(n.peers, &peer{n: n, id: causal.ReplicaID(i), address: address, note: "not connected yet"})
	}
	return n
}

// fronts are those of all loops.
func (n *node) fronts() []*front {
	all := []*front{n.front}
	for _, r := range n.remotes {
		all = append(all, &r.front)
	}
	return all
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
func (n *node) enter() {
	n.front.enter()
	n.now = n.front.now
}

// Accepted implements ring.Handler.
func (n *node) Accepted(c ring.ConnID, l ring.ListenerID, p ring.Peer) error {
	n.enter()
	if n.stopping {
		return errShuttingDown
	}
	if l != listenPeer {
		return n.front.accept(c, p)
	}
	n.links[c] = &inLink{n: n, id: c}
	n.greetings.add(c, n.now.Add(n.cfg.LinkTimeout))
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
	var used int
	var err error
	if l := n.links[c]; l != nil {
		used, err = l.received(data)
	} else {
		used, err = n.front.received(c, data)
	}
	n.settle()
	return used, err
}

// Closed implements ring.Handler.
func (n *node) Closed(c ring.ConnID, err error) {
	n.enter()
	if l := n.links[c]; l != nil {
		delete(n.links, c)
		l.closed(err)
		n.settle()
		return
	}
	n.front.gone(c, err)
}

// hangUp closes a link. Nothing more is heard from it.
func (n *node) hangUp(c ring.ConnID) {
	delete(n.links, c)
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
	for _, r := range n.remotes {
		n.takeRequests(r)
	}
}

// Ready implements ring.Poller, as do Poll, Spin and Sleep.
func (n *node) Ready() bool { return n.front.Ready() }

// Poll: see Ready.
func (n *node) Poll() {
	n.enter()
	n.front.servePolled()
	n.settle()
}

// Spin: see Ready.
func (n *node) Spin() time.Duration { return n.front.Spin() }

// Sleep: see Ready.
func (n *node) Sleep() bool { return n.front.Sleep() }

// takeRequests carries out what a further loop wants of the core.
func (n *node) takeRequests(r *remote) {
	b := r.requests.take()
	from := 0
	for _, l := range b.letters {
		body := b.bytes[from:l.end]
		from = l.end
		if err := wire.DecodeRequest(body, &n.request); err != nil { // it has been read before
			panic("daemon: a request cannot be read again: " + err.Error())
		}
		n.stepRequest(r.clientID(l.conn), &n.request, l.from)
		n.settle()
	}
}

// ask implements core for the front on the node's own loop.
func (n *node) ask(c *client, r *causal.Request, _ []byte) {
	n.stepRequest(n.front.clientID(c.id), r, c.origin(r))
}

func (n *node) stepRequest(client causal.ClientID, r *causal.Request, from ring.Origin) {
	n.in = causal.Input{Now: n.now, Kind: causal.InputRequest, Client: client, Request: r, Token: causal.Token{from.Position, from.Key}}
	n.step()
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

// sendAhead is how many bytes may wait for the successor's connection before no
// more is pulled for it: enough to keep it busy for a turn.
const sendAhead = 1 << 20

// ringInterval is the shortest time between two messages to the successor while there
// is always something to say: what comes up meanwhile goes out together. Without it,
// each write of a busy session wakes all nodes, one after the other and some twice, and
// that costs more than the write. A write after a silence leaves at once; so do all that
// are acknowledged only when the successor has them.
const ringInterval = time.Millisecond

// EndOfTurn implements ring.Handler: what the steps of this turn have for the
// successor goes out in as few messages as possible.
func (n *node) EndOfTurn(time.Time) {
	for _, r := range n.remotes {
		if r.replies.send() {
			r.loop.Wake()
		}
	}
	n.enter()
	n.tickInTime()
	n.front.publishTouched()
	p := n.successor()
	if p == nil || !p.up() {
		return
	}
	if wait := n.ringNext.Sub(n.now); wait > 0 && n.cfg.Ack == causal.AckLocal {
		if n.server.Sendable() {
			n.loop.TurnWithin(wait)
		}
		return
	}
	for n.loop.Queued(p.out.id) < sendAhead && n.server.Pull(n.now, &n.pull) {
		p.send(&n.pull)
		n.ringNext = n.now.Add(ringInterval)
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
	var known []causal.SignedVector
	if n.in.Kind == causal.InputRequest && n.in.Client == r.Client && n.in.Request.ID == r.Reply.ID {
		known = n.in.Request.Known
	}
	loop, c := splitClient(r.Client)
	if loop > 0 {
		l := &n.remotes[loop-1].replies
		if len(r.Reply.Versions) > 0 && l.full() {
			n.withhold(&r.Reply)
		}
		l.out.bytes = wire.AppendReply(l.out.bytes, &r.Reply, known)
		l.add(c, kindOf(r.Reply.Op), r.Reply.Code, originOf(r.Token))
		return
	}
	out := n.front.out(c)
	if out == nil {
		return
	}
	if len(r.Reply.Versions) > 0 && n.front.queued(c) > withholdAbove {
		n.withhold(&r.Reply)
	}
	out.Bytes = wire.AppendReply(out.Bytes, &r.Reply, known)
	n.front.counters.Failures.note(r.Reply.Code)
	out.Late(kindOf(r.Reply.Op), originOf(r.Token))
}

// originOf is what stepRequest has made a token of.
func originOf(t causal.Token) ring.Origin { return ring.Origin{Position: t[0], Key: t[1]} }

// withhold makes an error of a reply.
func (n *node) withhold(r *causal.Reply) {
	n.counters.Withheld++
	r.Versions, r.Code, r.Detail = nil, causal.CodeOverloaded, withheldDetail
}

// tell lets the fronts know of the node's state if it has changed.
func (n *node) tell() {
	s := nodeState{epoch: n.epoch, table: n.table, stopping: n.stopping}
	switch {
	case n.draining:
		s.notReady = errShuttingDown.Error()
	case !n.joined:
		s.notReady = n.notReady()
	}
	if s != *n.state.Load() {
		n.state.Store(&s)
	}
}

// report logs what the core found worth telling. Imports are not rare where other
// programs write a lot; /status counts them.
func (n *node) report(e *causal.Event) {
	switch e.Kind {
	case causal.EventPeerLostState:
		n.log.Error("a peer lacks what all nodes had; restart all nodes of the cluster", "peer", e.Peer)
	case causal.EventFenced:
		n.table.Shut() // only the core knows what to answer now
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
	for _, r := range n.remotes {
		refused += r.stats().loop.Refused
	}
	if refused != n.turnedAway && !n.stopping {
		n.faults.Add(time.Now(), "too many connections; raise max-conns", "refused", refused, "max-conns", n.cfg.MaxConns)
	}
	n.turnedAway = refused
}
