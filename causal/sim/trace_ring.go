package sim

import (
	"math/rand/v2"
	"slices"

	"causalmesh/causal"
)

// ringServers is N of the ring's traces.
const ringServers = 3

// ringPlan is an ordinary plan without what the ring's model has no words for: reads
// beside the writer have a model of their own, and a message that comes twice on a
// link is none of its links (the core's tests have it).
func ringPlan(r *Runner, rng *rand.Rand) plan {
	p := r.planFor(ringServers, rng)
	p.cfg.Direct, p.again = false, 0
	p.cut, p.hold = p.cut+10, 400 // links are lost with something on them
	p.ops = min(p.ops, 32)        // a few hundred steps
	return p
}

// actionJoins is the one action that no server takes.
const actionJoins causal.Action = "Joins"

// ringEvent is a step of Ring.tla.
type ringEvent struct {
	do     causal.Action
	server causal.ReplicaID
	by     *ringSession
	with   *ringSession // Joins
	key    string
	dot    causal.Dot
	time   causal.Time
	deps   []causal.Dot
	mark   bool               // Send
	vector causal.VectorClock // Learn: what is learned. Resync: R as stated
	marks  causal.VectorClock // Resync: as stated
	// What must be so afterwards, nil where nothing is known or asked: of the server,
	// of the session.
	after *ringState
	known *ringContext
	// most is for mutants: what nobody states more than.
	most causal.VectorClock
	// unused: see ringOperation.
	unused bool
}

type ringState struct{ received, everywhere, stable causal.VectorClock }

type ringContext struct {
	known causal.VectorClock
	own   []causal.Dot
}

// ringSession is a session of the model; they are numbered as they appear.
type ringSession struct{ number int }

func (e *ringEvent) action() causal.Action { return e.do }

func (e *ringEvent) record(times tlaTimes) tlaRecord {
	vector := func(v causal.VectorClock) string { return tlaVector(v, ringServers) }
	var r tlaRecord
	r.put("do", tlaString(string(e.do)))
	if e.do != actionJoins {
		r.put("s", tlaInt(e.server))
	}
	if e.by != nil {
		r.put("x", tlaInt(e.by.number))
	}
	switch e.do {
	case causal.ActionRead:
		r.put("k", tlaString(e.key))
		r.put("dot", tlaDot(e.dot))
	case causal.ActionWrite:
		r.put("k", tlaString(e.key))
		r.put("dot", tlaDot(e.dot))
		r.put("time", tlaInt(times[e.time]))
		r.put("deps", tlaDots(e.deps))
	case actionJoins:
		r.put("y", tlaInt(e.with.number))
	case causal.ActionSend:
		r.put("dot", tlaDot(e.dot))
		r.put("mark", tlaBool(e.mark))
	case causal.ActionReceive, causal.ActionPassMark, causal.ActionEndFirstRound:
		r.put("dot", tlaDot(e.dot))
	case causal.ActionLearn:
		r.put("v", vector(e.vector))
	case causal.ActionResync:
		r.put("r", vector(e.vector))
		r.put("m", vector(e.marks))
	}
	if e.after != nil {
		r.put("R", vector(e.after.received))
		r.put("E", vector(e.after.everywhere))
		r.put("S", vector(e.after.stable))
	}
	if e.known != nil {
		r.put("D", vector(e.known.known))
		r.put("own", tlaDots(e.known.own))
	}
	return r
}

// ringTracer makes traces of Ring.tla. What sessions do it tells in
// trace_ring_sessions.go.
type ringTracer struct {
	deaf
	traceSet[*ringEvent]
	w     *world
	trace *ringTrace // of the present epoch
	ringSessions
}

func newRingTracer() moduleTracer { return &ringTracer{} }

func (r *ringTracer) epochBegins(w *world) {
	r.trace, r.w = r.begin(w.epoch), w
	r.ringSessions = newRingSessions(len(w.nodes))
}

func (r *ringTracer) took(n *node, t *causal.Transition) {
	e := &ringEvent{do: t.Action, server: n.id, dot: t.Dot, after: stateOf(n)}
	switch t.Action {
	case causal.ActionRead, causal.ActionSync, causal.ActionWrite:
		r.tookOperation(e, t)
	case causal.ActionSend:
		e.mark = t.Version == nil
	case causal.ActionReceive, causal.ActionPassMark, causal.ActionEndFirstRound, causal.ActionEnd:
	case causal.ActionLearn:
		e.vector = t.Vector.Clone()
		for _, n := range r.w.nodes {
			e.most = e.most.Join(n.core.Everywhere())
		}
	case causal.ActionResync:
		e.vector, e.marks = t.Vector.Clone(), t.Marks.Clone()
		e.most = r.w.nodes[t.Peer].core.Received().Clone()
	default:
		return // of another model
	}
	r.trace.add(e)
}

func stateOf(n *node) *ringState {
	return &ringState{n.core.Received().Clone(), n.core.Everywhere().Clone(), n.core.Stability().Clone()}
}

// dotOf is the name of a version in the model: what is not of this epoch is as good as
// absent.
func (r *ringTracer) dotOf(v *causal.Version) causal.Dot {
	if v.Epoch != r.trace.epoch {
		return causal.Dot{}
	}
	return v.Dot
}

func (r *ringTracer) module(name string) (string, error) {
	sessions := 0
	var keys []string
	for _, t := range r.traces {
		for _, e := range t.events {
			if k := tlaString(e.key); e.key != "" && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		t.events = slices.DeleteFunc(t.events, func(e *ringEvent) bool { return e.unused })
		sessions = max(sessions, numberSessions(t.events))
	}
	return r.traceSet.module(name, ringMutations,
		tlaDefinition{"TraceKeys", tlaSet(keys...)}, tlaDefinition{"MostSessions", tlaInt(sessions)})
}

// numberSessions numbers the sessions of a trace from 1, as they appear.
func numberSessions(events []*ringEvent) int {
	last := 0
	for _, e := range events {
		for _, x := range []*ringSession{e.by, e.with} {
			if x != nil && x.number == 0 {
				last++
				x.number = last
			}
		}
	}
	return last
}
