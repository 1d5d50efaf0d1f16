package store

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats counts what a store has done since New.
type Stats struct {
	Loads       uint64 `json:"loads"`       // asked of Redis or failed before
	LoadErrors  uint64 `json:"load_errors"` // of them: failed
	Flushes     uint64 `json:"flushes"`
	FlushErrors uint64 `json:"flush_errors"`
	Superseded  uint64 `json:"superseded"` // flushes that found a higher stamp
	Foreign     uint64 `json:"foreign"`    // loads and flushes that found another program's change
	Fenced      uint64 `json:"fenced"`     // flushes that found a later epoch
	Unreadable  uint64 `json:"unreadable"` // loads and flushes that found what no store has written
	Refused     uint64 `json:"refused"`    // requests that Submit returned: queue full, bad key, closed
	RoundTrips  uint64 `json:"round_trips"`
}

type counters struct {
	loads, loadErrors, flushes, flushErrors atomic.Uint64
	superseded, foreign, fenced, unreadable atomic.Uint64
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
		Refused:     c.refused.Load(),
		RoundTrips:  c.roundTrips.Load(),
	}
}

// complaintEvery is the least time between two records of one kind of failure.
const complaintEvery = 5 * time.Second

// complaints logs failures so that a database that is away does not fill the log.
type complaints struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   map[string]*complaint // by message: a few constants
}

type complaint struct {
	at      time.Time
	skipped int
}

func (c *complaints) add(now time.Time, message string, attributes ...any) {
	c.mu.Lock()
	last := c.last[message]
	if last != nil && now.Sub(last.at) < complaintEvery {
		last.skipped++
		c.mu.Unlock()
		return
	}
	skipped := 0
	if last != nil {
		skipped = last.skipped
	}
	if c.last == nil {
		c.last = make(map[string]*complaint)
	}
	c.last[message] = &complaint{at: now}
	c.mu.Unlock()
	c.logger.Warn(message, append(attributes, slog.Int("not_logged_since_last", skipped))...)
}
