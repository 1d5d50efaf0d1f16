package store

import "sync/atomic"

// Stats counts what a store has done since New.
type Stats struct {
	Loads       uint64 `json:"loads"`       // asked of Redis or failed before
	LoadErrors  uint64 `json:"load_errors"` // of them: failed
	Flushes     uint64 `json:"flushes"`
	FlushErrors uint64 `json:"flush_errors"`
	Superseded  uint64 `json:"superseded"`  // flushes that found a higher stamp
	Foreign     uint64 `json:"foreign"`     // loads and flushes that found another program's change
	Fenced      uint64 `json:"fenced"`      // flushes that found a later epoch
	Unreadable  uint64 `json:"unreadable"`  // loads and flushes that found what no store has written
	Overwritten uint64 `json:"overwritten"` // flushes that went over what nobody could read
	Refused     uint64 `json:"refused"`     // requests that Submit returned: queue full, bad key, closed
	RoundTrips  uint64 `json:"round_trips"`
}

type counters struct {
	loads, loadErrors, flushes, flushErrors atomic.Uint64
	superseded, foreign, fenced, unreadable atomic.Uint64
	overwritten                             atomic.Uint64
	refused, roundTrips                     atomic.Uint64
}

// Stats returns the counters. They are read one by one, not at one instant.
func (s *Store) Stats() Stats {
	c := &s.counters
	return Stats{
		Loads:       c.loads.Load(),
		LoadErrors:  c.loadErrors.Load(),
		Flushes:     c.flushes.Load(),
		FlushErrors: c.flushErrors.Load(),
		Superseded:  c.superseded.Load(),
		Foreign:     c.foreign.Load(),
		Fenced:      c.fenced.Load(),
		Unreadable:  c.unreadable.Load(),
		Overwritten: c.overwritten.Load(),
		Refused:     c.refused.Load(),
		RoundTrips:  c.roundTrips.Load(),
	}
}
