package causal

import (
	"testing"
	"time"
)

// TestReissuedWriteStays: in a ring of one a write that is made again above an earlier
// epoch's version is visible at once, and is not overwritten by what was loaded.
func TestReissuedWriteStays(t *testing.T) {
	c := newCluster(t, 1, withStore)
	s := session(1)
	q := &Request{ID: RequestID{9, 1}, Op: OpRead, Epoch: 7, Keys: byteKeys("k")}
	if c.ask(0, q) != nil {
		t.Fatal("read did not park")
	}
	c.write(0, s, "k", "new")
	old := Version{Value: []byte("old"), Epoch: 6, Dot: Dot{0, 0, 4}, Stamp: Stamp{c.now.Add(30 * time.Second), 0}}
	c.loaded(0, LoadFound, old)
	if got := c.read(0, s, "k"); got != "new" {
		t.Errorf("acknowledged write is lost: read %q, want %q; dirty=%d reissued=%d", got, "new", c.servers[0].Status().Dirty, c.servers[0].Status().Counters.Reissued)
	}
}

// TestWriteBelowEarlierEpoch: a write below what the home has loaded from an earlier
// epoch is made again above it, so that all servers agree.
func TestWriteBelowEarlierEpoch(t *testing.T) {
	c := newCluster(t, 2, withStore)
	k := keyAt(0, 2, 0)
	if c.ask(0, &Request{ID: RequestID{9, 1}, Op: OpRead, Epoch: 7, Keys: byteKeys(k)}) != nil {
		t.Fatal("read did not park")
	}
	c.loaded(0, LoadFound, Version{Value: []byte("old"), Epoch: 6, Dot: Dot{0, 0, 4}, Stamp: Stamp{c.now.Add(30 * time.Second), 0}})
	s := session(1)
	c.write(1, s, k, "new")
	c.settle()
	c.settle()
	a, b := c.read(0, session(2), k), c.read(1, session(3), k)
	if a != "new" || b != "new" {
		t.Errorf("servers have settled on %q and %q, want the later write", a, b)
	}
}

// TestFlushDoneKeepsImport: the end of a flush that set out before a foreign value was
// imported says nothing about the import.
func TestFlushDoneKeepsImport(t *testing.T) {
	c := newCluster(t, 2, withStore)
	k := keyAt(0, 2, 0)
	if c.ask(0, &Request{ID: RequestID{9, 1}, Op: OpRead, Epoch: 7, Keys: byteKeys(k)}) != nil {
		t.Fatal("read did not park")
	}
	l := c.loads[0][0]
	c.loads[0] = nil
	s := session(1)
	c.write(1, s, k, "w1") // stable at 0 when it arrives? origin 1's tail is 0
	c.spread()
	if len(c.flushes[0]) != 1 {
		t.Fatal("no flush")
	}
	f := c.flushes[0][0]
	c.flushes[0] = nil
	// the database: flush done; foreign write; load sees it. Answers arrive in the other order.
	c.step(0, Input{Kind: InputLoaded, Load: &LoadResult{ID: l.ID, Key: l.Key, Status: LoadForeign, Version: Version{Value: []byte("foreign"), Stamp: f.Version.Stamp}}})
	c.flushed(0, FlushResult{Key: f.Version.Key, Stamp: f.Version.Stamp, Status: FlushDone})
	c.spread()
	if st := c.servers[0].Status(); st.Parked != 0 || st.LoadsNow != 0 {
		t.Errorf("the import is visible (S=%v) but %d loads and %d reads go on waiting for it", st.Stable, st.LoadsNow, st.Parked)
	}
	if len(c.flushes[0]) != 1 || c.flushes[0][0].Over == nil {
		t.Errorf("the import is flushed without naming what it replaces")
	}
}

// TestImportedOnce: a flush that set out before the import comes back foreign after it,
// with nothing new.
func TestImportedOnce(t *testing.T) {
	c := newCluster(t, 2, withStore)
	k := keyAt(0, 2, 0)
	if c.ask(0, &Request{ID: RequestID{9, 1}, Op: OpRead, Epoch: 7, Keys: byteKeys(k)}) != nil {
		t.Fatal("read did not park")
	}
	l := c.loads[0][0]
	c.loads[0] = nil
	c.write(1, session(1), k, "w1")
	c.spread()
	f := c.flushes[0][0]
	c.flushes[0] = nil
	foreign := Version{Value: []byte("foreign"), Stamp: ForeignStamp}
	c.step(0, Input{Kind: InputLoaded, Load: &LoadResult{ID: l.ID, Key: l.Key, Status: LoadForeign, Version: foreign}})
	c.spread() // the import is visible
	s := session(2)
	if got := c.read(1, s, k); got != "foreign" {
		t.Fatal(got)
	}
	c.write(1, s, k, "after foreign")
	c.spread()
	c.flushed(0, FlushResult{Key: f.Version.Key, Stamp: f.Version.Stamp, Status: FlushForeign, Found: foreign})
	c.spread()
	if got := c.read(1, s, k); got != "after foreign" {
		t.Errorf("read %q: the same foreign value was imported again, over a write that had replaced it", got)
	}
}

// TestOneFlushPerKey: a key that is made dirty again while it is queued or under way is
// flushed once at a time.
func TestOneFlushPerKey(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) { cfg.Store = true })
	k, other := keyAt(0, 2, 0), keyAt(0, 2, 1)
	// pause flushes
	c.write(1, session(1), other, "x")
	c.spread()
	// a load is under way for k; then a write of k becomes stable and waits in the queue
	c.ask(0, &Request{ID: RequestID{9, 1}, Op: OpRead, Epoch: 7, Keys: byteKeys(k)})
	f := c.flushes[0][0]
	c.flushes[0] = nil
	c.flushed(0, FlushResult{Key: f.Version.Key, Stamp: f.Version.Stamp, Status: FlushFailed})
	c.write(1, session(2), k, "w")
	c.spread()
	// the load finds a higher version of an earlier epoch: reissue
	c.loaded(0, LoadFound, Version{Value: []byte("old"), Epoch: 6, Dot: Dot{1, 0, 4}, Stamp: Stamp{c.now.Add(30 * time.Second), 0}})
	c.spread()
	c.now = c.now.Add(time.Second)
	c.tick(0)
	seen := map[string]int{}
	for _, f := range c.flushes[0] {
		seen[string(f.Version.Key)]++
	}
	if seen[k] != 1 {
		t.Errorf("%d flushes of one key at a time, want 1", seen[k])
	}
	c.flushAll(0)
	if n := c.servers[0].home.flush.inFlight; n != 0 {
		t.Errorf("%d flushes counted under way, there is none", n)
	}
}
