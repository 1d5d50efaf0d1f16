package causal

import (
	"testing"
	"time"
)

// Each of these was a bug that a review found.

// n=1, load returns higher earlier-epoch version while write dirty: reissued write overwritten.
func TestReissueLostInRingOfOne(t *testing.T) {
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

// home has an earlier epoch's higher version; a write below it diverges.
func TestWriteBelowEarlierEpochDiverges(t *testing.T) {
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
	if a != b {
		t.Errorf("servers have settled on different values: %q and %q", a, b)
	}
}

// retries of held writes are not bounded.
func TestHeldRetriesBounded(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) { cfg.Ack = AckReplicated; cfg.Limits.Waiters = 4 })
	for range 100 {
		c.ask(0, writeRequest(1, 1, "k", "v"))
	}
	if n := c.servers[0].Status().Held; n > 4 {
		t.Errorf("%d writes held, the limit is 4", n)
	}
}

// client time at the skew limit makes peers drop the link.
func TestClientTimeCutsRing(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.skew[1] = -10 * time.Millisecond
	r := writeRequest(1, 1, "k", "v")
	r.Time = c.now.Add(time.Minute)
	wantCode(t, c.ask(0, r), CodeOK)
	c.pull(0)
	if err := c.deliver(0, 1); err != nil {
		t.Errorf("one client's time breaks the link: %v", err)
	}
}

// TTL with hybrid ahead of wall.
func TestTTLBornDead(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.skew[0] = 20 * time.Second
	c.write(0, session(1), "a", "1")
	c.settle()
	r := writeRequest(2, 1, "k", "v")
	r.TTL = 10 * time.Second
	wantCode(t, c.ask(1, r), CodeOK)
	c.spread()
	if got := c.read(1, session(3), "k"); got != "v" {
		t.Errorf("read %q: a write with 10 s to live was dead at birth", got)
	}
}

// replicated ack: the acknowledgement is lost while the back link is down.
func TestLostAck(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.Ack = AckReplicated })
	c.cut(1, 0)
	c.cut(1, 2) // S cannot rise
	if r := c.ask(0, writeRequest(1, 1, "k", "v")); r != nil {
		t.Fatal("not held")
	}
	c.pass(0)
	c.connect(1, 0)
	for range 5 {
		c.settle()
	}
	if n := c.servers[0].Status().Held; n != 0 {
		t.Errorf("%d writes held, though the successor has them and all its links to here are up", n)
	}
}

// negative limits
func TestNegativeLimit(t *testing.T) {
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("panic: %v", e)
		}
	}()
	s, err := NewServer(Config{Replicas: 1, Epoch: 1, Limits: Limits{Remembered: -1}}, NewHeapTable())
	if err != nil {
		return
	}
	var out Output
	s.Step(&Input{Now: 1000, Kind: InputRequest, Request: writeRequest(1, 1, "k", "v")}, &out)
	s.Step(&Input{Now: 1000, Kind: InputRequest, Request: &Request{ID: RequestID{1, 1}, Epoch: 1, Op: OpWrite, Keys: byteKeys("k")}}, &out)
}

// Begin without key
func TestBeginNoKey(t *testing.T) {
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("panic: %v", e)
		}
	}()
	if _, err := session(1).Begin(OpWrite, nil, nil, 0); err == nil {
		t.Error("no error")
	}
}

// finish twice
func TestFinishTwice(t *testing.T) {
	c := newCluster(t, 2, nil)
	s := session(1)
	q, _ := s.Begin(OpWrite, byteKeys("k"), []byte("v"), 0)
	r := c.ask(0, q)
	s.Finish(r)
	if _, err := s.Finish(r); err == nil {
		t.Errorf("a second Finish has no error; own writes: %d", len(s.Context().Own))
	}
}

// linkUp with a successor that has more of our writes than we made.
func TestSuccessorHasMoreOfOurs(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.cut(0, 1)
	err := c.step(0, Input{Kind: InputLinkUp, Peer: 1, Received: VectorClock{3, 0}})
	if err == nil {
		t.Error("the successor has 3 writes of ours, we made 0: no error")
	}
}

