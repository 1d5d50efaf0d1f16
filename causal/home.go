package causal

import (
	"fmt"
	"slices"

	"causalmesh/causal/internal/defect"
)

// Loads: what is not cached comes from the key's home server, and the home has
// it from the database. A miss never blocks: the request is parked until all of
// its keys are complete, and then carried out in one step.

// shards of the guard against late versions; more shards mean fewer loads that
// only confirm what was there.
const shards = 256

// homeState is what a server knows beside the table about keys and the database.
type homeState struct {
	loads  map[string]*load
	order  []*load // by start, so by time-out
	lastID LoadID
	pinned map[string]int // keys of parked requests
	parked int            // requests
	// parkedKeys counts their keys, which are copies.
	parkedKeys int
	// imports holds keys whose foreign content was imported and is not overwritten
	// in the database yet.
	imports map[string]*foreignImport
	// settled are imports that have just become visible.
	settled fifo[*Version]
	// below are writes that have just become visible below what the database has
	// kept from an earlier epoch: see reissue.
	below fifo[*Version]
	// evicted is the highest stamp that was evicted, per shard.
	evicted [shards]Stamp
	// absent says in which shards a key was found absent in this epoch, or is deleted,
	// or will expire, and so leaves nothing in the database one day. A value that another
	// program puts there later is news to those who were told so.
	absent     [shards]bool
	evictAfter Time

	flush flushState
}

func newHomeState(n int) homeState {
	return homeState{
		loads: map[string]*load{}, pinned: map[string]int{}, imports: map[string]*foreignImport{},
		flush: newFlushState(n),
	}
}

// load is one flight for one key, with everyone who waits for it.
type load struct {
	id      LoadID
	key     []byte
	knew    VectorClock // S when the home was asked, which knows as much when it answers
	until   Time        // it fails if it is not done by then
	done    bool
	waiters []*parked
	remote  []remoteWaiter
}

type remoteWaiter struct {
	peer ReplicaID
	load LoadID
}

// parked is a read that waits for loads.
type parked struct {
	client   ClientID
	token    Token
	id       RequestID
	op       Op
	time     Time
	keys     [][]byte
	missing  int
	failed   bool
	versions []Version // of the defect PiecemealReadMany only
}

// KeyHash is the hash of a key that says where it belongs. It is the same everywhere, and no
// secret.
func KeyHash(key []byte) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range key {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h ^ h>>32
}

// ShardOf returns the part of the keys that share a mark of what was evicted with key.
func ShardOf(key []byte) int { return int(KeyHash(key) >> 8 % shards) }

// HomeOf returns the server, of n, that alone reads key from the database and
// writes it there.
func HomeOf(key []byte, n int) ReplicaID { return ReplicaID(KeyHash(key) % uint64(n)) }

func (s *Server) homeOf(key []byte) ReplicaID { return HomeOf(key, s.cfg.Replicas) }

// park makes a read wait until all of its keys are complete. Its keys stay
// pinned until then, so that all can be taken in one step.
func (s *Server) park(client ClientID, r *Request, out *Output) {
	h := &s.home
	if h.parkedKeys+len(r.Keys) > s.cfg.Limits.Waiters || len(h.loads)+len(r.Keys) > s.cfg.Limits.Loads {
		s.refuse(client, r, CodeOverloaded, "too many reads wait for the database", out)
		return
	}
	p := &parked{client: client, token: s.token, id: r.ID, op: r.Op, time: r.Time}
	h.parked++
	h.parkedKeys += len(r.Keys)
	for _, k := range r.Keys {
		key := append([]byte(nil), k...)
		p.keys = append(p.keys, key)
		h.pinned[string(key)]++
	}
	if s.defects.Has(defect.PiecemealReadMany) {
		p.versions = make([]Version, len(p.keys))
	}
	// Count first: a load that fails at once must not finish p half-way.
	p.missing = 1
	for i, key := range p.keys {
		var v Version
		if s.table.Get(key, &v) != Complete {
			p.missing++
			s.startLoad(key, p, nil, out)
		} else if p.versions != nil {
			p.versions[i] = v
		}
	}
	s.unpark(p, out)
}

// startLoad joins the key's load, or starts one. Model: Miss.
func (s *Server) startLoad(key []byte, w *parked, remote *remoteWaiter, out *Output) {
	h := &s.home
	l := h.loads[string(key)]
	fresh := l == nil
	if fresh {
		h.lastID++
		l = &load{id: h.lastID, key: append([]byte(nil), key...), knew: s.stable.Clone(), until: s.now.Add(s.cfg.Limits.LoadTimeout)}
		h.loads[string(key)] = l
		h.order = append(h.order, l)
		s.counters.Loads++
		s.took(Transition{Action: ActionMiss, Key: l.key, Load: l.id})
	}
	if w != nil {
		l.waiters = append(l.waiters, w)
	}
	if remote != nil {
		l.remote = append(l.remote, *remote)
	}
	if !fresh {
		s.counters.LoadsShared++
		return
	}
	switch home := s.homeOf(key); {
	case home == s.cfg.Self:
		out.Loads = append(out.Loads, LoadRequest{ID: l.id, Key: l.key})
	case !s.up[home]:
		s.failLoad(l, fmt.Sprintf("server %d, the key's home, is not reachable", home), out)
	default:
		out.Messages = append(out.Messages, Envelope{To: home, Message: Message{
			Kind: MessageMiss, Epoch: s.cfg.Epoch, Time: s.hybrid(), Everywhere: s.everywhere, Load: l.id, Key: l.key,
		}})
	}
}

