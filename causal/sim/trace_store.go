package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"causalmesh/causal"
)

// storeServers is N of the traces of Store.
const storeServers = 3

// storePlan is about what the model of the database below has words for: nobody else
// writes to the database, nothing expires by itself, no clock goes back, and a message
// comes once (of two answers to one miss the model has one).
func storePlan(r *Runner, rng *rand.Rand) plan {
	p := r.planFor(storeServers, rng)
	p.cfg.Store, p.cfg.Direct, p.cfg.Ack = true, false, causal.AckLocal
	p.cfg.Keys, p.cfg.names = 0, shardKeys()
	p.cfg.Limits.LoadTimeout = 10 * time.Millisecond
	p.alone, p.foreign, p.ttl, p.again = true, 0, 0, 0
	p.ops = 80 // a few hundred steps
	// What is about the database happens often.
	p.evict, p.purge, p.pause = 100+rng.IntN(200), 500, 700
	p.remove, p.many = 200+rng.IntN(200), 300
	p.dbFail, p.late = 200, 500
	for i := range p.slow {
		p.slow[i] = []int{0, 0, 20, 40}[rng.IntN(4)]
	}
	return p
}

// shardKeys are a key for each home of three which share the mark of what was evicted, so that
// what is forgotten of one makes versions of the others late, and one that does not.
var shardKeys = sync.OnceValue(func() []string {
	keys := []string{"k0", "k1"}
	homes := map[causal.ReplicaID]bool{causal.HomeOf([]byte("k0"), storeServers): true}
	for i := 2; len(homes) < storeServers; i++ {
		key := []byte("k" + strconv.Itoa(i))
		if home := causal.HomeOf(key, storeServers); causal.ShardOf(key) == causal.ShardOf([]byte("k0")) && !homes[home] {
			homes[home] = true
			keys = append(keys, string(key))
		}
	}
	return keys
})

// Actions that no server takes: the ring's, and the database's.
const (
	actionSpread       causal.Action = "Spread"
	actionRaise        causal.Action = "Raise"
	actionLookup       causal.Action = "Lookup"
	actionStoreUpwards causal.Action = "StoreUpwards"
	actionPurge        causal.Action = "Purge"
)

// storeEvent is a step of Store.tla.
type storeEvent struct {
	do        causal.Action
	server    causal.ReplicaID
	key       string
	dot       causal.Dot
	time      causal.Time
	tombstone bool
	origin    causal.ReplicaID   // Spread
	asker     causal.ReplicaID   // ServeMiss
	vector    causal.VectorClock // Raise: S. Announce: F
	stored    causal.Dot         // StoreUpwards: what the database has then
	// after is what must be so afterwards of the server, nil where nothing is asked.
	after *storeState
}

type storeState struct {
	stable  causal.VectorClock
	entries map[string]storeEntry
	// Of the keys whose home the server is: what the database may lack, and what is on
	// its way there.
	dirty    map[string]causal.Dot
	requests map[string][]causal.Dot
}

type storeEntry struct {
	dot      causal.Dot
	complete bool
}

func (e *storeEvent) action() causal.Action { return e.do }

func (e *storeEvent) record(times tlaTimes) tlaRecord {
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
		r.put("tombstone", tlaBool(e.tombstone))
	case actionSpread:
		r.put("i", tlaInt(e.origin))
	case actionRaise:
		r.put("v", tlaVector(e.vector, storeServers))
	case causal.ActionServeMiss:
		r.put("asker", tlaInt(e.asker))
		r.put("dot", tlaDot(e.dot))
	case actionLookup, causal.ActionFlush, causal.ActionRead:
		r.put("dot", tlaDot(e.dot))
	case actionStoreUpwards:
		r.put("dot", tlaDot(e.dot))
		r.put("db", tlaDot(e.stored))
	case causal.ActionAnnounce:
		r.put("F", tlaVector(e.vector, storeServers))
	}
	if s := e.after; s != nil {
		r.put("S", tlaVector(s.stable, storeServers))
		r.put("table", tlaByKey(s.entries, func(e storeEntry) string {
			return tlaTuple(tlaInt(e.dot.Origin), tlaInt(e.dot.Counter), tlaBool(e.complete))
		}))
		r.put("dirty", tlaByKey(s.dirty, tlaDot))
		r.put("requests", tlaByKey(s.requests, tlaDots))
	}
	return r
}

// storeTracer makes traces of Store.tla.
type storeTracer struct {
	deaf
	traceSet[*storeEvent]
	w     *world
	trace *storeTrace // of the present epoch
	// left is, of each trace, what earlier epochs have left in the database, one
	// version of a key.
	left       [][]*causal.Version
	everywhere causal.VectorClock
	servers    []storeServer
	// requests are flushes on their way to the database. Of several of one version the
	// first counts: when it is carried out, the others change nothing any more.
	requests map[string][]causal.Dot
}

// storeServer is what the trace has told of a server.
type storeServer struct {
	stable, flushed causal.VectorClock // S, F
	loads           map[string]*storeLoad
}

