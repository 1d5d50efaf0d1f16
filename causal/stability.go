package causal

import "causalmesh/causal/internal/defect"

// Stability: what S covers is visible, and nothing else.
//
// E says what everyone holds: E[i] rises where the traversals of origin i end, and
// travels on every message. S is the largest closed part of E, which each server
// works out for itself. Were S to rise at the tails alone, each version would wait
// for word that its dependencies are stable, those for word of theirs, and a
// session that writes faster than word gets round would fall behind without end.

// learn joins v, of which a server has stated that everyone holds it, into E, and
// raises S as far as that allows. The caller has checked v ≤ R. Model: Learn.
func (s *Server) learn(v VectorClock, out *Output) { s.know(v, ActionLearn, out) }

// know is learn, by the given action.
func (s *Server) know(v VectorClock, by Action, out *Output) {
	if v.AtMost(s.everywhere) {
		return
	}
	// Replies and messages of this step may refer to the old vector: it stays.
	s.everywhere = s.vectors.clone(s.everywhere).Join(v)
	s.log.trim(s.everywhere, s.pending())
	s.raise(out)
	s.took(Transition{Action: by, Vector: s.everywhere})
	s.releaseHeld(out)
	s.settleImports(out)
	for s.home.below.len() > 0 {
		s.reissue(s.home.below.pop(), out)
	}
}

// raise makes S the largest closed vector below E: what it newly covers moves from
// the I-cache to the C-cache. Model: Raise.
func (s *Server) raise(out *Output) {
	closed := s.closure()
	if closed.Equal(s.stable) {
		return
	}
	if s.defects.Has(defect.PublishEarly) {
		s.table.Publish(SignedVector{Vector: closed, Tag: s.signer.vector(closed)})
	}
	old := s.stable
	s.stable = closed
	for i := range closed {
		for c := old[i]; c < closed[i]; c++ {
			s.integrate(s.icache[i].at(0), out)
			s.icache[i].drop()
		}
	}
}

// closure returns the largest vector ≤ E that is closed: with a version it covers
// all that the version depends on. What E covers is here, so every server finds
// that out by itself, however long the chain of dependencies is.
func (s *Server) closure() VectorClock {
	if s.unclosed() {
		return s.everywhere
	}
	closed := s.vectors.clone(s.stable)
	for grown := true; grown; {
		grown = false
		for i := range closed {
			for closed[i] < s.everywhere[i] && coversDeps(closed, s.inFlight(ReplicaID(i), closed[i]+1)) {
				closed[i]++
				grown = true
			}
		}
	}
	return closed
}

// coversDeps reports whether v covers all that w depends on.
func coversDeps(v VectorClock, w *Version) bool {
	for _, d := range w.Deps {
		if !v.Covers(d) {
			return false
		}
	}
	return true
}

// integrate moves one version to the C-cache. S covers it already.
func (s *Server) integrate(v *Version, out *Output) {
	s.pendingBytes[v.Dot.Origin] -= v.Bytes()
	s.pendingTotal -= v.Bytes()
	if s.defects.Has(defect.TimeOnIntegration) {
		s.clock = max(s.clock, v.Stamp.Time)
	}
	for _, c := range v.Carried {
		s.install(c, out)
	}
	s.install(v, out)
	if imp := s.home.imports[string(v.Key)]; imp != nil && imp.dot == v.Dot {
		s.home.settled.push(v.Clone()) // answered when all of S is integrated
	}
}

// endTraversals raises E for the origin whose traversals end here. Model: End.
func (s *Server) endTraversals(out *Output) {
	t := s.tailOf()
	if s.cfg.Propagation == OneRound || s.cfg.Replicas == 1 {
		ended := s.received[t]
		if s.cfg.Experiment.TailCloses {
			ended = s.closedBelow(t, ended)
		}
		if ended > s.everywhere[t] {
			s.know(s.vectors.clone(s.everywhere).Add(Dot{Origin: t, Counter: ended}), ActionEnd, out)
		}
		return
	}
	for s.everywhere[t] < s.marked[t] {
		past, ok := s.past(Dot{Origin: t, Counter: s.everywhere[t] + 1})
		if !ok {
			return
		}
		s.know(past, ActionEnd, out)
	}
}

// past returns a vector that covers E, d, and all that d depends on: after two
// traversals everyone holds that, whether or not it has come round by itself. It
// fails for dependencies on what no server has written.
func (s *Server) past(d Dot) (VectorClock, bool) {
	past, todo := s.vectors.clone(s.everywhere), append(s.todo[:0], d)
	defer func() { s.todo = todo }()
	for len(todo) > 0 {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !s.received.Covers(d) {
			return nil, false
		}
		for i := d.Origin; past[i] < d.Counter; {
			past[i]++
			if v := s.inFlight(i, past[i]); !s.unclosed() {
				todo = append(todo, v.Deps...)
			}
		}
	}
	return past, true
}

func (s *Server) unclosed() bool {
	return s.cfg.Experiment.Carrying || s.defects.Has(defect.UnclosedStability)
}

// pending is how many versions the I-cache holds.
func (s *Server) pending() int {
	n := 0
	for i := range s.icache {
		n += s.icache[i].len()
	}
	return n
}

// visible reports whether S covers the version. Those of earlier epochs are
// stable by definition.
func (s *Server) visible(v *Version) bool { return v.Epoch != s.cfg.Epoch || s.stable.Covers(v.Dot) }

// install merges a stable version into the C-cache, by the highest stamp.
func (s *Server) install(v *Version, out *Output) {
	old := &s.old
	p := s.table.Get(v.Key, old)
	if p != Missing {
		w := s.higher(v, old)
		if w == nil {
			if old.Epoch != s.cfg.Epoch && s.cfg.Store && s.homeOf(v.Key) == s.cfg.Self {
				s.home.below.push(v.Clone())
			}
			return
		}
		v = w
	}
	// A version below something that was evicted may not be the newest.
	complete := p == Complete || !v.Stamp.Less(s.home.evicted[ShardOf(v.Key)]) || s.defects.Has(defect.ForgetEvicted)
	if !s.cfg.Store || complete {
		p = Complete
	} else {
		p = Incomplete
	}
	s.put(v, p)
	if s.cfg.Store && s.homeOf(v.Key) == s.cfg.Self {
		s.markDirty(v, p, out)
	}
}

// put stores v in the C-cache.
func (s *Server) put(v *Version, p Presence) {
	s.fading = s.fading || v.Deadline != 0 || v.Tombstone && !s.cfg.Store
	s.table.Put(v, p)
}

// higher returns what replaces old in the C-cache now that v is merged into it:
// v if its stamp is higher, nil if nothing changes.
func (s *Server) higher(v, old *Version) *Version {
	if s.defects.Has(defect.MergedClockOrder) {
		return mergeByClock(v, old)
	}
	if old.Stamp.Less(v.Stamp) {
		return v
	}
	return nil
}
