package sim

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// stage is how far a client's operation has come.
type stage uint8

const (
	idle     stage = iota
	sent           // the request is on its way
	waiting        // the server has it
	answered       // the reply is on its way
	reading        // a direct read is under way
	gone           // the session has ended
)

// client is a session, or a branch of one, with the operation under way.
type client struct {
	index   int
	session *causal.Session
	process *check.Process
	node    *node
	stage   stage
	request causal.Request
	value   check.ValueID
	key     []check.KeyID
	reply   causal.Reply
	direct  *causal.DirectRead
	// tried says that a server may have carried out the operation.
	tried bool
	// last and err are what the last operation came to, for scenarios.
	last []causal.Version
	err  error
}

func (w *world) addClient(name string, parents ...check.Position) *client {
	c := &client{index: len(w.clients), process: w.history.Start(name, w.epoch, parents...)}
	c.session = causal.NewSession(uint64(c.index)+1, w.cfg.Limits)
	c.session.Experiment(w.cfg.Experiment)
	w.clients = append(w.clients, c)
	return c
}

// begin starts an operation at a node: its request is on its way.
func (w *world) begin(c *client, n *node, op causal.Op, keys []int, ttl time.Duration) bool {
	names := make([][]byte, len(keys))
	c.key = c.key[:0]
	for i, k := range keys {
		names[i] = []byte(w.keys[k])
		c.key = append(c.key, check.KeyID(k))
	}
	var value []byte
	if op == causal.OpWrite {
		c.value = w.newValue(c)
		value = c.value.Append(nil)
	}
	if op == causal.OpRead {
		if v, ok := c.session.OwnRead(names[0]); ok { // a defect
			c.process.Read(item(c.key[0], &v))
			c.last, c.err = []causal.Version{v}, nil
			return true
		}
	}
	request, err := c.session.Begin(op, names, value, ttl)
	if err != nil {
		c.last, c.err = nil, err
		if !errors.Is(err, causal.ErrOverloaded) {
			w.fault(FaultUnexpected, "begin: %v", err)
		}
		return false
	}
	c.request = copyRequest(request)
	c.node, c.stage, c.tried = n, sent, false
	w.checkBounds(c)
	w.tracer.begins(c)
	w.trace("session %d at server %d: %v %s %s own=%v", c.index, n.id, op, names, value, c.request.Own)
	return true
}

// newValue is the value of the next write: the scenario's, or any unused one.
func (w *world) newValue(c *client) check.ValueID {
	if v := w.nextValue; v != 0 {
		w.nextValue = 0
		return v
	}
	return c.process.NewValue()
}

// copyRequest copies what the session goes on changing.
func copyRequest(r *causal.Request) causal.Request {
	q := *r
	q.Known = nil
	for _, k := range r.Known {
		q.Known = append(q.Known, causal.SignedVector{Vector: k.Vector.Clone(), Tag: k.Tag})
	}
	q.Own = append([]causal.SignedDot(nil), r.Own...)
	q.Value = bytes.Clone(r.Value)
	q.Keys = nil
	for _, k := range r.Keys {
		q.Keys = append(q.Keys, bytes.Clone(k))
	}
	return q
}

// checkBounds holds a request against what it may be at most, however long its
// workflow is.
func (w *world) checkBounds(c *client) {
	r := &c.request
	if len(r.Own) > w.cfg.Servers || len(w.cfg.Key) == 0 && len(r.Known) > 1 {
		w.fault(FaultUnbounded, "session %d sends %d own writes and %d vectors", c.index, len(r.Own), len(r.Known))
	}
}

// arrive hands the request to its server.
func (w *world) arrive(c *client) {
	if c.stage != sent {
		return
	}
	w.tracer.arrives(c)
	c.stage, c.tried = waiting, true
	r := copyRequest(&c.request)
	w.step(c.node, causal.Input{Kind: causal.InputRequest, Client: causal.ClientID(c.index), Request: &r})
}

// replied puts a reply on its way to its client, and reports whether that waits for it.
func (w *world) replied(i int, r causal.Reply) bool {
	c := w.clients[i]
	awaited := c.stage == waiting && r.ID == c.request.ID
	if awaited {
		c.stage, c.reply = answered, *r.Clone()
	}
	return awaited
}

// giveUp ends an operation whose reply is lost.
func (w *world) giveUp(c *client) {
	outcome := check.Unknown
	if !c.tried {
		outcome = check.Refused
	}
	switch c.request.Op {
	case causal.OpWrite:
		c.process.Write(c.key[0], c.value, outcome, causal.Dot{}, causal.Stamp{})
	case causal.OpDelete:
		c.process.Delete(c.key[0], outcome, causal.Dot{}, causal.Stamp{})
	}
	c.stage = idle
	w.tracer.gaveUp(c)
}

