package causal

import "fmt"

// Write-behind: a home flushes the stable versions of its keys to the database,
// only the newest of each, and announces how far it has come.

// flushState is a home's list of what the database lacks.
type flushState struct {
	dirty dirtySet
	queue fifo[*dirtyKey] // to flush, oldest first
	// unflushed holds, per origin, the dots of dirty versions in counter order. An
	// entry whose version is not the dirty one of its key any more is done.
	unflushed [][]unflushedDot
	// incomplete are dirty keys that need a load first.
	incomplete []string
	inFlight   int
	paused     Time // nothing is begun before: the last flush or load failed
	due        Time // nothing is begun before, unless a lot waits; 0 if nothing does
	// flushed is F of every home: its keys' versions with dots ≤ F are in the
	// database, or superseded at the home.
	flushed     []VectorClock
	announced   VectorClock
	announcedAt Time
}

// unflushedDot is a version that was dirty; key tells whether it still is.
type unflushedDot struct {
	counter Counter
	key     *dirtyKey
}

// foreignImport is a value of another program that became a write of ours.
type foreignImport struct {
	found Version
	dot   Dot // of the import
}

func newFlushState(n int) flushState {
	f := flushState{dirty: newDirtySet(), unflushed: make([][]unflushedDot, n), announced: make(VectorClock, n)}
	for range n {
		f.flushed = append(f.flushed, make(VectorClock, n))
	}
	return f
}

// markDirty notes that v, just installed, is what the database should hold.
func (s *Server) markDirty(v *Version, p Presence, out *Output) {
	f := &s.home.flush
	d := f.dirty.get(v.Key)
	if d == nil {
		d = f.dirty.add(v.Key)
	}
	d.version, d.ready = v.receipt(), p == Complete
	if v.fades() {
		s.home.absent[ShardOf(v.Key)] = true
	}
	i := v.Dot.Origin
	f.unflushed[i] = append(f.unflushed[i], unflushedDot{v.Dot.Counter, d})
	if len(f.unflushed[i]) > 64+2*f.dirty.len() {
		f.compact(i)
	}
	if !d.ready {
		s.loadDirty(d.key, out)
	}
	f.enqueue(d)
}

// loadDirty starts the load that an incomplete dirty key needs before it can be
// flushed, now or, if there are too many or the last one failed, later.
func (s *Server) loadDirty(key []byte, out *Output) {
	f := &s.home.flush
	if len(s.home.loads) >= s.cfg.Limits.Loads || s.now < f.paused {
		f.incomplete = append(f.incomplete, string(key))
		return
	}
	s.startLoad(key, nil, nil, out)
}

// loadIncomplete takes up what loadDirty has put off.
func (s *Server) loadIncomplete(out *Output) {
	f := &s.home.flush
	later := f.incomplete
	f.incomplete = nil
	for _, key := range later {
		if d := f.dirty.get([]byte(key)); d != nil && !d.ready {
			s.loadDirty(d.key, out)
		}
	}
}

// clean takes d out. A list that has been long gives its memory back once it is empty:
// neither maps nor queues do so by themselves.
func (f *flushState) clean(d *dirtyKey) {
	f.dirty.remove(d)
	if f.dirty.len() == 0 && f.dirty.most > keepDirty {
		f.dirty, f.queue = newDirtySet(), fifo[*dirtyKey]{}
		clear(f.unflushed)
	}
}

func (f *flushState) enqueue(d *dirtyKey) {
	if d.ready && !d.queued && !d.inFlight {
		d.queued = true
		f.queue.push(d)
	}
}

// current reports whether e is about the version that is dirty now.
func (f *flushState) current(i int, e unflushedDot) bool {
	dot := e.key.version.dot
	return dot.Origin == ReplicaID(i) && dot.Counter == e.counter
}

func (f *flushState) compact(i ReplicaID) {
	kept := f.unflushed[i][:0]
	for _, e := range f.unflushed[i] {
		if f.current(int(i), e) {
			kept = append(kept, e)
		}
	}
	clear(f.unflushed[i][len(kept):])
	f.unflushed[i] = kept
}

