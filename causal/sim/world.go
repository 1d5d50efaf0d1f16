package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// Config describes a world.
type Config struct {
	Servers     int
	Keys        int
	Propagation causal.Propagation
	Ack         causal.Ack
	Store       bool
	// Direct says that sessions may read beside the writer.
	Direct bool
	// Key is the cluster key, empty for none.
	Key        []byte
	Limits     causal.Limits
	Experiment causal.Experiment
	// names are those of further keys, where they matter.
	names []string
	// tracer, if set, is told what happens.
	tracer tracer
}

// Fault is what a run found beside the checker's violations.
type Fault struct {
	Kind    string
	Message string
}

func (f Fault) String() string { return f.Kind + ": " + f.Message }

// The kinds of faults.
const (
	FaultUnexpected = "unexpected error"      // an honest client was refused for no reason
	FaultRestless   = "does not come to rest" // something is left when all is delivered
	FaultUnbounded  = "unbounded context"
	FaultExpiry     = "wrong expiry"
	FaultPanic      = "panic"
)

// start is the wall clock's first reading.
const start = causal.Time(1_000_000_000_000)

// world is a cluster with its sessions, at one moment of virtual time.
type world struct {
	cfg     Config
	rng     *rand.Rand
	now     causal.Time
	epoch   causal.Epoch
	nodes   []*node
	links   [][]*link
	db      *database
	dbQueue []dbRequest
	clients []*client
	history *check.History
	faults  []Fault
	keys    []string
	foreign check.ValueID // last value of another program
	// nextValue is what a scenario writes next.
	nextValue check.ValueID
	trace     func(format string, args ...any)
	tracer    tracer
}

// node is a server with its table.
type node struct {
	id    causal.ReplicaID
	core  *causal.Server
	table *journal
	skew  time.Duration // of its wall clock
	out   causal.Output
	reads []*client // direct reads under way on its table
}

// link carries messages from one server to another, in order.
type link struct {
	up    bool
	queue []causal.Message
	// handshake is what the acceptor stated, until the dialer has it.
	handshake *causal.Input
}

// dbRequest waits for the database, or its answer for the server.
type dbRequest struct {
	node   *node
	load   *causal.LoadRequest
	flush  *causal.FlushRequest
	loaded *causal.LoadResult
	done   *causal.FlushResult
	slow   bool
	late   bool // a flush: its home has heard that it failed, and hears nothing more
}

func newWorld(cfg Config, rng *rand.Rand, history *check.History) *world {
	w := &world{cfg: cfg, rng: rng, now: start, history: history, trace: func(string, ...any) {}, tracer: cfg.tracer}
	if w.tracer == nil {
		w.tracer = deaf{}
	}
	history.Reset()
	w.keys = slices.Clone(cfg.names)
	for k := range cfg.Keys {
		w.keys = append(w.keys, fmt.Sprintf("k%d", k))
	}
	history.Keys = w.keys
	w.db = newDatabase()
	w.startCluster(nil)
	return w
}

// startCluster starts all servers in a new epoch, with the given clock skews.
func (w *world) startCluster(skew []time.Duration) {
	w.epoch++
	w.nodes, w.links, w.dbQueue = nil, nil, nil
	for i := range w.cfg.Servers {
		n := &node{id: causal.ReplicaID(i), table: newJournal(w.cfg.Direct)}
		if skew != nil {
			n.skew = skew[i]
		}
		core, err := causal.NewServer(causal.Config{
			Self: n.id, Replicas: w.cfg.Servers, Epoch: w.epoch, Propagation: w.cfg.Propagation, Ack: w.cfg.Ack,
			Store: w.cfg.Store, Key: w.cfg.Key, Limits: w.cfg.Limits, Experiment: w.observed(n),
			Heartbeat: 5 * time.Millisecond, FlushRetry: 2 * time.Millisecond,
		}, n.table)
		if err != nil {
			panic(err) // the world's own configuration
		}
		n.core = core
		n.table.view.stable = n.core.SignedStability()
		w.nodes = append(w.nodes, n)
		w.links = append(w.links, nil)
		for range w.cfg.Servers {
			w.links[i] = append(w.links[i], &link{})
		}
	}
	w.tracer.epochBegins(w)
	for from := range w.links {
		for to := range w.links[from] {
			if from != to {
				w.connect(from, to)
			}
		}
	}
}

