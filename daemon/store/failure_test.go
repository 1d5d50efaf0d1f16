package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"causalmesh/causal"
)

// never is a time-out that no test is to reach: what ends within has not waited for it.
const never = maxTimeout

func loadRequests(from, n int) []causal.LoadRequest {
	requests := make([]causal.LoadRequest, n)
	for i := range requests {
		requests[i] = causal.LoadRequest{ID: causal.LoadID(from + i), Key: fmt.Appendf(nil, "k%d", (from+i)%100)}
	}
	return requests
}

func flushRequests(from, n int) []causal.FlushRequest {
	requests := make([]causal.FlushRequest, n)
	for i := range requests {
		requests[i].Version = version(fmt.Sprintf("k%d", (from+i)%100), "v", from+i)
	}
	return requests
}

// ledger counts results: each request has one.
type ledger struct {
	mu      sync.Mutex
	loads   map[causal.LoadID]int
	flushes map[causal.Time]int // flushRequests give each its own
	ok      int
}

func newLedger() *ledger {
	return &ledger{loads: map[causal.LoadID]int{}, flushes: map[causal.Time]int{}}
}

func (l *ledger) add(r Results) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range r.Loads {
		l.loads[r.ID]++
		if r.Status != causal.LoadFailed {
			l.ok++
		}
	}
	for _, r := range r.Flushes {
		l.flushes[r.Stamp.Time]++
		if r.Status != causal.FlushFailed {
			l.ok++
		}
	}
}

func (l *ledger) answered() (requests, ok int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.loads) + len(l.flushes), l.ok
}

// check wants n loads and n flushes, numbered from 0, answered once each.
func (l *ledger) check(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		if got := l.loads[causal.LoadID(i)]; got != 1 {
			t.Fatalf("load %d of %d has %d results", i, n, got)
		}
		if got := l.flushes[base+causal.Time(i)]; got != 1 {
			t.Fatalf("flush %d of %d has %d results", i, n, got)
		}
	}
	if len(l.loads) != n || len(l.flushes) != n {
		t.Fatalf("results of %d loads and %d flushes, want %d", len(l.loads), len(l.flushes), n)
	}
}

// newLedgerFixture is newFixture with results that go to a ledger.
func newLedgerFixture(t *testing.T, change func(*Config)) (*fixture, *ledger) {
	t.Helper()
	f, l := newFixture(t, nil, change), newLedger()
	_ = f.store.Close()
	config := f.store.config
	var err error
	if f.store, err = New(config, l.add); err != nil {
		t.Fatal(err)
	}
	return f, l
}

