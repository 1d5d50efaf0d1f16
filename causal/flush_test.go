package causal

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// flushCluster is two servers with a database; key is homed at server 0, the
// session writes at server 1, so that what server 0 does follows from S alone.
func flushCluster(t testing.TB) (c *cluster, s *Session, key string) {
	return newCluster(t, 2, withStore), session(1), keyAt(0, 2, 0)
}

func (c *cluster) put(s *Session, key, value string) {
	c.t.Helper()
	c.write(1, s, key, value)
	c.spread()
}

// takeFlush takes the oldest flush that server 0 has asked for.
func (c *cluster) takeFlush() FlushRequest {
	c.t.Helper()
	if len(c.flushes[0]) == 0 {
		c.t.Fatal("no flush")
	}
	f := c.flushes[0][0]
	c.flushes[0] = c.flushes[0][1:]
	return f
}

func outcome(f FlushRequest, status FlushStatus, found Version) FlushResult {
	return FlushResult{Key: f.Version.Key, Stamp: f.Version.Stamp, Status: status, Found: found}
}

// TestFlushCoalesces: one flush per key at a time, and of what came meanwhile only
// the newest.
func TestFlushCoalesces(t *testing.T) {
	c, s, k := flushCluster(t)
	for i := range 5 {
		c.put(s, k, fmt.Sprint("v", i))
	}
	f := c.takeFlush()
	if len(c.flushes[0]) != 0 || string(f.Version.Value) != "v0" || f.Over != nil {
		t.Fatalf("flushes %s and %d more", f.Version.Value, len(c.flushes[0]))
	}
	c.flushed(0, outcome(f, FlushDone, Version{}))
	if f = c.takeFlush(); string(f.Version.Value) != "v4" {
		t.Errorf("then flushes %s, want the newest", f.Version.Value)
	}
	c.flushed(0, outcome(f, FlushDone, Version{}))
	if st := c.servers[0].Status(); len(c.flushes[0]) != 0 || st.Dirty != 0 || st.Counters.Flushes != 2 {
		t.Errorf("%d dirty keys, %d flushes", st.Dirty, st.Counters.Flushes)
	}
	if len(c.flushes[1]) != 0 {
		t.Error("a server flushed a key whose home it is not")
	}
}

func TestFlushesAtOnce(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.Store = true; cfg.Limits.FlushesAtOnce = 2 })
	for i := range 5 {
		c.write(0, session(uint64(i)+1), fmt.Sprint("k", i), "v")
	}
	if len(c.flushes[0]) != 2 {
		t.Fatalf("%d flushes at once, the limit is 2", len(c.flushes[0]))
	}
	c.flushAll(0) // each answer lets another begin
	if st := c.servers[0].Status(); st.Dirty != 0 || st.Counters.Flushes != 5 {
		t.Errorf("%d dirty, %d flushed", st.Dirty, st.Counters.Flushes)
	}
}

// TestOnlyStableIsFlushed: what is in flight does not reach the database.
func TestOnlyStableIsFlushed(t *testing.T) {
	c := newCluster(t, 3, withStore)
	c.write(0, session(1), keyAt(0, 3, 0), "v")
	c.tick(0)
	if len(c.flushes[0]) != 0 {
		t.Error("a write was flushed before it was stable")
	}
}

// TestFlushVector: F covers what S covers but for what is dirty, grows with every
// flush, and is announced to all.
func TestFlushVector(t *testing.T) {
	c, s, k := flushCluster(t)
	other := keyAt(0, 2, 1)
	elsewhere := keyAt(1, 2, 0)
	flushed := func() Counter { c.tick(0); return c.servers[0].Status().Flushed[1] }
	c.put(s, elsewhere, "v") // dot 1
	if got := flushed(); got != 1 {
		t.Fatalf("F is %d: other homes' keys are none of ours", got)
	}
	c.put(s, k, "v")     // dot 2
	c.put(s, other, "v") // dot 3
	f, g := c.takeFlush(), c.takeFlush()
	if got := flushed(); got != 1 {
		t.Fatalf("F is %d with 2 and 3 dirty", got)
	}
	c.flushed(0, outcome(g, FlushDone, Version{}))
	if got := flushed(); got != 1 {
		t.Fatalf("F is %d with 2 dirty", got)
	}
	c.put(s, k, "w") // dot 4 supersedes dot 2
	if got := flushed(); got != 3 {
		t.Fatalf("F is %d with 4 dirty, which superseded 2", got)
	}
	c.flushed(0, outcome(f, FlushDone, Version{}))
	if got := flushed(); got != 3 {
		t.Fatalf("F is %d: the older version's flush does not count for the newer", got)
	}
	c.flushAll(0)
	if got := flushed(); got != 4 {
		t.Fatalf("F is %d with all flushed", got)
	}
	c.spread()
	if got := c.servers[1].home.flush.flushed[0]; got[1] != 4 {
		t.Errorf("the other server knows F=%v", got)
	}
}

