package causal

import (
	"time"

	"causalmesh/causal/internal/defect"
)

// Eviction and expiry: what the table may forget, and when.

// evictPause is how long the server waits after it found nothing to evict.
const evictPause = 5 * time.Millisecond

// mayEvict says whether the rules allow to forget an entry. Model: Evict.
func (s *Server) mayEvict(v *Version) bool {
	if !s.cfg.Store {
		return false
	}
	h := &s.home
	if h.pinned[string(v.Key)] > 0 || h.imports[string(v.Key)] != nil {
		return false
	}
	if h.loads[string(v.Key)] != nil && !s.defects.Has(defect.EvictBusy) {
		return false
	}
	if s.defects.Has(defect.EvictUnflushed) {
		return true
	}
	// The home knows of each key whether it is flushed. The others know F, which is a
	// prefix: until then every server is a copy, should the home be lost.
	home := s.homeOf(v.Key)
	if home == s.cfg.Self {
		return h.flush.dirty.get(v.Key) == nil
	}
	return v.Epoch != s.cfg.Epoch || h.flush.flushed[home].Covers(v.Dot)
}

// noteEvicted remembers what is forgotten, so that an older version that comes
// late is not taken for the newest.
func (s *Server) noteEvicted(v *Version) {
	if high := &s.home.evicted[ShardOf(v.Key)]; high.Less(v.Stamp) {
		*high = v.Stamp
	}
	s.counters.Evicted++
	s.took(Transition{Action: ActionEvict, Key: v.Key})
}

// evictStep is how many entries one look for room goes through.
const evictStep = 256

// evictOverBudget makes room. Where it finds nothing it waits a while: the homes
// have to flush first, and looking again at once would only cost time.
func (s *Server) evictOverBudget() {
	for fruitless := 0; fruitless < 3 && s.overBudget() && s.now >= s.home.evictAfter; {
		before := s.table.Bytes()
		s.table.Sweep(evictStep, fruitless == 0, func(v *Version, _ Presence) Verdict {
			switch {
			case !s.overBudget():
				return Enough
			case !s.mayEvict(v):
				return Keep
			}
			s.noteEvicted(v)
			return Remove
		})
		if s.table.Bytes() < before {
			fruitless = 0
			continue
		}
		if fruitless++; fruitless == 3 {
			s.home.evictAfter = s.now.Add(evictPause)
		}
	}
}

// overBudget reports whether the table, with the list of what is to be flushed, has
// outgrown its share of the memory; the I-cache has the rest.
func (s *Server) overBudget() bool {
	return s.cfg.MemoryBytes > 0 && s.table.Bytes()+s.home.flush.dirty.bytes > s.cfg.MemoryBytes-s.cfg.Limits.PendingBytes
}

// sweepStep is how many entries a tick looks at for expiry.
const sweepStep = 64

// sweep turns expired versions into the tombstones that they are, so that their
// values free memory, and drops old tombstones where no database is below.
func (s *Server) sweep() {
	if !s.fading {
		return // to look at entries that are there to stay costs more than all else of a tick
	}
	var expired []*Version
	s.table.Sweep(sweepStep, false, func(v *Version, p Presence) Verdict {
		if !s.cfg.Store && v.Tombstone && s.now > v.Stamp.Time.Add(s.cfg.TombstoneGrace) &&
			s.now > v.Deadline.Add(s.cfg.TombstoneGrace) {
			return Remove
		}
		if !v.Tombstone && v.Deadline != 0 && v.Gone(s.now) && p == Complete && s.home.flush.dirty.get(v.Key) == nil {
			tombstone := v.Clone()
			tombstone.Value, tombstone.Tombstone = nil, true
			expired = append(expired, tombstone)
		}
		return Keep
	})
	for _, v := range expired {
		s.table.Put(v, Complete)
		s.counters.Expired++
	}
}