// TestPaused: a Redis that says nothing fails requests in time, also those that
// wait behind others, and serves again when it is back.
func TestPaused(t *testing.T) {
	const workers, n = 2, 1000 // several batches per worker
	f, l := newLedgerFixture(t, func(c *Config) { c.Timeout, c.Workers, c.BatchRequests = 400*time.Millisecond, workers, 64 })
	next := 0
	served := func(when string) {
		t.Helper()
		_, before := l.answered()
		f.eventually("answers "+when, func() bool { // a busy machine may take longer than the timeout
			l.add(f.store.Submit(loadRequests(next, 1), flushRequests(next, 1)))
			next++
			f.eventually("all have results", func() bool { got, _ := l.answered(); return got == 2*next })
			_, ok := l.answered()
			return ok >= before+2
		})
	}
	served("before the pause")
	_, ok := l.answered()
	before := f.store.Stats()

	f.server.Pause()
	l.add(f.store.Submit(loadRequests(next, n), flushRequests(next, n)))
	next += n
	f.eventually("all have failed", func() bool { got, _ := l.answered(); return got == 2*next })
	if _, now := l.answered(); now != ok {
		t.Errorf("%d were answered by a paused server", now-ok)
	}
	after := f.store.Stats()
	if after.LoadErrors != before.LoadErrors+n || after.FlushErrors != before.FlushErrors+n ||
		after.Loads != before.Loads+n || after.Flushes != before.Flushes+n {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	// What waits behind a round trip that was not answered in time is late itself then.
	if trips := after.RoundTrips - before.RoundTrips; trips > workers {
		t.Errorf("%d round trips, want at most one for each of %d workers", trips, workers)
	}
	f.server.Resume()
	served("after the pause")
	_ = f.store.Close()
	l.check(t, next)
}

// TestAway: without a server requests fail at once, and nothing piles up; the same
// store goes on when the server is back, with what it had.
func TestAway(t *testing.T) {
	f := newFixture(t, nil, func(c *Config) { c.Timeout = never })
	f.mustFlush(version("k", "v", 1))
	f.server.Stop()
	for range 200 {
		if got := f.load("k"); got.Status != causal.LoadFailed {
			t.Fatalf("status %d without a server", got.Status)
		}
		if got := f.flush(version("k", "w", 2), nil); got.Status != causal.FlushFailed {
			t.Fatalf("%s without a server", showFlush(got))
		}
	}
	if err := f.store.Check(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Check: %v", err)
	}
	f.server.Restart()
	var got causal.LoadResult
	f.eventually("the server is back", func() bool { got = f.load("k"); return got.Status != causal.LoadFailed })
	if want := version("k", "v", 1); got.Status != causal.LoadFound || !sameVersion(got.Version, *want) {
		t.Fatalf("status %d, %s", got.Status, show(got.Version))
	}
	f.mustFlush(version("k", "w", 2))
}

// TestScriptsLost: a server that lost its scripts gets them again.
func TestScriptsLost(t *testing.T) {
	f := newFixture(t, nil, nil)
	for n := 1; n <= 3; n++ {
		before := f.store.Stats().RoundTrips
		f.mustFlush(version("k", "v", n))
		f.wantLoad("k", causal.LoadFound, *version("k", "v", n))
		if trips := f.store.Stats().RoundTrips - before; trips != 4 {
			t.Errorf("%d round trips, want 2 for the flush and 2 for the load", trips)
		}
		f.mustFlush(version("k", "v", n))
		if trips := f.store.Stats().RoundTrips - before; trips != 5 {
			t.Errorf("%d round trips, want 5", trips)
		}
		f.do("SCRIPT", "FLUSH")
	}
}

// TestPipelining: what waits together travels together.
func TestPipelining(t *testing.T) {
	f, l := newLedgerFixture(t, func(c *Config) { c.Workers, c.BatchRequests = 1, 100 })
	l.add(f.store.Submit(loadRequests(0, 1), flushRequests(0, 1))) // brings the scripts
	f.eventually("scripts are there", func() bool { n, _ := l.answered(); return n == 2 })
	before := f.store.Stats().RoundTrips
	l.add(f.store.Submit(loadRequests(1, 100), flushRequests(1, 100)))
	f.eventually("all are answered", func() bool { n, _ := l.answered(); return n == 202 })
	if trips := f.store.Stats().RoundTrips - before; trips != 2 {
		t.Errorf("%d round trips, want 2", trips)
	}
	l.check(t, 101)
}

// TestQueueFull: over the bound requests fail at once, the others are served.
func TestQueueFull(t *testing.T) {
	const length, n = 10, 100
	f, l := newLedgerFixture(t, func(c *Config) { c.QueueLength, c.Workers = length, 1 })
	f.server.Pause()
	refused := f.store.Submit(loadRequests(0, n), flushRequests(0, n))
	if len(refused.Loads) != n-length || len(refused.Flushes) != n-length {
		t.Fatalf("%d loads and %d flushes refused, want %d", len(refused.Loads), len(refused.Flushes), n-length)
	}
	l.add(refused)
	if s := f.store.Stats(); s.Refused != 2*(n-length) {
		t.Errorf("%+v", s)
	}
	f.server.Resume()
	f.eventually("the others are served", func() bool { _, ok := l.answered(); return ok == 2*length })
	l.check(t, n)
}

// TestClose: with requests under way and waiting, all get their results before
// Close returns, and it does not wait for the server.
func TestClose(t *testing.T) {
	const n = 1000
	f, l := newLedgerFixture(t, func(c *Config) { c.Timeout = never })
	f.server.Pause()
	l.add(f.store.Submit(loadRequests(0, n), flushRequests(0, n)))
	workers := uint64(f.store.config.Workers)
	f.eventually("every worker asks", func() bool { return f.store.Stats().RoundTrips == workers })
	closed := make(chan error, 1)
	go func() { closed <- f.store.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(within):
		t.Fatal("Close waits for the server")
	}
	if _, ok := l.answered(); ok != 0 {
		t.Errorf("%d were answered by a paused server", ok)
	}
	l.check(t, n)
	l.add(f.store.Submit(loadRequests(n, 1), flushRequests(n, 1)))
	l.check(t, n+1)
	f.server.Resume()
}

// TestExactlyOnce: whatever happens to the server, and when the store is closed
// with requests on the way, each request has one result.
func TestExactlyOnce(t *testing.T) {
	const submitters, each = 4, 10
	f, l := newLedgerFixture(t, func(c *Config) {
		c.Timeout, c.QueueLength, c.BatchRequests = 400*time.Millisecond, 200, 16
	})
	var next int
	var mu sync.Mutex
	numbers := func() int {
		mu.Lock()
		defer mu.Unlock()
		next += each
		return next - each
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range submitters {
		running.Go(func() {
			for tick := time.NewTicker(time.Millisecond); ; {
				select {
				case <-stop:
					tick.Stop()
					return
				case <-tick.C:
					from := numbers()
					l.add(f.store.Submit(loadRequests(from, each), flushRequests(from, each)))
				}
			}
		})
	}
	served := func(when string) {
		t.Helper()
		_, before := l.answered()
		f.eventually("served "+when, func() bool { _, ok := l.answered(); return ok > before+100 })
	}
	failed := func(when string) {
		t.Helper()
		before := f.store.Stats().LoadErrors
		f.eventually("failed "+when, func() bool { return f.store.Stats().LoadErrors > before+100 })
	}
	served("at first")
	f.server.Pause()
	failed("while paused")
	f.server.Resume()
	served("after the pause")
	f.server.Stop()
	failed("while stopped")
	f.server.Restart()
	served("after the restart")
	f.do("SCRIPT", "FLUSH")
	served("after losing the scripts")
	f.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	served("after losing the connections")
	_ = f.store.Close() // with submitters still running
	close(stop)
	running.Wait()
	l.check(t, next)
}