type storeLoad struct {
	id       causal.LoadID
	answered bool
}

func newStoreTracer() moduleTracer { return &storeTracer{} }

func (r *storeTracer) epochBegins(w *world) {
	r.w, r.trace = w, r.begin(w.epoch)
	r.requests = map[string][]causal.Dot{}
	r.everywhere, r.servers = make(causal.VectorClock, storeServers), nil
	for range w.nodes {
		r.servers = append(r.servers, storeServer{loads: map[string]*storeLoad{}})
	}
	var left []*causal.Version
	for _, key := range w.keys {
		if stored := w.db.records[key]; stored != nil {
			left = append(left, stored.flushed)
			r.trace.times.note(stored.flushed.Stamp.Time)
		}
	}
	r.left = append(r.left, left)
	for i := 0; len(r.trace.times) < len(w.keys); i++ {
		// So many times are those of earlier epochs: OldTime in the model.
		r.trace.times.note(causal.Time(i))
	}
}

// dotOf is the name of a version in the model: what is of an earlier epoch is of the
// origin after the last one.
func (r *storeTracer) dotOf(v *causal.Version) causal.Dot {
	if v.Absent() || v.Epoch == r.trace.epoch {
		return v.Dot
	}
	for i, left := range r.left[len(r.left)-1] {
		if left.Stamp == v.Stamp && string(left.Key) == string(v.Key) {
			return causal.Dot{Origin: storeServers, Counter: causal.Counter(i + 1)}
		}
	}
	panic(fmt.Sprintf("%s of epoch %d and stamp %v was not in the database", v.Key, v.Epoch, v.Stamp))
}

// add tells of a step, which has led to the present state of the server.
func (r *storeTracer) add(n *node, e storeEvent) {
	e.server, e.after = n.id, r.stateOf(n)
	if e.do == causal.ActionEvict { // it is still there
		e.after.entries[e.key] = storeEntry{}
	}
	r.trace.add(&e)
}

func (r *storeTracer) stateOf(n *node) *storeState {
	s := &storeState{
		stable: r.servers[n.id].stable, entries: map[string]storeEntry{},
		dirty: map[string]causal.Dot{}, requests: map[string][]causal.Dot{},
	}
	for _, key := range r.w.keys {
		var v causal.Version
		p := n.table.Get([]byte(key), &v)
		s.entries[key] = storeEntry{r.dotOf(&v), p == causal.Complete}
		if causal.HomeOf([]byte(key), storeServers) != n.id {
			continue
		}
		s.dirty[key], _ = n.core.Dirty([]byte(key))
		s.requests[key] = slices.Clone(r.requests[key])
	}
	return s
}

func (r *storeTracer) took(n *node, t *causal.Transition) {
	key := string(t.Key)
	if t.Version != nil {
		key = string(t.Version.Key)
	}
	switch t.Action {
	case causal.ActionReceive:
		r.spread(n)
	case causal.ActionLearn, causal.ActionEnd:
		r.raised(n, n.core.Stability())
	case causal.ActionWrite:
		v := t.Version
		r.trace.times.note(v.Stamp.Time)
		r.add(n, storeEvent{do: t.Action, key: key, dot: v.Dot, time: v.Stamp.Time, tombstone: v.Tombstone})
	case causal.ActionRead:
		r.add(n, storeEvent{do: t.Action, key: key, dot: r.dotOf(t.Version)})
	case causal.ActionEvict:
		r.add(n, storeEvent{do: t.Action, key: key})
	case causal.ActionMiss, causal.ActionServeMiss, causal.ActionInstallMiss, causal.ActionLoaded, causal.ActionLoadFails:
		r.tookLoad(n, t)
	case causal.ActionFlush:
		r.requests[key] = withDot(r.requests[key], t.Version.Dot)
		r.add(n, storeEvent{do: t.Action, key: key, dot: t.Version.Dot})
	case causal.ActionFlushed, causal.ActionFlushFails:
		r.add(n, storeEvent{do: t.Action, key: key})
	case causal.ActionAnnounce:
		if s := &r.servers[n.id]; !t.Vector.AtMost(s.flushed) { // else it says the same again
			s.flushed = t.Vector.Clone()
			r.add(n, storeEvent{do: t.Action, vector: s.flushed})
		}
	}
}

// spread: a server has received something, and may have been the last to do so.
func (r *storeTracer) spread(n *node) {
	for i := range r.everywhere {
		least := n.core.Received()[i]
		for _, o := range r.w.nodes {
			least = min(least, o.core.Received()[i])
		}
		for ; r.everywhere[i] < least; r.everywhere[i]++ {
			r.trace.add(&storeEvent{do: actionSpread, server: n.id, origin: causal.ReplicaID(i)})
		}
	}
}

// raised: S has risen to v.
func (r *storeTracer) raised(n *node, v causal.VectorClock) {
	if s := &r.servers[n.id]; !v.AtMost(s.stable) {
		s.stable = v.Clone()
		r.add(n, storeEvent{do: actionRaise, vector: s.stable})
	}
}

