package sim

import (
	"math/rand/v2"
	"slices"

	"causalmesh/causal"
)

// readerServers is N of the traces of Reader.
const readerServers = 3

// readerPlan is about what the model of readers beside the writer has words for: there
// is one life of the cluster, nobody else writes to the database and it keeps its
// tombstones, nothing expires.
func readerPlan(r *Runner, rng *rand.Rand) plan {
	p := r.planFor(readerServers, rng)
	p.cfg.Store, p.cfg.Direct = true, true
	p.cfg.Keys, p.cfg.names = 0, shardKeys()
	p.alone, p.foreign, p.ttl, p.restart = true, 0, 0, 0
	p.ops = 80 // a hundred or two steps at each server
	// What is about the table happens often.
	p.evict, p.remove, p.many, p.stay, p.pause = 50+rng.IntN(200), 200, 800, 500, 700
	for i := range p.slow {
		p.slow[i] = []int{0, 0, 20, 40}[rng.IntN(4)]
	}
	return p
}

// Actions of the writer's single steps, and of a reader that finds a slot open.
const (
	actionBegin          causal.Action = "Begin"
	actionPut            causal.Action = "Put"
	actionLoad           causal.Action = "Load"
	actionPublish        causal.Action = "Publish"
	actionDirectLoadS    causal.Action = "DirectLoadS"
	actionDirectReadSlot causal.Action = "DirectReadSlot"
	actionGiveUp         causal.Action = "GiveUp"
)

// readerEvent is a step of Reader.tla.
type readerEvent struct {
	do     causal.Action
	server causal.ReplicaID
	key    string
	dot    causal.Dot // DirectReadSlot: what is found
	time   causal.Time
	vector causal.VectorClock // Begin: S. DirectLoadS: D
	keys   []string           // DirectLoadS
	// What must be so afterwards, nil where nothing is asked: of the table as others see
	// it, of the reader.
	table *readerTable
	read  *readerRead
}

type readerTable struct {
	slots     map[string]causal.Dot
	published causal.VectorClock
}

type readerRead struct {
	stage  string
	stable causal.VectorClock
	got    map[string]causal.Dot
}

// Stages of a reader in the model.
const (
	readerIdle    = "idle"
	readerReading = "reading"
	readerDone    = "done"
)

// noDot is what the model has where nothing can be read.
var noDot = causal.Dot{Origin: readerServers}

func (e *readerEvent) action() causal.Action { return e.do }

func (e *readerEvent) record(times tlaTimes) tlaRecord {
	var r tlaRecord
	r.put("do", tlaString(string(e.do)))
	r.put("s", tlaInt(e.server))
	if e.key != "" {
		r.put("k", tlaString(e.key))
	}
	switch e.do {
	case causal.ActionWrite:
		r.put("dot", tlaDot(e.dot))
		r.put("time", tlaInt(times[e.time]))
	case actionPut, actionDirectReadSlot:
		r.put("dot", tlaDot(e.dot))
	case actionBegin:
		r.put("v", tlaVector(e.vector, readerServers))
	case actionDirectLoadS:
		r.put("D", tlaVector(e.vector, readerServers))
		keys := make([]string, len(e.keys))
		for i, k := range e.keys {
			keys[i] = tlaString(k)
		}
		r.put("keys", tlaSet(keys...))
	}
	if t := e.table; t != nil {
		r.put("slot", tlaByKey(t.slots, tlaDot))
		r.put("published", tlaVector(t.published, readerServers))
	}
	if d := e.read; d != nil {
		r.put("stage", tlaString(d.stage))
		if d.stage != readerIdle {
			r.put("S", tlaVector(d.stable, readerServers))
			r.put("got", tlaByKey(d.got, tlaDot))
		}
	}
	return r
}

// readerTracer makes traces of Reader.tla: one for each server's table.
//
// In a trace versions are written when S of this server comes to cover them: before,
// nobody can tell from the table. In the model a load is part of a step that has a new
// S, or the old one again: the answer to one that brings nothing new makes a step of
// its own. And one reader at a time is followed: of those that begin while another one
// reads the same table nothing is told.
type readerTracer struct {
	deaf
	traceSet[*readerEvent]
	keys     []string
	versions map[causal.Dot]*causal.Version
	servers  []readerServer
}

// readerServer is what the trace of a server has told.
type readerServer struct {
	trace  *readerTrace
	stable causal.VectorClock // S
	// In a step: the versions that have still to be put.
	working bool
	todo    []causal.Dot
	table   *readerTable
	reads   map[*client]*readerProgress
	follows *client
}

// readerProgress is how far a direct read is.
type readerProgress struct {
	loaded bool // S
	read   int  // slots
}

func newReaderTracer() moduleTracer { return &readerTracer{} }

func (r *readerTracer) epochBegins(w *world) {
	r.keys, r.versions, r.servers = w.keys, map[causal.Dot]*causal.Version{}, nil
	for range w.nodes {
		r.servers = append(r.servers, readerServer{
			trace: r.begin(w.epoch), stable: make(causal.VectorClock, readerServers), reads: map[*client]*readerProgress{},
		})
	}
	for i := range r.servers {
		r.servers[i].table = r.tableOf(w.nodes[i])
	}
}

func (r *readerTracer) took(_ *node, t *causal.Transition) {
	if t.Action == causal.ActionWrite {
		r.versions[t.Version.Dot] = t.Version.Clone()
	}
}