// TestFailedFlush: what is not known to be done is done again, after a pause.
func TestFailedFlush(t *testing.T) {
	c, s, k := flushCluster(t)
	c.put(s, k, "v")
	c.flushed(0, outcome(c.takeFlush(), FlushFailed, Version{}))
	if len(c.flushes[0]) != 0 {
		t.Fatal("tries again at once")
	}
	c.now = c.now.Add(99 * time.Millisecond)
	c.tick(0)
	if len(c.flushes[0]) != 0 {
		t.Fatal("tries again before the pause is over")
	}
	c.now = c.now.Add(time.Millisecond)
	c.tick(0)
	if f := c.takeFlush(); string(f.Version.Value) != "v" {
		t.Errorf("flushes %q", f.Version.Value)
	}
}

// TestSupersededFlush: the database holds something higher from an earlier epoch;
// the acknowledged write is made again above it.
func TestSupersededFlush(t *testing.T) {
	c, s, k := flushCluster(t)
	c.put(s, k, "v")
	higher := oldVersion("old")
	higher.Stamp.Time = testStart.Add(30 * time.Second)
	c.flushed(0, outcome(c.takeFlush(), FlushSuperseded, higher))
	c.spread()
	f := c.takeFlush()
	if string(f.Version.Value) != "v" || !higher.Stamp.Less(f.Version.Stamp) {
		t.Errorf("flushes %q at %v, the database is at %v", f.Version.Value, f.Version.Stamp, higher.Stamp)
	}
	c.flushed(0, outcome(f, FlushDone, Version{}))
	for i := range c.servers {
		if got := c.read(i, session(5), k); got != "v" {
			t.Errorf("server %d: read %q", i, got)
		}
	}
	st := c.servers[0].Status()
	if st.Dirty != 0 || st.Counters.Reissued != 1 || len(c.events) != 1 || c.events[0].Kind != EventReissued {
		t.Errorf("%d dirty, %d reissued, events %v", st.Dirty, st.Counters.Reissued, c.events)
	}
	// A flush that found a newer one of ours is simply over.
	c.put(s, k, "w")
	slow := c.takeFlush()
	c.put(s, k, "x")
	found := *slow.Version
	c.flushed(0, outcome(slow, FlushSuperseded, found))
	if f := c.takeFlush(); string(f.Version.Value) != "x" {
		t.Errorf("flushes %q", f.Version.Value)
	}
}

func TestFencedFlush(t *testing.T) {
	c, s, k := flushCluster(t)
	c.put(s, k, "v")
	c.flushed(0, outcome(c.takeFlush(), FlushFenced, Version{}))
	c.now = c.now.Add(time.Hour)
	c.tick(0)
	if len(c.flushes[0]) != 0 {
		t.Error("flushes into a database of a later epoch")
	}
	for _, r := range []*Request{readRequest(1, k), writeRequest(5, 1, k, "v"), {Op: OpSync}} {
		wantCode(t, c.ask(0, r), CodeNotReady)
	}
	if !c.servers[0].Status().Fenced || len(c.events) != 1 || c.events[0].Kind != EventFenced {
		t.Errorf("events %v", c.events)
	}
}

// TestForeignFlush: another program has changed the key. Its value becomes a write
// of ours, and is then overwritten in the database by name.
func TestForeignFlush(t *testing.T) {
	c, s, k := flushCluster(t)
	c.put(s, k, "v")
	c.flushAll(0)
	c.put(s, k, "w")
	foreign := Version{Value: []byte("theirs"), Stamp: Stamp{testStart, 1}}
	c.flushed(0, outcome(c.takeFlush(), FlushForeign, foreign))
	c.tick(0)
	if len(c.flushes[0]) != 0 {
		t.Fatal("flushes before the import is visible")
	}
	c.spread()
	f := c.takeFlush()
	if string(f.Version.Value) != "theirs" || f.Over == nil || string(f.Over.Value) != "theirs" {
		t.Fatalf("flushes %q over %v", f.Version.Value, f.Over)
	}
	for i := range c.servers {
		if got := c.read(i, session(5), k); got != "theirs" {
			t.Errorf("server %d: read %q", i, got)
		}
	}
	if c.servers[0].Evict([]byte(k)) {
		t.Error("evicted before the import is in the database")
	}
	c.flushed(0, outcome(f, FlushDone, Version{}))
	c.tick(0)
	if n := len(c.servers[0].home.imports); n != 0 || !c.servers[0].Evict([]byte(k)) {
		t.Errorf("%d imports are left", n)
	}
	if st := c.servers[0].Status(); st.Counters.Imported != 1 || st.Dirty != 0 {
		t.Errorf("%d imported, %d dirty", st.Counters.Imported, st.Dirty)
	}
}

