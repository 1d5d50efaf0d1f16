package memstore

import (
	"context"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon/store"
)

const (
	within             = 30 * time.Second
	epoch              = causal.Epoch(5)
	base   causal.Time = 1_700_000_000_000_000_001 // above 2^53, where doubles lose bits
)

// start serves for one test, and returns the URL for causalmeshd.
func start(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- Serve(ctx, socket, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(within):
			t.Error("it does not end")
		}
	})
	select {
	case <-ready:
	case <-time.After(within):
		t.Fatal("not ready")
	}
	u := url.URL{Scheme: "redis+unix", Path: socket, RawQuery: "db=0"}
	return u.String()
}

// database is package store on top of a server.
type database struct {
	t       *testing.T
	store   *store.Store
	results chan store.Results
}

func open(t *testing.T, url string, at causal.Epoch) *database {
	t.Helper()
	d := &database{t: t, results: make(chan store.Results, 16)}
	var err error
	d.store, err = store.New(store.Config{
		URL: url, Epoch: func() causal.Epoch { return at }, Grace: time.Hour, Timeout: within,
	}, func(r store.Results) { d.results <- r })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.store.Close() })
	if err := d.store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *database) await() store.Results {
	d.t.Helper()
	select {
	case r := <-d.results:
		return r
	case <-time.After(within):
		d.t.Fatal("no result")
	}
	return store.Results{}
}

func (d *database) flush(v *causal.Version) causal.FlushStatus {
	d.t.Helper()
	d.store.Submit(nil, []causal.FlushRequest{{Version: v}})
	return d.await().Flushes[0].Status
}

func (d *database) load(key string) causal.LoadResult {
	d.t.Helper()
	d.store.Submit([]causal.LoadRequest{{ID: 1, Key: []byte(key)}}, nil)
	return d.await().Loads[0]
}

func version(key, value string, n int) *causal.Version {
	return &causal.Version{
		Key: []byte(key), Value: []byte(value), Epoch: epoch,
		Stamp: causal.Stamp{Time: base + causal.Time(n), Origin: 2},
		Dot:   causal.Dot{Origin: 2, Counter: causal.Counter(n)},
	}
}

// TestScripts runs daemon/store's scripts through every kind of answer.
func TestScripts(t *testing.T) {
	url := start(t)
	d := open(t, url, epoch)
	if last, err := d.store.LastEpoch(t.Context()); err != nil || last != 0 {
		t.Errorf("last epoch of an empty database: %d, %v", last, err)
	}
	if r := d.load("k"); r.Status != causal.LoadAbsent {
		t.Errorf("absent: %+v", r)
	}
	high := version("k", "high", 2)
	for _, c := range []struct {
		name string
		v    *causal.Version
		want causal.FlushStatus
	}{
		{"first", version("k", "low", 1), causal.FlushDone},
		{"higher", high, causal.FlushDone},
		{"again", high, causal.FlushDone},
		{"lower", version("k", "low", 1), causal.FlushSuperseded},
	} {
		if got := d.flush(c.v); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if r := d.load("k"); r.Status != causal.LoadFound || string(r.Version.Value) != "high" || r.Version.Stamp != high.Stamp || r.Version.Dot != high.Dot {
		t.Errorf("found: %+v", r)
	}
	gone := version("k", "", 3)
	gone.Value, gone.Tombstone = nil, true
	if got := d.flush(gone); got != causal.FlushDone {
		t.Errorf("delete: %v", got)
	}
	if r := d.load("k"); r.Status != causal.LoadFound || !r.Version.Tombstone {
		t.Errorf("deleted: %+v", r)
	}
	if last, err := d.store.LastEpoch(t.Context()); err != nil || last != epoch {
		t.Errorf("last epoch: %d, %v, want %d", last, err, epoch)
	}
	if got := open(t, url, epoch-1).flush(version("k", "old", 9)); got != causal.FlushFenced {
		t.Errorf("an earlier epoch: %v, want it fenced off", got)
	}
}

// TestExpiry: a value with a deadline goes by itself, and no more than a millisecond
// too early.
func TestExpiry(t *testing.T) {
	d := open(t, start(t), epoch)
	end := time.Now().Add(within)
	// A machine that is so busy that the value is not seen before its deadline gets a
	// later one.
	for n, lives := 1, 50*time.Millisecond; !expires(t, d, n, lives, end); n, lives = n+1, 2*lives {
		if time.Now().After(end) {
			t.Fatal("never seen")
		}
	}
}

// expires writes version n of a value, waits until it has gone, and reports whether it
// was seen before that.
func expires(t *testing.T, d *database, n int, lives time.Duration, end time.Time) (seen bool) {
	t.Helper()
	deadline := time.Now().Add(lives)
	v := version("k", "short", n)
	v.Deadline = causal.TimeOf(deadline)
	if got := d.flush(v); got != causal.FlushDone {
		t.Fatal(got)
	}
	for {
		r := d.load("k")
		now := time.Now()
		if r.Status != causal.LoadFound {
			t.Fatalf("%+v", r)
		}
		if r.Version.Tombstone {
			if now.Before(deadline.Add(-2 * time.Millisecond)) {
				t.Fatalf("gone %v before its deadline", deadline.Sub(now))
			}
			return seen
		}
		if seen = string(r.Version.Value) == "short"; !seen {
			t.Fatalf("%+v", r)
		}
		if now.After(end) {
			t.Fatal("never expired")
		}
		time.Sleep(time.Millisecond)
	}
}