// stamp origin differs from dot's.
func TestStampOfAnother(t *testing.T) {
	c := newCluster(t, 3, nil)
	v := &Version{Key: []byte("k"), Dot: Dot{Origin: 2, Counter: 1}, Stamp: Stamp{c.now, 1}, Epoch: 7}
	if err := c.step(0, Input{Kind: InputMessage, Peer: 2, Message: &Message{Kind: MessageRing, Epoch: 7, Entries: []RingEntry{{Version: v}}}}); err == nil {
		t.Error("stamp of server 1 on a dot of server 2: no error")
	}
}

// redundant vectors count as branches
func TestKnowRedundant(t *testing.T) {
	a := SignedVector{VectorClock{1, 0}, Tag{1}}
	b := SignedVector{VectorClock{0, 1}, Tag{2}}
	ab := SignedVector{VectorClock{1, 1}, Tag{3}}
	var c Context
	c.know(a)
	c.know(b)
	c.know(ab)
	if len(c.Known) != 1 {
		t.Errorf("%d vectors, one covers all", len(c.Known))
	}
}

// a FlushDone of an older flush forgets an import that began meanwhile.
func TestFlushDoneForgetsImport(t *testing.T) {
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

// a flush that set out before the import comes back foreign after it.
func TestImportedTwice(t *testing.T) {
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

// two flushes of one key at a time; the count of flushes leaks.
func TestFlushTwiceAtOnce(t *testing.T) {
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
	if seen[k] > 1 {
		t.Errorf("%d flushes of one key at a time", seen[k])
	}
	c.flushAll(0)
	if n := c.servers[0].home.flush.inFlight; n != 0 {
		t.Errorf("%d flushes counted under way, there is none", n)
	}
}

// hybrid time goes back with the wall clock.
func TestTimeGoesBack(t *testing.T) {
	c := newCluster(t, 1, nil)
	q := &Request{ID: RequestID{9, 1}, Op: OpSync}
	a := c.ask(0, q).Time
	c.now -= Time(time.Second)
	if b := c.ask(0, q).Time; b < a {
		t.Errorf("the server's hybrid time went back by %v", a.Sub(b))
	}
}

// order of loads grows beyond its limit
func TestLoadOrderGrows(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.Store = true; cfg.Limits.Loads = 4 })
	c.ask(0, &Request{ID: RequestID{9, 1}, Op: OpRead, Keys: byteKeys("stuck")})
	c.loads[0] = nil
	for i := range 1000 {
		c.ask(0, &Request{ID: RequestID{9, uint32(2 + i)}, Op: OpRead, Keys: byteKeys("k" + string(rune('a'+i)))})
		c.loaded(0, LoadAbsent, Version{})
	}
	if n := len(c.servers[0].home.order); n > 16 {
		t.Errorf("%d loads kept, the limit is 4", n)
	}
}

// waiting reads copy all their keys
func TestMissReplyDeps(t *testing.T) {
	c := newCluster(t, 2, withStore)
	k := keyAt(0, 2, 0)
	s := session(1)
	c.write(0, s, "other", "x")
	c.write(1, s, k, "v")
	c.spread()
	var v Version
	c.tables[0].Get([]byte(k), &v)
	c.servers[0].answerMiss(remoteWaiter{1, 1}, []byte(k), &v, CodeOK, &c.out)
	m := c.out.Messages[len(c.out.Messages)-1].Message
	if len(m.Version.Deps) > 0 {
		t.Errorf("a miss reply carries %d dependencies of a stable version", len(m.Version.Deps))
	}
}

func TestExpiredCount(t *testing.T) {
	c := newCluster(t, 1, nil)
	r := writeRequest(1, 1, "k", "value")
	r.TTL = time.Second
	c.ask(0, r)
	c.now = c.now.Add(2 * time.Second)
	c.tick(0)
	if n := c.servers[0].Status().Counters.Expired; n != 1 {
		t.Errorf("one version expired, counted %d", n)
	}
}

func TestHeartbeatAllocs64(t *testing.T) {
	s, err := NewServer(Config{Self: 62, Replicas: 64, Epoch: 7, Limits: Limits{PendingBytes: 1 << 30}}, NewHeapTable())
	if err != nil {
		t.Fatal(err)
	}
	var out Output
	in := Input{Kind: InputMessage, Peer: 61, Now: testStart, Message: &Message{Kind: MessageRing, Epoch: 7}}
	n := testing.AllocsPerRun(1000, func() { out.Reset(); s.Step(&in, &out) })
	if n > 0 {
		t.Errorf("a heartbeat without news allocates %v times in a ring of 64", n)
	}
}