// TestForeignLoad: a foreign change found by a load is imported; who waits for the
// load is answered when the import is visible.
func TestForeignLoad(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		c := newCluster(t, n, withStore)
		k := keyAt(0, n, 0)
		c.park(0, 1, readRequest(1, k))
		if n > 1 {
			c.park(1, 2, readRequest(2, k))
			c.spread()
		}
		c.loaded(0, LoadForeign, Version{Value: []byte("theirs"), Stamp: Stamp{testStart, 0}})
		if n > 1 && c.taken(1) != nil {
			t.Fatal("answered before the import is visible")
		}
		c.settle()
		for client := ClientID(1); client <= ClientID(min(n, 2)); client++ {
			r := c.taken(client)
			wantCode(t, r, CodeOK)
			if v := r.Versions[0]; string(v.Value) != "theirs" || v.Dot.IsZero() || !r.Stability.Vector.Covers(v.Dot) {
				t.Errorf("%d servers: client %d read %q %v with S=%v", n, client, v.Value, v.Dot, r.Stability.Vector)
			}
		}
		if f := c.takeFlush(); f.Over == nil || string(f.Version.Value) != "theirs" {
			t.Errorf("flushes %q over %v", f.Version.Value, f.Over)
		}
		if len(c.events) != 1 || c.events[0].Kind != EventImported || string(c.events[0].Key) != k {
			t.Errorf("events %v", c.events)
		}
	}
}

func TestForeignDelete(t *testing.T) {
	c, s, k := flushCluster(t)
	c.put(s, k, "v")
	c.flushed(0, outcome(c.takeFlush(), FlushForeign, Version{Tombstone: true, Stamp: Stamp{testStart, 1}}))
	c.spread()
	if v := c.do(1, session(5), OpRead, "", k)[0]; !v.Tombstone {
		t.Errorf("read %q after another program's delete", v.Value)
	}
	if f := c.takeFlush(); !f.Version.Tombstone || f.Over == nil || !f.Over.Tombstone {
		t.Errorf("flushes %+v over %v", f.Version, f.Over)
	}
}

// TestAbsentThenForeign: who was told "absent" must not be told of a foreign value
// as if it had been there before: it is a new write.
func TestAbsentThenForeign(t *testing.T) {
	c := newCluster(t, 2, withStore)
	k := keyAt(0, 2, 0)
	c.park(0, 1, readRequest(1, k))
	c.loaded(0, LoadAbsent, Version{})
	wantCode(t, c.taken(1), CodeOK)
	if got := c.read(0, session(4), k); got != "" {
		t.Fatalf("read %q", got)
	}
	if !c.servers[0].Evict([]byte(k)) {
		t.Fatal("not evicted")
	}
	c.park(0, 2, readRequest(2, k))
	c.loaded(0, LoadFound, Version{Value: []byte("theirs"), Stamp: ForeignStamp})
	c.spread()
	r := c.taken(2)
	wantCode(t, r, CodeOK)
	if v := r.Versions[0]; string(v.Value) != "theirs" || v.Dot.IsZero() || !ForeignStamp.Less(v.Stamp) {
		t.Errorf("read %q %v %v", v.Value, v.Dot, v.Stamp)
	}
	if got := c.read(1, session(5), k); got != "theirs" {
		t.Errorf("the other server reads %q", got)
	}
}

// TestImpossibleRecords in the database are errors, and do not stop the flushes.
func TestImpossibleRecords(t *testing.T) {
	for name, found := range map[string]Version{
		"a stamp far ahead": {Stamp: Stamp{Time: testStart.Add(time.Hour)}},
		"a long value":      {Value: make([]byte, DefaultLimits.ValueBytes+1)},
	} {
		for _, status := range []FlushStatus{FlushSuperseded, FlushForeign} {
			c, s, k := flushCluster(t)
			c.put(s, k, "v")
			r := outcome(c.takeFlush(), status, found)
			if err := c.step(0, Input{Kind: InputFlushed, Flush: &r}); err == nil || errors.Is(err, ErrPeer) {
				t.Errorf("%s: %v", name, err)
			}
			c.now = c.now.Add(time.Second)
			c.tick(0)
			if f := c.takeFlush(); string(f.Version.Value) != "v" {
				t.Errorf("%s: flushes %q", name, f.Version.Value)
			}
		}
	}
}