// miss answers another server's miss from the C-cache, or loads.
func (s *Server) miss(from ReplicaID, m *Message, out *Output) error {
	if len(m.Key) == 0 || len(m.Key) > s.cfg.Limits.KeyBytes || s.homeOf(m.Key) != s.cfg.Self || !s.cfg.Store {
		return fmt.Errorf("%w: asks for a key whose home is elsewhere", ErrPeer)
	}
	s.counters.Misses++
	var v Version
	if s.table.Get(m.Key, &v) == Complete {
		s.answerMiss(remoteWaiter{from, m.Load}, m.Key, &v, CodeOK, out)
		return nil
	}
	l := s.home.loads[string(m.Key)]
	if l == nil && len(s.home.loads) >= s.cfg.Limits.Loads || l != nil && len(l.remote) >= s.cfg.Limits.Loads {
		s.answerMiss(remoteWaiter{from, m.Load}, m.Key, nil, CodeOverloaded, out)
		return nil
	}
	s.startLoad(m.Key, nil, &remoteWaiter{from, m.Load}, out)
	return nil
}

// answerMiss replies to a miss with v, or says why not. Model: ServeMiss.
func (s *Server) answerMiss(w remoteWaiter, key []byte, v *Version, code Code, out *Output) {
	m := Message{
		Kind: MessageMissReply, Epoch: s.cfg.Epoch, Time: s.hybrid(), Everywhere: s.everywhere,
		Load: w.load, Key: key, Code: code,
	}
	if v != nil {
		m.Version = *v
		m.Version.Deps = nil // it is visible; what it depends on is, too
		s.took(Transition{Action: ActionServeMiss, Peer: w.peer, Key: key, Load: w.load, Version: &m.Version})
	}
	out.Messages = append(out.Messages, Envelope{To: w.peer, Message: m})
}

// missReply merges what the home had. The home's E was learned before.
// Model: InstallMiss.
func (s *Server) missReply(from ReplicaID, m *Message, out *Output) error {
	if len(m.Key) == 0 || len(m.Key) > s.cfg.Limits.KeyBytes || s.homeOf(m.Key) != from {
		return fmt.Errorf("%w: answers for a key whose home is elsewhere", ErrPeer)
	}
	l := s.home.loads[string(m.Key)]
	if l == nil || l.id != m.Load {
		return nil // timed out here; something newer may have been evicted since
	}
	if m.Code != CodeOK {
		s.failLoad(l, fmt.Sprintf("server %d, the key's home: %v", from, m.Code), out)
		return nil
	}
	v := m.Version
	if err := s.checkLoaded(&v); err != nil {
		s.failLoad(l, err.Error(), out)
		return fmt.Errorf("%w: %w", ErrPeer, err)
	}
	v.Key = l.key
	s.completeLoad(l, &v, out)
	return nil
}

// checkLoaded refuses a stored version that this cluster cannot have written.
func (s *Server) checkLoaded(v *Version) error {
	switch {
	case v.Epoch > s.cfg.Epoch:
		return fmt.Errorf("%w: version of epoch %d, here %d", ErrEpoch, v.Epoch, s.cfg.Epoch)
	case v.Tombstone && s.peerTooFarAhead(v.Deadline):
		return fmt.Errorf("%w: expired at %d", ErrClock, v.Deadline)
	case !s.visible(v) && !s.defects.Has(defect.InstallUnadopted):
		return fmt.Errorf("%w: dot %v is not stable (S=%v)", ErrBadRequest, v.Dot, s.stable)
	}
	return s.checkFound(v)
}

// loaded takes the database's answer at the key's home. Model: Loaded.
func (s *Server) loaded(r *LoadResult, out *Output) error {
	l := s.home.loads[string(r.Key)]
	if l == nil || l.id != r.ID {
		return nil
	}
	v := r.Version
	v.Key = l.key
	switch r.Status {
	case LoadFailed:
		s.failLoad(l, "the database did not answer", out)
		return nil
	case LoadAbsent:
		v = Version{Key: l.key}
	}
	if err := s.checkLoaded(&v); err != nil {
		// A later epoch in one record may be damage: only the fence itself, which
		// flushes meet, can say that the database belongs to another life.
		s.counters.StoreErrors++
		s.failLoad(l, err.Error(), out)
		return fmt.Errorf("database, key %q: %w", l.key, err)
	}
	s.clock = max(s.clock, v.Stamp.Time)
	shard := ShardOf(l.key)
	if r.Status == LoadForeign || v.Stamp == ForeignStamp && s.home.absent[shard] {
		s.importForeign(l.key, &v, out)
		return nil // done when the import is visible
	}
	s.home.absent[shard] = s.home.absent[shard] || v.Absent() || v.fades()
	s.completeLoad(l, &v, out)
	return nil
}