// risen is how far S has risen in the middle of a step: the server goes through the
// versions that S newly covers origin by origin, and stands at the one that it has
// just put.
func (r *storeTracer) risen(n *node, key []byte) causal.VectorClock {
	told, now := r.servers[n.id].stable, n.core.Stability()
	if now.AtMost(told) {
		return told
	}
	var at causal.Version
	n.table.Get(key, &at)
	v := told.Clone().Join(make(causal.VectorClock, storeServers))
	copy(v[:at.Dot.Origin], now)
	v[at.Dot.Origin] = at.Dot.Counter
	return v
}

// tookLoad leaves out what becomes of loads that were given up: the model does not know
// them any more.
func (r *storeTracer) tookLoad(n *node, t *causal.Transition) {
	e := storeEvent{do: t.Action, key: string(t.Key)}
	loads := r.servers[n.id].loads
	switch t.Action {
	case causal.ActionMiss:
		r.raised(n, r.risen(n, t.Key))
		loads[e.key] = &storeLoad{id: t.Load}
	case causal.ActionServeMiss:
		l := r.servers[t.Peer].loads[e.key]
		if l == nil || l.id != t.Load {
			return
		}
		l.answered = true
		e.asker, e.dot = t.Peer, r.dotOf(t.Version)
	default:
		delete(loads, e.key)
	}
	r.add(n, e)
}

func (r *storeTracer) lookedUp(q *dbRequest) {
	key := string(q.loaded.Key)
	if l := r.servers[q.node.id].loads[key]; l != nil && l.id == q.loaded.ID {
		l.answered = true
		r.add(q.node, storeEvent{do: actionLookup, key: key, dot: r.dotOf(&q.loaded.Version)})
	}
}

func (r *storeTracer) stored(q *dbRequest, result *causal.FlushResult) {
	if result.Status != causal.FlushDone && result.Status != causal.FlushSuperseded {
		panic(fmt.Sprintf("a flush of %s came to %d, of which Store knows nothing", result.Key, result.Status))
	}
	key, dot := string(result.Key), q.flush.Version.Dot
	if !slices.Contains(r.requests[key], dot) {
		return
	}
	r.requests[key] = withoutDot(r.requests[key], dot)
	r.add(q.node, storeEvent{do: actionStoreUpwards, key: key, dot: dot, stored: r.dotOf(r.w.db.records[key].flushed)})
}

// answers: a flush that the database was never given is not on its way any more,
// unless it is on its way twice.
func (r *storeTracer) answers(q *dbRequest, _ bool) {
	if q.flush == nil {
		return
	}
	again := func(o dbRequest) bool { return o.flush != nil && o.flush.Version == q.flush.Version }
	if !slices.ContainsFunc(r.w.dbQueue, again) {
		key := string(q.flush.Version.Key)
		r.requests[key] = withoutDot(r.requests[key], q.flush.Version.Dot)
	}
}

func (r *storeTracer) purged(key string) {
	home := r.w.nodes[causal.HomeOf([]byte(key), storeServers)]
	r.add(home, storeEvent{do: actionPurge, key: key})
}

func withDot(dots []causal.Dot, d causal.Dot) []causal.Dot {
	if slices.Contains(dots, d) {
		return dots
	}
	return append(slices.Clone(dots), d)
}

func withoutDot(dots []causal.Dot, d causal.Dot) []causal.Dot {
	return slices.DeleteFunc(slices.Clone(dots), func(o causal.Dot) bool { return o == d })
}

func (r *storeTracer) module(name string) (string, error) {
	var left []string
	for i, versions := range r.left {
		t := r.traces[i]
		t.times.rank()
		var list []string
		for _, v := range versions {
			var l tlaRecord
			l.put("key", tlaString(string(v.Key)))
			l.put("time", tlaInt(t.times[v.Stamp.Time]))
			l.put("tombstone", tlaBool(v.Tombstone))
			list = append(list, l.String())
		}
		left = append(left, tlaTuple(list...))
	}
	homes, shards := map[string]int{}, map[string]int{}
	var keys []string
	for _, k := range shardKeys() {
		keys = append(keys, tlaString(k))
		homes[k], shards[k] = int(causal.HomeOf([]byte(k), storeServers)), causal.ShardOf([]byte(k))
	}
	return r.traceSet.module(name, storeMutations,
		tlaDefinition{"TraceKeys", tlaSet(keys...)},
		tlaDefinition{"HomeOf", tlaByKey(homes, tlaInt[int])},
		tlaDefinition{"ShardOf", tlaByKey(shards, tlaInt[int])},
		tlaDefinition{"Left", tlaLines(left)})
}

// tlaByKey is a function from keys, which have to be names in TLA+.
func tlaByKey[T any](m map[string]T, spell func(T) string) string {
	if len(m) == 0 {
		return tlaTuple() // there is no record without a field
	}
	var r tlaRecord
	for _, k := range slices.Sorted(maps.Keys(m)) {
		r.put(k, spell(m[k]))
	}
	return r.String()
}