// finish takes the reply.
func (w *world) finish(c *client) {
	if c.stage != answered {
		return
	}
	c.stage = idle
	began := c.request.Time
	r := c.reply
	versions, err := c.session.Finish(&r)
	w.trace("session %d: reply %v S=%v %v", c.index, r.Code, r.Stability.Vector, err)
	c.last, c.err = versions, err
	if err != nil {
		w.refused(c, err)
		return
	}
	w.tracer.finished(c, versions)
	switch c.request.Op {
	case causal.OpWrite:
		c.process.Write(c.key[0], c.value, check.Acknowledged, r.Written.Dot, r.Written.Stamp)
	case causal.OpDelete:
		c.process.Delete(c.key[0], check.Acknowledged, r.Written.Dot, r.Written.Stamp)
	case causal.OpRead, causal.OpReadMany:
		items := make([]check.Item, len(versions))
		for i := range versions {
			items[i] = item(c.key[i], &versions[i])
			w.checkExpiry(&versions[i], began, c.session.Context().Time)
		}
		if c.request.Op == causal.OpRead {
			c.process.Read(items[0])
		} else {
			c.process.ReadMany(items...)
		}
	}
}

// refused judges an error: an honest client meets only those that the world's
// faults explain.
func (w *world) refused(c *client, err error) {
	w.giveUpRefused(c)
	if !errors.Is(err, causal.ErrOverloaded) && !errors.Is(err, causal.ErrUnavailable) {
		w.fault(FaultUnexpected, "session %d at server %d: %v", c.index, c.node.id, err)
	}
}

// giveUpRefused records that the operation had no effect. A retry of a write that
// was carried out is never refused by the server that remembers it.
func (w *world) giveUpRefused(c *client) {
	c.tried = false
	w.giveUp(c)
}

// checkExpiry holds an answer against the time to live: a value was not over when
// the request was made, an expired version is over by the session's time.
func (w *world) checkExpiry(v *causal.Version, began, now causal.Time) {
	if v.Deadline == 0 {
		return
	}
	if !v.Tombstone && began >= v.Deadline {
		w.fault(FaultExpiry, "value until %d read at %d", v.Deadline, began)
	}
	if v.Tombstone && now < v.Deadline {
		w.fault(FaultExpiry, "version until %d called expired at %d", v.Deadline, now)
	}
}

// item describes what was read. A version that is gone by its deadline is no
// delete.
func item(key check.KeyID, v *causal.Version) check.Item {
	read := *v
	expired := read.Tombstone && read.Deadline != 0
	if expired {
		read.Tombstone = false
	}
	return check.ItemOf(key, &read, expired)
}

// branch starts a parallel branch of a session.
func (w *world) branch(c *client) *client {
	b := w.addClient("branch", c.process.Position())
	b.session.Resume(c.session.Context())
	w.trace("session %d branches off %d", b.index, c.index)
	w.tracer.joined(b, c)
	return b
}

// join merges a branch into a session.
func (w *world) join(c, b *client) {
	if err := c.session.Merge(b.session.Context()); err != nil {
		if !errors.Is(err, causal.ErrOverloaded) && !errors.Is(err, causal.ErrTooLarge) {
			w.fault(FaultUnexpected, "merge: %v", err)
		}
		return
	}
	w.trace("session %d joins %d", c.index, b.index)
	w.tracer.joined(c, b)
	c.process.Join(b.process.Position())
}

// beginDirect starts a read beside the writer.
func (w *world) beginDirect(c *client, n *node, keys []int) {
	op := causal.OpRead
	if len(keys) > 1 {
		op = causal.OpReadMany
	}
	if !w.begin(c, n, op, keys, 0) || c.stage != sent {
		return
	}
	c.stage = reading
	c.direct = &causal.DirectRead{
		Known: c.request.Known, Epoch: w.epoch, Keys: c.request.Keys, Tries: 4, Defects: w.cfg.Experiment.Defects,
	}
	n.reads = append(n.reads, c)
}

// stepDirect takes one step of a direct read. What it cannot read it asks the
// server for, as a whole.
func (w *world) stepDirect(c *client) {
	outcome := c.direct.Step(&c.node.table.view)
	w.trace("session %d: direct step: %v", c.index, outcome)
	w.tracer.readBeside(c, outcome)
	if outcome == causal.DirectAgain {
		return
	}
	c.node.reads = slices.DeleteFunc(c.node.reads, func(d *client) bool { return d == c })
	if outcome == causal.DirectFallback {
		c.stage = sent
		return
	}
	c.stage = answered
	c.reply = causal.Reply{
		ID: c.request.ID, Op: c.request.Op, Epoch: w.epoch, Versions: c.direct.Versions,
		Stability: c.direct.Stability, Time: c.request.Time,
	}
	w.finish(c)
}

// stepReaders lets direct reads go on while the writer is in the middle of a step.
func (w *world) stepReaders(n *node) {
	if w.rng == nil {
		return // a scenario says itself who steps
	}
	for i := 0; i < len(n.reads); i++ {
		if c := n.reads[i]; w.rng.IntN(3) == 0 {
			if w.stepDirect(c); c.stage != reading {
				i--
			}
		}
	}
}
