package causal

// What an experiment does that is more than to leave out a line.

// mergeByClock is the defect MergedClockOrder. An entry keeps the join of all
// clocks that were merged into it (in its Deps), and a newcomer is compared with
// that: pairwise, lexicographically where the clocks are concurrent.
func mergeByClock(v, old *Version) *Version {
	mine, theirs := clockOf(v), clockOf(old)
	merged := mine.Clone().Join(theirs)
	winner := old
	if theirs.HappensBefore(mine) || mine.Concurrent(theirs) && lexicographicallyAfter(mine, theirs) {
		winner = v
	}
	entry := *winner
	entry.Deps = withClock(nil, merged)
	return &entry
}

// withClock returns dependencies on all that deps names and clock covers, one of
// each origin.
func withClock(deps []Dot, clock VectorClock) []Dot {
	clock = clock.Clone()
	for _, d := range deps {
		clock = clock.Add(d)
	}
	deps = nil
	for i, c := range clock {
		deps = append(deps, Dot{Origin: ReplicaID(i), Counter: c})
	}
	return deps
}

func lexicographicallyAfter(v, w VectorClock) bool {
	v, w = v.Clone().Join(make(VectorClock, len(w))), w.Clone().Join(make(VectorClock, len(v)))
	for i := range v {
		if v[i] != w[i] {
			return v[i] > w[i]
		}
	}
	return false
}

func clockOf(v *Version) VectorClock {
	clock := VectorClock{}.Add(v.Dot)
	for _, d := range v.Deps {
		clock = clock.Add(d)
	}
	return clock
}

// receiveCarried is the defect ArrivedOtherwise: what came along counts as
// arrived by its own traversal.
func (s *Server) receiveCarried(v *Version) {
	for _, c := range v.Carried {
		if i := c.Dot.Origin; i != s.cfg.Self && c.Dot.Counter == s.received[i]+1 {
			s.enqueue(c)
		}
	}
}

// closedBelow is the experiment TailCloses: how far E may rise for origin t and
// stay closed by itself.
func (s *Server) closedBelow(t ReplicaID, ended Counter) Counter {
	c := s.everywhere[t]
	for c < ended && coversDeps(s.everywhere.Clone().Add(Dot{Origin: t, Counter: c}), s.inFlight(t, c+1)) {
		c++
	}
	return c
}