func (r *readerTracer) tableOf(n *node) *readerTable {
	t := &readerTable{map[string]causal.Dot{}, n.table.view.stable.Vector.Clone()}
	for _, k := range r.keys {
		t.slots[k] = dotIn(n, k)
	}
	return t
}

// dotIn is what can be read of a key; if its slot is just being written, what could be
// before: whoever finds it open turns away.
func dotIn(n *node, key string) causal.Dot {
	if s, ok := n.table.view.slots[key]; ok && s.presence == causal.Complete {
		return s.version.Dot
	}
	return noDot
}

// add tells of a step that the writer has just shown.
func (r *readerTracer) add(n *node, e readerEvent) {
	s := &r.servers[n.id]
	s.table = r.tableOf(n)
	e.server, e.table = n.id, s.table
	s.trace.add(&e)
}

// quietly tells of a step that changes nothing that others see.
func (r *readerTracer) quietly(n *node, e readerEvent) {
	s := &r.servers[n.id]
	e.server = n.id
	s.trace.add(&e)
}

func (r *readerTracer) shown(n *node, step *tableStep) {
	s := &r.servers[n.id]
	switch step.kind {
	case stepPut:
		d := step.slot.version.Dot
		r.stepBegins(n)
		if i := slices.Index(s.todo, d); i >= 0 {
			s.todo = slices.Delete(s.todo, i, i+1)
			r.add(n, readerEvent{do: actionPut, key: step.key, dot: d})
			return
		}
		fresh := !n.table.view.stable.Vector.Equal(s.stable)
		r.putRest(n)
		r.add(n, readerEvent{do: actionLoad, key: step.key})
		if !fresh {
			r.stepEnds(n)
		}
	case stepRemove:
		r.putRest(n)
		if s.table.slots[step.key] != noDot {
			r.add(n, readerEvent{do: causal.ActionEvict, key: step.key})
		}
	case stepPublish:
		r.stepBegins(n)
		r.putRest(n)
		r.stepEnds(n)
	}
}

// stepBegins: the writer goes for the S that it has now.
func (r *readerTracer) stepBegins(n *node) {
	s := &r.servers[n.id]
	if s.working {
		return
	}
	now := n.core.Stability().Clone()
	for i := range now {
		for c := s.stable[i] + 1; c <= now[i]; c++ {
			d := causal.Dot{Origin: causal.ReplicaID(i), Counter: c}
			v := r.versions[d]
			s.trace.times.note(v.Stamp.Time)
			s.todo = append(s.todo, d)
			r.quietly(n, readerEvent{do: causal.ActionWrite, key: string(v.Key), dot: d, time: v.Stamp.Time})
		}
	}
	s.working, s.stable = true, now
	r.quietly(n, readerEvent{do: actionBegin, vector: now})
}

// putRest: what S newly covers and was not put is below something that was. It is told
// when the next thing is already in view.
func (r *readerTracer) putRest(n *node) {
	s := &r.servers[n.id]
	for _, d := range s.todo {
		s.trace.add(&readerEvent{do: actionPut, server: n.id, key: string(r.versions[d].Key), dot: d, table: s.table})
	}
	s.todo = nil
}

func (r *readerTracer) stepEnds(n *node) {
	r.servers[n.id].working = false
	r.add(n, readerEvent{do: actionPublish})
}

func (r *readerTracer) readBeside(c *client, outcome causal.DirectOutcome) {
	s := &r.servers[c.node.id]
	p := s.reads[c]
	if p == nil {
		p = &readerProgress{}
		s.reads[c] = p
		if s.follows == nil {
			s.follows = c
		}
	}
	e := p.step(c, outcome)
	if e != nil && s.follows == c {
		e.server = c.node.id
		s.trace.add(e)
	}
	if outcome == causal.DirectAgain {
		return
	}
	delete(s.reads, c)
	if s.follows == c {
		s.follows = nil
	}
}

// step is what a direct read has just done, nil if it had to turn away before it began.
func (p *readerProgress) step(c *client, outcome causal.DirectOutcome) *readerEvent {
	d := c.direct
	e := &readerEvent{read: &readerRead{stage: readerIdle, stable: d.Stability.Vector.Clone(), got: map[string]causal.Dot{}}}
	if !p.loaded {
		if outcome == causal.DirectFallback {
			return nil
		}
		p.loaded, p.read = true, 0
		e.do, e.read.stage = actionDirectLoadS, readerReading
		for _, k := range d.Known {
			e.vector = e.vector.Join(k.Vector)
		}
		for _, k := range d.Keys {
			e.keys = append(e.keys, string(k))
		}
		return e
	}
	e.do, e.key = actionDirectReadSlot, string(d.Keys[p.read])
	if c.node.table.view.slots[e.key].open {
		e.do = actionGiveUp
		return e
	}
	e.dot = dotIn(c.node, e.key)
	if len(d.Versions) == p.read { // nothing there, or too new
		p.loaded = false
		return e
	}
	p.read++
	e.read.stage = readerReading
	if outcome == causal.DirectDone {
		e.read.stage = readerDone
	}
	for i, v := range d.Versions {
		e.read.got[string(d.Keys[i])] = v.Dot
	}
	return e
}

func (r *readerTracer) module(name string) (string, error) {
	shards := map[string]int{}
	var keys []string
	for _, k := range shardKeys() {
		keys = append(keys, tlaString(k))
		shards[k] = causal.ShardOf([]byte(k))
	}
	return r.traceSet.module(name, readerMutations,
		tlaDefinition{"TraceKeys", tlaSet(keys...)},
		tlaDefinition{"ShardOf", tlaByKey(shards, tlaInt[int])})
}