// completeLoad merges what was loaded with what arrived meanwhile; everyone who
// waits is answered from the merged entry.
func (s *Server) completeLoad(l *load, v *Version, out *Output) {
	s.clock = max(s.clock, v.Stamp.Time)
	if v.Tombstone {
		// Where the database's clock, or the home's, has called it expired, it is so
		// here: hybrid time is past the deadline.
		s.clock = max(s.clock, v.Deadline)
	}
	var old Version
	if p := s.table.Get(l.key, &old); p == Missing || old.Stamp.Less(v.Stamp) || p == Incomplete && s.outdated(&old, l) {
		s.put(v, Complete)
		if d := s.home.flush.dirty.get(l.key); d != nil && d.is(&old) && v.Epoch < s.cfg.Epoch && old.Stamp.Less(v.Stamp) {
			s.reissue(&old, out)
		}
	} else if p == Incomplete {
		s.put(&old, Complete)
	}
	s.settleFlush(l.key)
	s.endLoad(l)
	s.tookLoad(l)
	for _, w := range l.remote {
		var merged Version
		s.table.Get(l.key, &merged)
		s.answerMiss(w, l.key, &merged, CodeOK, out)
	}
	for _, w := range l.waiters {
		if w.versions != nil {
			s.takePiece(w, l.key)
		}
		s.unpark(w, out)
	}
}

// outdated reports whether an incomplete version gives way to the home's answer even
// where that is lower. The home knew the version when it answered; what beat it can
// have been a tombstone that is gone by now, its grace being over.
func (s *Server) outdated(v *Version, l *load) bool {
	return s.homeOf(l.key) != s.cfg.Self && !s.defects.Has(defect.AnswerByStamp) && (v.Epoch != s.cfg.Epoch || l.knew.Covers(v.Dot))
}

func (s *Server) tookLoad(l *load) {
	action := ActionInstallMiss
	if s.homeOf(l.key) == s.cfg.Self {
		action = ActionLoaded
	}
	s.took(Transition{Action: action, Key: l.key, Load: l.id})
}

// failLoad tells all who wait that there is no answer. Model: LoadFails.
func (s *Server) failLoad(l *load, detail string, out *Output) {
	s.endLoad(l)
	s.counters.LoadErrors++
	s.took(Transition{Action: ActionLoadFails, Key: l.key, Load: l.id})
	if f := &s.home.flush; f.dirty.get(l.key) != nil {
		f.paused = s.now.Add(s.cfg.FlushRetry)
		f.incomplete = append(f.incomplete, string(l.key))
	}
	for _, w := range l.remote {
		s.answerMiss(w, l.key, nil, CodeUnavailable, out)
	}
	for _, w := range l.waiters {
		if s.defects.Has(defect.AssumePreloaded) {
			s.table.Put(&Version{Key: l.key}, Complete)
		} else if !w.failed {
			w.failed = true
			s.token = w.token
			s.reply(w.client, Reply{ID: w.id, Op: w.op, Code: CodeUnavailable, Detail: detail}, out)
		}
		s.unpark(w, out)
	}
}

func (s *Server) endLoad(l *load) {
	l.done = true
	delete(s.home.loads, string(l.key))
	if len(s.home.order) > 64+2*len(s.home.loads) {
		s.home.order = slices.DeleteFunc(s.home.order, func(l *load) bool { return l.done })
	}
}

// unpark counts down and answers a parked read once nothing is missing.
func (s *Server) unpark(p *parked, out *Output) {
	if p.missing--; p.missing > 0 {
		return
	}
	s.home.parked--
	s.home.parkedKeys -= len(p.keys)
	if !p.failed {
		s.token = p.token
		s.answerRead(p.client, p.id, p.op, p.time, p.keys, p.versions, out)
	}
	for _, key := range p.keys {
		if s.home.pinned[string(key)]--; s.home.pinned[string(key)] == 0 {
			delete(s.home.pinned, string(key))
		}
	}
}

func (s *Server) takePiece(p *parked, key []byte) {
	for i := range p.keys {
		if string(p.keys[i]) == string(key) {
			s.table.Get(key, &p.versions[i])
		}
	}
}

// expireLoads fails what has waited for too long.
func (s *Server) expireLoads(out *Output) {
	for len(s.home.order) > 0 && (s.home.order[0].done || s.home.order[0].until <= s.now) {
		l := s.home.order[0]
		if l.done {
			s.home.order[0] = nil
			s.home.order = s.home.order[1:]
			continue
		}
		s.failLoad(l, "timed out", out)
	}
}

// failLoadsFrom fails the loads that wait for a home which cannot answer.
func (s *Server) failLoadsFrom(home ReplicaID, out *Output) {
	var lost []*load
	for _, l := range s.home.order {
		if !l.done && home != s.cfg.Self && s.homeOf(l.key) == home {
			lost = append(lost, l)
		}
	}
	for _, l := range lost {
		s.failLoad(l, fmt.Sprintf("the link to server %d, the key's home, is lost", home), out)
	}
}