// observed is the experiment of a server, with the tracer as its observer if there
// is one.
func (w *world) observed(n *node) causal.Experiment {
	e := w.cfg.Experiment
	if w.cfg.tracer != nil {
		e.Observe = func(t causal.Transition) { w.tracer.took(n, &t) }
		n.table.shown = func(s *tableStep) { w.tracer.shown(n, s) }
	}
	return e
}

func (w *world) succ(i int) int { return (i + 1) % w.cfg.Servers }

func (n *node) clock(now causal.Time) causal.Time { return now.Add(n.skew) }

// step gives one input to a server and carries out what follows from it.
func (w *world) step(n *node, in causal.Input) {
	in.Now = n.clock(w.now)
	n.out.Reset()
	if err := n.core.Step(&in, &n.out); err != nil {
		w.trace("  server %d: %v", n.id, err)
	}
	w.handle(n)
}

func (w *world) tick(n *node) {
	n.out.Reset()
	n.core.Tick(n.clock(w.now), &n.out)
	w.handle(n)
}

// handle carries out a server's outputs, in their order. What became visible is
// shown first: nothing leaves a server before its whole step is published.
func (w *world) handle(n *node) {
	n.table.show(func() { w.stepReaders(n) })
	for _, p := range n.out.Drop {
		w.cut(int(n.id), int(p))
		w.cut(int(p), int(n.id))
	}
	for _, m := range n.out.Messages {
		if l := w.links[n.id][m.To]; l.up {
			l.queue = append(l.queue, *m.Message.Clone())
		}
	}
	for _, r := range n.out.Replies {
		w.tracer.replied(n, r.Client, &r.Reply, w.replied(int(r.Client), r.Reply))
	}
	for i := range n.out.Loads {
		load := n.out.Loads[i]
		w.dbQueue = append(w.dbQueue, dbRequest{node: n, load: &load})
	}
	for i := range n.out.Flushes {
		flush := n.out.Flushes[i]
		flush.Version = flush.Version.Clone()
		w.dbQueue = append(w.dbQueue, dbRequest{node: n, flush: &flush})
	}
}

// pull puts the next ring message on the link to the successor.
func (w *world) pull(from int) bool {
	to := w.succ(from)
	l := w.links[from][to]
	if from == to || !l.up {
		return false
	}
	var m causal.Message
	if !w.nodes[from].core.Pull(w.nodes[from].clock(w.now), &m) {
		return false
	}
	l.queue = append(l.queue, *m.Clone())
	return true
}

// deliver hands the oldest message of a link to its receiver; again leaves it in
// the link, so that it comes twice.
func (w *world) deliver(from, to int, again bool) bool {
	l := w.links[from][to]
	if len(l.queue) == 0 {
		return false
	}
	m := l.queue[0]
	if !again {
		l.queue = l.queue[1:]
	}
	w.step(w.nodes[to], causal.Input{Kind: causal.InputMessage, Peer: causal.ReplicaID(from), Message: &m})
	return true
}

// cut loses a link with all that is on it.
func (w *world) cut(from, to int) {
	l := w.links[from][to]
	if from == to || !l.up && l.handshake == nil {
		return
	}
	wasUp := l.up
	*l = link{}
	if wasUp {
		w.step(w.nodes[from], causal.Input{Kind: causal.InputLinkDown, Peer: causal.ReplicaID(to)})
	}
}

// accept begins to set up a link: the receiver states what it has.
func (w *world) accept(from, to int) {
	l := w.links[from][to]
	if l.up || l.handshake != nil {
		return
	}
	c := w.nodes[to].core
	l.handshake = &causal.Input{
		Kind: causal.InputLinkUp, Peer: causal.ReplicaID(to),
		Received: c.Received().Clone(), Marks: c.Marks().Clone(), Everywhere: c.Everywhere().Clone(),
	}
	if to == w.succ(from) {
		w.step(w.nodes[to], causal.Input{Kind: causal.InputPredecessor, WantsAcks: w.cfg.Ack == causal.AckReplicated})
	}
}