// vector computes F: all that S covers, but for what is dirty.
func (f *flushState) vector(stable VectorClock) VectorClock {
	v := stable.Clone()
	for i := range v {
		q := f.unflushed[i]
		for len(q) > 0 && !f.current(i, q[0]) {
			q[0] = unflushedDot{}
			q = q[1:]
		}
		f.unflushed[i] = q
		if len(q) > 0 {
			v[i] = min(v[i], q[0].counter-1)
		}
	}
	return v
}

// settleFlush brings a dirty key in line with its entry, which has just become
// complete: it may have been merged with something higher from the database.
func (s *Server) settleFlush(key []byte) {
	f := &s.home.flush
	d := f.dirty.get(key)
	if d == nil {
		return
	}
	if s.table.Get(key, &s.old); !d.is(&s.old) {
		if !d.inFlight {
			f.clean(d)
		}
		return
	}
	d.ready = true
	f.enqueue(d)
}

// startFlushes hands out flushes, one per key at a time. Model: Flush.
func (s *Server) startFlushes(out *Output) {
	f := &s.home.flush
	if f.queue.len() == 0 || s.now < f.paused || s.fenced {
		return
	}
	if s.cfg.FlushDelay > 0 && !s.draining && f.queue.len() < s.cfg.Limits.FlushesAtOnce/2 {
		if f.due == 0 {
			f.due = s.now.Add(s.cfg.FlushDelay)
		}
		if s.now < f.due {
			return
		}
	}
	f.due = 0
	for f.queue.len() > 0 && f.inFlight < s.cfg.Limits.FlushesAtOnce {
		d := f.queue.pop()
		if !d.queued {
			continue // clean since, or queued again behind this
		}
		d.queued = false
		imp := s.home.imports[string(d.key)]
		if d.inFlight || !d.ready || imp != nil && !s.stable.Covers(imp.dot) {
			continue // queued again when the flush, the load or the import is through
		}
		v := &s.lendVersions(1)[0]
		if s.table.Get(d.key, v); !d.is(v) {
			f.clean(d) // the database had something higher, and this was made again
			continue
		}
		d.inFlight, d.over = true, imp != nil
		f.inFlight++
		r := FlushRequest{Version: v}
		if imp != nil {
			r.Over = &imp.found
		}
		out.Flushes = append(out.Flushes, r)
		s.counters.Flushes++
		s.took(Transition{Action: ActionFlush, Version: v})
	}
}

// flushed takes the database's answer to a flush. Model: Flushed, FlushFails.
func (s *Server) flushed(r *FlushResult, out *Output) error {
	f := &s.home.flush
	d := f.dirty.get(r.Key)
	if d == nil || !d.inFlight {
		return nil
	}
	d.inFlight = false
	f.inFlight--
	found := r.Found
	found.Key = d.key
	if r.Status == FlushSuperseded || r.Status == FlushForeign {
		if err := s.checkFound(&found); err != nil {
			s.counters.StoreErrors++
			f.paused = s.now.Add(s.cfg.FlushRetry)
			f.enqueue(d)
			return fmt.Errorf("database, key %q: %w", d.key, err)
		}
		s.clock = max(s.clock, found.Stamp.Time)
	}
	switch r.Status {
	case FlushDone:
		if d.over {
			delete(s.home.imports, string(d.key))
		}
		if d.version.stamp == r.Stamp {
			f.clean(d)
		} else {
			f.enqueue(d)
		}
		s.took(Transition{Action: ActionFlushed, Key: r.Key})
	case FlushFailed:
		s.took(Transition{Action: ActionFlushFails, Key: r.Key})
		s.counters.FlushErrors++
		f.paused = s.now.Add(s.cfg.FlushRetry)
		f.enqueue(d)
	case FlushFenced:
		s.fence(out)
		f.enqueue(d)
	case FlushForeign:
		// A flush that set out before the value was imported has nothing new to say.
		imp := s.home.imports[string(d.key)]
		if known := imp != nil && !d.over && imp.found.SameContent(&found); !known {
			s.importForeign(d.key, &found, out)
			return nil
		}
		f.enqueue(d)
	case FlushSuperseded:
		var v Version
		if s.table.Get(d.key, &v); !d.version.stamp.Less(found.Stamp) || !d.is(&v) {
			f.enqueue(d)
			return nil
		}
		s.reissue(&v, out) // which makes the key dirty again
	}
	return nil
}

