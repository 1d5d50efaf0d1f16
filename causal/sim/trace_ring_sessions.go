package sim

import (
	"fmt"

	"causalmesh/causal"
)

// In the model a session's operation and what comes of it are one step. In a run the
// reply comes later, or never, or to a retry. So, by whom was an operation?
//
//   - By its session, if that takes the reply, and nobody has looked at the session's
//     context in between.
//   - A write whose reply is lost, or late: by a hand, a session that has joined the
//     writing one when that began. If it hears of the write at last, it joins the hand.
//   - A read or a sync whose reply nobody takes: by a session that stays at the server
//     and does nothing else. What it knows the server knows, too.
//   - A write of the server's own: by a fresh session.

// ringOperation is what a session has under way.
type ringOperation struct {
	id causal.RequestID
	// starts is where the hand has joined the session. It is unused while no step is
	// by the hand.
	starts *ringEvent
	write  *ringEvent
	answer []*ringEvent // of the reply that the session awaits
	apart  bool         // it stays by the hand
}

// ringSessions attributes operations to sessions of the model.
type ringSessions struct {
	sessions   map[*client]*ringSession
	stay       []*ringSession // of each server: who takes what nobody takes
	operations map[causal.ClientID]*ringOperation
	unclaimed  map[causal.ClientID][]*ringEvent // steps whose reply is about to come
}

func newRingSessions(servers int) ringSessions {
	s := ringSessions{
		sessions: map[*client]*ringSession{}, operations: map[causal.ClientID]*ringOperation{},
		unclaimed: map[causal.ClientID][]*ringEvent{},
	}
	for range servers {
		s.stay = append(s.stay, &ringSession{})
	}
	return s
}

func (s *ringSessions) session(c *client) *ringSession {
	x := s.sessions[c]
	if x == nil {
		x = &ringSession{}
		s.sessions[c] = x
	}
	return x
}

func contextOf(c *client) *ringContext {
	var x ringContext
	for _, k := range c.session.Context().Known {
		x.known = x.known.Join(k.Vector)
	}
	for _, w := range c.session.Context().Own {
		x.own = append(x.own, w.Version.Dot)
	}
	return &x
}

func (r *ringTracer) begins(c *client) {
	o := &ringOperation{id: c.request.ID}
	o.starts = &ringEvent{do: actionJoins, by: &ringSession{}, with: r.session(c), known: contextOf(c), unused: true}
	r.operations[causal.ClientID(c.index)] = o
	r.trace.add(o.starts)
}

// tookOperation fills in a step of a client's, or of the server's own.
func (r *ringTracer) tookOperation(e *ringEvent, t *causal.Transition) {
	if v := t.Version; v != nil {
		e.key, e.dot = string(v.Key), r.dotOf(v)
		e.time, e.deps = v.Stamp.Time, v.Deps
	}
	switch {
	case t.Action != causal.ActionWrite:
		e.by = r.stay[e.server]
		r.unclaimed[t.Client] = append(r.unclaimed[t.Client], e)
		return
	case t.Own:
		e.by = &ringSession{}
	default:
		o := r.operations[t.Client]
		o.write, e.by, o.starts.unused = e, o.starts.by, false
	}
	r.trace.times.note(e.time)
}

// arrives: an answer that came to an earlier attempt is lost.
func (r *ringTracer) arrives(c *client) {
	if o := r.operations[causal.ClientID(c.index)]; o != nil {
		o.answer = nil
		o.apart = o.apart || o.write != nil
	}
}

func (r *ringTracer) replied(n *node, to causal.ClientID, p *causal.Reply, awaited bool) {
	if p.Code != causal.CodeOK {
		return
	}
	steps := 1
	if p.Op == causal.OpRead || p.Op == causal.OpReadMany {
		steps = len(p.Versions)
	}
	if len(r.unclaimed[to]) < steps {
		panic(fmt.Sprintf("server %d replied to a %v and told of %d steps of %d", n.id, p.Op, len(r.unclaimed[to]), steps))
	}
	answer := r.unclaimed[to][:steps]
	r.unclaimed[to] = r.unclaimed[to][steps:]
	if o := r.operations[to]; o != nil && o.id == p.ID && awaited {
		o.answer = answer
	}
}

func (r *ringTracer) finished(c *client, versions []causal.Version) {
	o := r.operations[causal.ClientID(c.index)]
	r.gaveUp(c)
	by := r.session(c)
	if o.apart {
		by, o.starts.unused = o.starts.by, false
	} else if o.write != nil {
		o.write.by, o.starts.unused = by, true
	}
	for i, e := range o.answer {
		e.by, e.known = by, contextOf(c)
		if i < len(versions) {
			e.dot = r.dotOf(&versions[i])
		}
	}
	if o.apart {
		r.trace.add(&ringEvent{do: actionJoins, by: r.session(c), with: by, known: contextOf(c)})
	}
}

// gaveUp: what has come of the operation is by others than its session.
func (r *ringTracer) gaveUp(c *client) { delete(r.operations, causal.ClientID(c.index)) }

func (r *ringTracer) joined(c, b *client) {
	if o := r.operations[causal.ClientID(b.index)]; o != nil && (o.write != nil || o.answer != nil) {
		o.apart = true
	}
	r.trace.add(&ringEvent{do: actionJoins, by: r.session(c), with: r.session(b), known: contextOf(c)})
}
