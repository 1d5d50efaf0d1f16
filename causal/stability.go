package causal

import "causalmesh/causal/internal/defect"

// Stability: what S covers is visible, and nothing else.

// raise joins v, a stability vector that some server stated, into S: what it
// covers moves from the I-cache to the C-cache. The caller has checked v ≤ R.
// Model: Integrate.
func (s *Server) raise(v VectorClock, out *Output) {
	if v.AtMost(s.stable) {
		return
	}
	s.raiseTo(v, out)
	s.advance(out)
}

// raiseTo is raise without the question what else may rise now.
func (s *Server) raiseTo(v VectorClock, out *Output) {
	if s.defects.Has(defect.PublishEarly) {
		s.table.Publish(s.stable.Clone().Join(v))
	}
	// Replies and messages of this step may refer to the old vector: it stays.
	s.stable = s.stable.Clone()
	for i, c := range v {
		for s.stable[i] < c {
			s.stable[i]++
			s.integrate(s.icache[i].pop(), out)
		}
	}
	s.log.trim(s.stable, s.inFlight())
	s.releaseHeld(out)
	s.settleImports(out)
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
		s.home.settled = append(s.home.settled, v) // answered when all of S is integrated
	}
}

// advance raises S for the origin whose traversals end here, as far as its
// versions have come round and S stays closed. Model: RaiseS.
func (s *Server) advance(out *Output) {
	t := s.tailOf()
	for {
		ended := s.received[t] // Model: the tail's R is the end of the traversal
		if s.cfg.Propagation == TwoRound && s.cfg.Replicas > 1 {
			ended = s.marked[t]
		}
		if s.stable[t] >= ended {
			return
		}
		next := s.icache[t].at(0)
		closed, ok := s.close(next)
		if !ok {
			return
		}
		s.raiseTo(closed, out)
	}
}

// close returns a vector that covers S and next, and is closed: it covers all
// that next depends on. One round has to wait until S covers that by itself. After
// two rounds everything that next depends on is known to be everywhere, so S can
// rise over it.
func (s *Server) close(next *Version) (VectorClock, bool) {
	if s.cfg.Propagation == OneRound {
		for _, d := range next.Deps {
			if !s.stable.Covers(d) && d != next.Dot && !s.unclosed() {
				return nil, false
			}
		}
		return s.stable.Clone().Add(next.Dot), true
	}
	closed, todo := s.stable.Clone(), []Dot{next.Dot}
	for len(todo) > 0 {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !s.received.Covers(d) {
			return nil, false // a dot that no server gave
		}
		for i := d.Origin; closed[i] < d.Counter; {
			closed[i]++
			if v := s.icache[i].at(int(closed[i] - s.stable[i] - 1)); !s.unclosed() {
				todo = append(todo, v.Deps...)
			}
		}
	}
	return closed, true
}

func (s *Server) unclosed() bool {
	return s.cfg.Experiment.Carrying || s.defects.Has(defect.UnclosedStability)
}

func (s *Server) inFlight() int {
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
	var old Version
	p := s.table.Get(v.Key, &old)
	if p != Missing {
		if v = s.higher(v, &old); v == nil {
			return
		}
	}
	// A version below something that was evicted may not be the newest.
	complete := p == Complete || !v.Stamp.Less(s.home.evicted[shardOf(v.Key)]) || s.defects.Has(defect.ForgetEvicted)
	if !s.cfg.Store || complete {
		p = Complete
	} else {
		p = Incomplete
	}
	s.table.Put(v, p)
	if s.cfg.Store && s.homeOf(v.Key) == s.cfg.Self {
		s.markDirty(v, p, out)
	}
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
