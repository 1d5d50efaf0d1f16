package daemon

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"causalmesh/bpf/watch"
	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
	"causalmesh/ring/table"
)

// front serves the clients of one loop: it reads the table by itself, and has the core
// do the rest. The node's own loop has one; each further loop has one that is its
// handler. All of it belongs to its loop, but for what is said to be shared.
type front struct {
	cfg          *Config
	log          *slog.Logger
	loop         ring.Loop
	number       int // of the loop; 0 is the node's own
	core         core
	state        *atomic.Pointer[nodeState] // shared; the node's loop changes it
	requestBytes int                        // of the longest frame of a client
	limits       causal.Limits

	clients   map[ring.ConnID]*client
	greetings greetings
	behind    []*client     // with requests put off until replies have left
	attached  int           // clients in shared memory
	polled    []*client     // of them, those whose memory is looked at
	touched   []*client     // of them, those with replies to publish
	gap       time.Duration // between their requests, lately
	arrivedAt causal.Time   // the last of them
	sweepAt   causal.Time   // when those that do not read are looked for
	rests     uint          // when the loop might have spun for them and did not
	begun     chan struct{} // shared; closed at the first tick: the loop has all that it needs
	hasBegun  bool
	watch     *watch.Watch // nil: nobody can
	watched   bool         // their requests are timed
	// stallAfter is how long replies may lie in shared memory; a test has less patience.
	stallAfter time.Duration
	counters   Counters
	ahead      [maxAhead]arrival
	direct     directReader
	clock      clock
	now        causal.Time // the clock at the start of the loop's call

	mu        sync.Mutex
	published frontStats // Invariant: under mu; shared
}

// core is where requests go that the table cannot answer.
type core interface {
	// ask hands over a request, decoded and as it came. It does not keep them.
	ask(c *client, r *causal.Request, body []byte)
}

// nodeState is what the fronts need to know of the node. It is replaced, never changed.
type nodeState struct {
	epoch    causal.Epoch
	notReady string // why no client is welcome; "" if they are
	stopping bool
	table    *table.Table
}

// frontStats are a front's counts, for others.
type frontStats struct {
	counters Counters
	loop     ring.Stats
}

func newFront(n *node, number int, loop ring.Loop) *front {
	return &front{
		cfg: &n.cfg, log: n.log, loop: loop, number: number, core: n, state: &n.state,
		requestBytes: n.cfg.requestBytes(), limits: n.cfg.limits(), clients: map[ring.ConnID]*client{},
		stallAfter: stallAfter, begun: make(chan struct{}),
	}
}

// enter notes the time; every call of the loop begins with it.
func (f *front) enter() { f.now = f.clock.now() }

// accept takes a client's connection.
func (f *front) accept(c ring.ConnID, p ring.Peer) error {
	if f.state.Load().stopping {
		return errShuttingDown
	}
	f.clients[c] = &client{f: f, id: c, peer: p}
	f.greetings.add(c, f.now.Add(f.cfg.LinkTimeout))
	return nil
}

// late ends a connection on which there was no handshake in time.
func (f *front) late(c ring.ConnID) {
	if client := f.clients[c]; client != nil && !client.greeted {
		f.counters.NoHandshake++
		sendRefusal(f.loop, c, wire.RefusedMalformed, errNoHandshake)
		f.hangUp(c)
	}
}

// hangUp closes a connection. Nothing more is heard from it.
func (f *front) hangUp(c ring.ConnID) {
	if client := f.clients[c]; client != nil {
		client.detach()
	}
	delete(f.clients, c)
	f.loop.Close(c)
}

// end closes the connection of a client for a reason.
func (f *front) end(c *client, err error) {
	f.hangUp(c.id)
	c.closed(err)
}

// tick does what falls due.
func (f *front) tick() {
	if !f.hasBegun {
		f.hasBegun = true
		close(f.begun)
	}
	f.greetings.expire(f.now, f.late)
	f.tickAttached()
	f.resume()
}

// resume goes on with clients whose replies have left in the meantime.
func (f *front) resume() {
	waiting := f.behind
	f.behind = nil
	for _, c := range waiting {
		if f.clients[c.id] != c || len(c.rest) == 0 {
			continue
		}
		if !c.behind() {
			if err := c.resume(); err != nil {
				f.end(c, err)
				continue
			}
		}
		if len(c.rest) > 0 {
			f.behind = append(f.behind, c)
		}
	}
}