// establish ends it: the sender learns what the receiver has.
func (w *world) establish(from, to int) {
	l := w.links[from][to]
	if l.handshake == nil {
		return
	}
	in := *l.handshake
	l.up, l.handshake = true, nil
	w.step(w.nodes[from], in)
}

func (w *world) connect(from, to int) {
	w.accept(from, to)
	w.establish(from, to)
}

// database carries out the i-th waiting request; the answer waits in its place.
func (w *world) database(i int) {
	q := &w.dbQueue[i]
	switch {
	case q.load != nil:
		r := w.db.load(*q.load, w.now)
		q.loaded, q.load = &r, nil
		w.tracer.lookedUp(q)
	case q.flush != nil:
		r := w.db.flush(*q.flush, w.epoch, w.now)
		w.tracer.stored(q, &r)
		q.done, q.flush = &r, nil
	}
}

// answer gives the i-th answer to its server; lost turns it into a failure.
func (w *world) answer(i int, lost bool) {
	q := w.dbQueue[i]
	w.dbQueue = append(w.dbQueue[:i], w.dbQueue[i+1:]...)
	w.tracer.answers(&q, lost)
	if q.late {
		return
	}
	switch {
	case q.load != nil:
		q.loaded = &causal.LoadResult{ID: q.load.ID, Key: q.load.Key}
	case q.flush != nil:
		q.done = &causal.FlushResult{Key: q.flush.Version.Key, Stamp: q.flush.Version.Stamp}
	}
	if q.loaded != nil {
		if lost {
			q.loaded.Status = causal.LoadFailed
		}
		w.step(q.node, causal.Input{Kind: causal.InputLoaded, Load: q.loaded})
		return
	}
	if lost {
		q.done.Status = causal.FlushFailed
	}
	w.step(q.node, causal.Input{Kind: causal.InputFlushed, Flush: q.done})
}

// failLate tells the home that its flush, the i-th request, failed: it did not, it is
// still on its way.
func (w *world) failLate(i int) {
	q := &w.dbQueue[i]
	q.late, q.slow = true, true
	v := q.flush.Version
	w.step(q.node, causal.Input{Kind: causal.InputFlushed, Flush: &causal.FlushResult{Key: v.Key, Stamp: v.Stamp}})
}

// quiet reports whether nothing of a key is in flight: then the grace of its tombstone
// may be over.
func (w *world) quiet(key int) bool {
	name := w.keys[key]
	for _, n := range w.nodes {
		_, dirty := n.core.Dirty([]byte(name))
		if s := n.core.Status(); s.Pending > 0 || s.LoadsNow > 0 || dirty {
			return false
		}
	}
	return !slices.ContainsFunc(w.dbQueue, func(q dbRequest) bool {
		return q.flush != nil && string(q.flush.Version.Key) == name
	})
}

// purge drops the tombstone that the database has for a key, if there is one.
func (w *world) purge(key int) error {
	if err := w.db.purge(w.keys[key]); err != nil {
		return err
	}
	w.trace("purge %s", w.keys[key])
	w.history.Purged = append(w.history.Purged, check.KeyID(key))
	w.tracer.purged(w.keys[key])
	return nil
}

// foreignWrite is another program's write into the database, of a new value.
func (w *world) foreignWrite(key int, remove bool) {
	f := check.Foreign{Key: check.KeyID(key)}
	if !remove {
		w.foreign++
		f.Value = foreignBase + w.foreign
	}
	w.putForeign(f)
}

// putForeign stores a value, or removes the key where there is none.
func (w *world) putForeign(f check.Foreign) {
	var value []byte
	if f.Value != 0 {
		value = f.Value.Append(nil)
	}
	w.trace("foreign %s=%s", w.keys[f.Key], value)
	w.history.Foreign = append(w.history.Foreign, f)
	w.db.foreign(w.keys[f.Key], value)
	w.tracer.foreign(w.keys[f.Key], value)
}

// foreignBase keeps other programs' values apart from those of processes.
const foreignBase check.ValueID = 1 << 60

func (w *world) fault(kind, format string, args ...any) {
	w.faults = append(w.faults, Fault{kind, fmt.Sprintf(format, args...)})
}