// reissue makes an acknowledged write again, above a stamp that the database
// holds from an earlier epoch: a clock went back between two lives of the cluster.
func (s *Server) reissue(v *Version, out *Output) {
	s.writeOwn(v, out)
	s.counters.Reissued++
	out.Events = append(out.Events, Event{Kind: EventReissued, Key: v.Key})
}

// checkFound refuses what the database cannot have from here.
func (s *Server) checkFound(v *Version) error {
	if s.peerTooFarAhead(v.Stamp.Time) {
		return fmt.Errorf("%w: stamp %v", ErrClock, v.Stamp)
	}
	if len(v.Value) > s.cfg.Limits.ValueBytes {
		return fmt.Errorf("%w: value of %d bytes", ErrTooLarge, len(v.Value))
	}
	return nil
}

// importForeign makes what another program stored a write of this server, unless
// that is under way already. Loads and flushes of the key wait until it is
// visible. In the model that is a write by no session.
func (s *Server) importForeign(key []byte, found *Version, out *Output) {
	if imp := s.home.imports[string(key)]; imp != nil && imp.found.SameContent(found) && !s.stable.Covers(imp.dot) {
		return
	}
	v := s.writeOwn(&Version{Key: key, Value: found.Value, Tombstone: found.Tombstone}, out)
	s.home.imports[string(key)] = &foreignImport{found: *found, dot: v.Dot}
	s.counters.Imported++
	out.Events = append(out.Events, Event{Kind: EventImported, Key: key})
	if s.stable.Covers(v.Dot) { // a ring of one
		s.home.settled.push(v)
		s.settleImports(out)
	}
}

// settleImports goes on with what waited for imports that have become visible.
func (s *Server) settleImports(out *Output) {
	for s.home.settled.len() > 0 {
		v := s.home.settled.pop()
		if l := s.home.loads[string(v.Key)]; l != nil {
			s.completeLoad(l, v, out)
		}
		s.settleFlush(v.Key)
		if d := s.home.flush.dirty.get(v.Key); d != nil {
			s.home.flush.enqueue(d)
		}
	}
}

// announceFlushed tells the others F when it has risen. Model: Announce.
func (s *Server) announceFlushed(out *Output) {
	if !s.cfg.Store {
		return
	}
	f := &s.home.flush
	v := f.vector(s.stable)
	f.flushed[s.cfg.Self] = v
	if v.AtMost(f.announced) && s.now < f.announcedAt.Add(s.cfg.Heartbeat) {
		return
	}
	f.announced, f.announcedAt = v, s.now
	s.took(Transition{Action: ActionAnnounce, Vector: v})
	for p := range s.cfg.Replicas {
		if s.up[p] {
			out.Messages = append(out.Messages, Envelope{To: ReplicaID(p), Message: Message{
				Kind: MessageFlushed, Epoch: s.cfg.Epoch, Time: s.hybrid(), Everywhere: s.everywhere, Vector: v,
			}})
		}
	}
}

func (s *Server) flushedMessage(from ReplicaID, m *Message) error {
	if len(m.Vector) > s.cfg.Replicas || !m.Vector.AtMost(s.received) {
		return fmt.Errorf("%w: it announces F=%v, here R=%v", ErrPeer, m.Vector, s.received)
	}
	f := &s.home.flush.flushed[from]
	*f = f.Join(m.Vector)
	return nil
}

func (s *Server) fence(out *Output) {
	if !s.fenced {
		s.fenced = true
		out.Events = append(out.Events, Event{Kind: EventFenced})
	}
}