// publish makes the front's counts known to others.
func (f *front) publish() {
	f.mu.Lock()
	f.published = frontStats{f.counters, f.loop.Stats()}
	f.mu.Unlock()
}

func (f *front) stats() frontStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.published
}

// clientID names a connection of this front to the core.
func (f *front) clientID(c ring.ConnID) causal.ClientID {
	return causal.ClientID(uint64(f.number)<<connBits | uint64(c))
}

// connBits is how many bits a connection's number has; above is the loop's.
const connBits = 56

func splitClient(id causal.ClientID) (loop int, c ring.ConnID) {
	return int(id >> connBits), ring.ConnID(id & (1<<connBits - 1))
}

// remote is a front on a loop of its own: it writes to the node's loop what it wants of
// the core.
type remote struct {
	front
	wake     func() // the node's loop
	requests letters
	replies  letters
}

var _ ring.Poller = (*remote)(nil)

func newRemote(n *node, number int, loop ring.Loop) *remote {
	r := &remote{front: *newFront(n, number, loop), wake: n.loop.Wake}
	r.core = r
	return r
}

// ask implements core. What comes faster than the core takes it is refused: the client
// may try again.
func (r *remote) ask(c *client, q *causal.Request, body []byte) {
	if r.requests.full() {
		r.counters.Overloaded++
		c.refuseRequest(q, causal.CodeOverloaded, "too many requests wait for the node's core; try again")
		return
	}
	r.requests.out.bytes = append(r.requests.out.bytes, body...)
	r.requests.add(c.id, kindOf(q.Op), causal.CodeOK, c.origin(q))
}

// Accepted implements ring.Handler.
func (r *remote) Accepted(c ring.ConnID, _ ring.ListenerID, p ring.Peer) error {
	r.enter()
	return r.accept(c, p)
}

// Connected implements ring.Handler. A front dials nobody.
func (r *remote) Connected(uint64, ring.ConnID, error) {}

// Received implements ring.Handler.
func (r *remote) Received(c ring.ConnID, data []byte) (int, error) {
	r.enter()
	return r.received(c, data)
}

func (f *front) received(c ring.ConnID, data []byte) (int, error) {
	client := f.clients[c]
	if client == nil {
		return len(data), nil // hung up on; the loop closes it
	}
	return client.received(data)
}

// Closed implements ring.Handler.
func (r *remote) Closed(c ring.ConnID, err error) { r.gone(c, err) }

func (f *front) gone(c ring.ConnID, err error) {
	if client := f.clients[c]; client != nil {
		client.detach()
		delete(f.clients, c)
		client.closed(err)
	}
}

// Poll implements ring.Poller.
func (r *remote) Poll() {
	r.enter()
	r.servePolled()
}

// Woken implements ring.Handler: the core has answered.
func (r *remote) Woken() {
	r.enter()
	b := r.replies.take()
	from := 0
	for _, l := range b.letters {
		frame := b.bytes[from:l.end]
		from = l.end
		if out := r.out(l.conn); out != nil {
			out.Bytes = r.withhold(out.Bytes, l, frame)
			out.Late(int(l.kind), l.from)
		}
	}
}

// withhold appends a reply, or an error in its place if too much waits on its
// connection already.
func (r *remote) withhold(b []byte, l letter, frame []byte) []byte {
	if len(frame) < withholdFrame || r.queued(l.conn) <= withholdAbove {
		r.counters.Failures.note(l.code)
		return append(b, frame...)
	}
	r.counters.Withheld++
	r.counters.Failures.note(causal.CodeOverloaded)
	id, err := wire.ReplyID(frame[wire.FrameHeaderBytes:])
	if err != nil { // it is our own
		panic("daemon: the core's reply cannot be read: " + err.Error())
	}
	return wire.AppendReply(b, &causal.Reply{
		ID: id, Op: causal.Op(l.kind), Code: causal.CodeOverloaded, Detail: withheldDetail, Epoch: r.state.Load().epoch,
	}, nil)
}

// Tick implements ring.Handler.
func (r *remote) Tick(time.Time) {
	r.enter()
	r.tick()
	r.publish()
}

// EndOfTurn implements ring.Handler.
func (r *remote) EndOfTurn(time.Time) {
	if len(r.behind) > 0 {
		r.loop.TurnWithin(tickBusy)
		r.resume()
	}
	r.publishTouched()
	if r.requests.send() {
		r.wake()
	}
}
