package causal

import (
	"testing"
	"time"
)

// TestHeldRetriesAreBounded: retries of writes that wait for the successor count, too.
func TestHeldRetriesAreBounded(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) { cfg.Ack = AckReplicated; cfg.Limits.Waiters = 4 })
	for range 100 {
		c.ask(0, writeRequest(1, 1, "k", "v"))
	}
	if n := c.servers[0].Status().Held; n != 4 {
		t.Errorf("%d writes held, the limit is 4", n)
	}
}

// TestClientTimeKeepsTheRing: a client's time at the edge does not cut off its server.
func TestClientTimeKeepsTheRing(t *testing.T) {
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

// TestTTLStartsAtHybridTime: a server whose wall clock is behind gives a full life.
func TestTTLStartsAtHybridTime(t *testing.T) {
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

// TestLostAcknowledgementIsRepeated: when the way back was lost with it.
func TestLostAcknowledgementIsRepeated(t *testing.T) {
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

// TestNegativeLimitIsRefused: by NewServer, and not by a panic later.
func TestNegativeLimitIsRefused(t *testing.T) {
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("panic: %v", e)
		}
	}()
	if _, err := NewServer(Config{Replicas: 1, Epoch: 1, Limits: Limits{Remembered: -1}}, NewHeapTable()); err == nil {
		t.Error("accepted")
	}
}

// TestBeginNeedsAKey: an error, not a panic.
func TestBeginNeedsAKey(t *testing.T) {
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("panic: %v", e)
		}
	}()
	if _, err := session(1).Begin(OpWrite, nil, nil, 0); err == nil {
		t.Error("no error")
	}
}

// TestFinishTwice: a second reply answers nothing.
func TestFinishTwice(t *testing.T) {
	c := newCluster(t, 2, nil)
	s := session(1)
	q, err := s.Begin(OpWrite, byteKeys("k"), []byte("v"), 0)
	if err != nil {
		t.Fatal(err)
	}
	r := c.ask(0, q)
	if _, err := s.Finish(r); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(r); err == nil {
		t.Errorf("a second Finish has no error; own writes: %d", len(s.Context().Own))
	}
}

// TestSuccessorHasMoreOfOurs: then this server has lost its state.
func TestSuccessorHasMoreOfOurs(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.cut(0, 1)
	err := c.step(0, Input{Kind: InputLinkUp, Peer: 1, Received: VectorClock{3, 0}})
	if err == nil {
		t.Error("the successor has 3 writes of ours, we made 0: no error")
	}
}

// TestStampOfAnother: a stamp has the origin of its dot, or two could be equal.
func TestStampOfAnother(t *testing.T) {
	c := newCluster(t, 3, nil)
	v := &Version{Key: []byte("k"), Dot: Dot{Origin: 2, Counter: 1}, Stamp: Stamp{c.now, 1}, Epoch: 7}
	if err := c.step(0, Input{Kind: InputMessage, Peer: 2, Message: &Message{Kind: MessageRing, Epoch: 7, Entries: []RingEntry{{Version: v}}}}); err == nil {
		t.Error("stamp of server 1 on a dot of server 2: no error")
	}
}

// TestKnowDropsWhatIsCovered: a vector above all others stands alone.
func TestKnowDropsWhatIsCovered(t *testing.T) {
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

// TestTimeNeverGoesBack: though the caller's clock does.
func TestTimeNeverGoesBack(t *testing.T) {
	c := newCluster(t, 1, nil)
	q := &Request{ID: RequestID{9, 1}, Op: OpSync}
	a := c.ask(0, q).Time
	c.now -= Time(time.Second)
	if b := c.ask(0, q).Time; b < a {
		t.Errorf("the server's hybrid time went back by %v", a.Sub(b))
	}
}

// TestFinishedLoadsAreLetGo: also behind one that is stuck.
func TestFinishedLoadsAreLetGo(t *testing.T) {
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

// TestMissReplyHasNoDeps: what is visible depends on nothing that is not.
func TestMissReplyHasNoDeps(t *testing.T) {
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

// TestExpiredCountsOnce: however small the table is.
func TestExpiredCountsOnce(t *testing.T) {
	c := newCluster(t, 1, nil)
	r := writeRequest(1, 1, "k", "value")
	r.TTL = time.Second
	wantCode(t, c.ask(0, r), CodeOK)
	for _, want := range []uint64{0, 1, 1} {
		c.tick(0)
		if n := c.servers[0].Status().Counters.Expired; n != want {
			t.Errorf("%v after a write with a second to live: %d expired, want %d", c.now.Sub(testStart), n, want)
		}
		c.now = c.now.Add(2 * time.Second)
	}
}

// TestHeartbeatAllocatesNothing: not even in a ring of 64.
func TestHeartbeatAllocatesNothing(t *testing.T) {
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
