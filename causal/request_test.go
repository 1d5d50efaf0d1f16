package causal

import (
	"testing"
	"time"
)

// smallLimits are limits that a test reaches.
var smallLimits = Limits{
	KeyBytes: 16, ValueBytes: 64, BatchKeys: 4, BatchBytes: 100, Branches: 2, PendingBytes: 2000,
	Loads: 4, Waiters: 3, Remembered: 4, TTL: time.Hour,
}

func withSmallLimits(cfg *Config) { cfg.Limits = smallLimits }

// TestBadRequests: each error code for each request that deserves it. The server
// goes on as if nothing had come.
func TestBadRequests(t *testing.T) {
	long := string(make([]byte, 65))
	for _, c := range []struct {
		name string
		r    Request
		want Code
	}{
		{"no operation", Request{}, CodeBadRequest},
		{"an unknown operation", Request{Op: OpSync + 1}, CodeBadRequest},
		{"another epoch", Request{Op: OpSync, Epoch: 6}, CodeEpoch},
		{"a read of no key", Request{Op: OpRead}, CodeBadRequest},
		{"a read of two keys", Request{Op: OpRead, Keys: byteKeys("a", "b")}, CodeBadRequest},
		{"a write of no key", Request{Op: OpWrite}, CodeBadRequest},
		{"a write of two keys", Request{Op: OpWrite, Keys: byteKeys("a", "b")}, CodeBadRequest},
		{"a delete of no key", Request{Op: OpDelete}, CodeBadRequest},
		{"a transaction over no key", Request{Op: OpReadMany}, CodeBadRequest},
		{"a transaction over too many", Request{Op: OpReadMany, Keys: byteKeys("a", "b", "c", "d", "e")}, CodeTooLarge},
		{"an empty key", Request{Op: OpRead, Keys: byteKeys("")}, CodeBadRequest},
		{"an empty key among others", Request{Op: OpReadMany, Keys: byteKeys("a", "")}, CodeBadRequest},
		{"a long key", Request{Op: OpRead, Keys: byteKeys("12345678901234567")}, CodeTooLarge},
		{"a long value", Request{Op: OpWrite, Keys: byteKeys("a"), Value: []byte(long)}, CodeTooLarge},
		{"a negative time to live", Request{Op: OpWrite, Keys: byteKeys("a"), TTL: -1}, CodeBadRequest},
		{"a long time to live", Request{Op: OpWrite, Keys: byteKeys("a"), TTL: time.Hour + 1}, CodeBadRequest},
		{"a time far ahead", Request{Op: OpSync, Time: testStart.Add(2 * time.Minute)}, CodeClock},
		{"the last time there is", Request{Op: OpSync, Time: 1<<64 - 1}, CodeClock},
		{"too many vectors", Request{Op: OpSync, Known: make([]SignedVector, 3)}, CodeTooLarge},
		{"a vector ahead of R", Request{Op: OpSync, Known: []SignedVector{known(0, 0, 1)}}, CodeFutureContext},
		{"a vector for more servers", Request{Op: OpSync, Known: []SignedVector{known(0, 0, 0, 0, 1)}}, CodeFutureContext},
		{"a good vector and one ahead of R", Request{Op: OpSync, Known: []SignedVector{known(0), known(0, 9)}}, CodeFutureContext},
		{"more own writes than servers", Request{Op: OpWrite, Keys: byteKeys("a"), Own: make([]SignedDot, 4)}, CodeTooLarge},
		{"an own write of no server", Request{Op: OpWrite, Keys: byteKeys("a"), Own: []SignedDot{{Dot: Dot{Origin: 3, Counter: 1}}}}, CodeBadRequest},
		{"an own write of another life", Request{Op: OpWrite, Keys: byteKeys("a"), Own: []SignedDot{{Dot: Dot{Incarnation: 1, Counter: 1}}}}, CodeBadRequest},
		{"an own write not made yet", Request{Op: OpWrite, Keys: byteKeys("a"), Own: []SignedDot{{Dot: Dot{Counter: 1}}}}, CodeFutureContext},
	} {
		cl := newCluster(t, 3, withSmallLimits)
		c.r.ID = RequestID{9, 9}
		r := cl.ask(0, &c.r)
		if r == nil || r.Code != c.want || r.Detail == "" || r.ID != c.r.ID || r.Op != c.r.Op {
			t.Errorf("%s: %+v, want %v with a detail", c.name, r, c.want)
			continue
		}
		if r.Epoch != 7 || r.Time < testStart || len(r.Stability.Vector) != 3 {
			t.Errorf("%s: the refusal lacks what every reply says: %+v", c.name, r)
		}
		if st := cl.servers[0].Status(); st.Pending != 0 || st.Counters.Refused != 1 {
			t.Errorf("%s: %d writes pending, %d refused", c.name, st.Pending, st.Counters.Refused)
		}
		wantCode(t, cl.ask(0, writeRequest(1, 1, "k", "v")), CodeOK)
	}
}

// TestForgedRequests: under a cluster key a vector or a dot without its tag changes
// nothing; those of replies are taken everywhere.
func TestForgedRequests(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) { cfg.Key = []byte("the cluster's key") })
	writer := session(1)
	c.write(0, writer, "k", "v")
	dot := writer.Context().Own[0]
	c.pass(0) // the tail knows that it is everywhere, the head does not
	c.do(1, writer, OpSync, "")
	good := writer.Context().clone().Known[0]
	if !good.Vector.Equal(VectorClock{1, 0}) {
		t.Fatalf("the session knows %v", good.Vector)
	}
	forged := good
	forged.Tag[3] ^= 1
	for name, r := range map[string]*Request{
		"a vector": {Op: OpSync, Known: []SignedVector{forged}},
		"a dot":    {Op: OpWrite, Keys: byteKeys("x"), Own: []SignedDot{{Dot: dot.Version.Dot}}},
		"a dot that is nobody's": {Op: OpWrite, Keys: byteKeys("x"),
			Own: []SignedDot{{Dot: Dot{Origin: 1, Counter: 5}, Tag: dot.Tag}}},
	} {
		wantCode(t, c.ask(0, r), CodeForged)
		if !c.servers[0].Stability().Equal(nil) {
			t.Errorf("%s raised S to %v", name, c.servers[0].Stability())
		}
	}
	if n := c.servers[0].Status().Counters.Forged; n != 3 {
		t.Errorf("%d forgeries counted, want 3", n)
	}
	wantCode(t, c.ask(0, &Request{Op: OpWrite, Keys: byteKeys("x"), Own: []SignedDot{{Dot: dot.Version.Dot, Tag: dot.Tag}}}), CodeOK)
	r := c.ask(0, &Request{Op: OpSync, Known: []SignedVector{good}})
	wantCode(t, r, CodeOK)
	if !r.Stability.Vector.Equal(VectorClock{1, 0}) || r.Stability.Tag != good.Tag {
		t.Errorf("S is %v after the context was adopted; every server signs alike", r.Stability.Vector)
	}
	// What is stable needs no proof: it is no dependency any more.
	wantCode(t, c.ask(0, &Request{Op: OpWrite, Keys: byteKeys("y"), Own: []SignedDot{{Dot: dot.Version.Dot}}}), CodeOK)
}

func TestPendingLimit(t *testing.T) {
	c := newCluster(t, 2, withSmallLimits)
	n := uint32(0)
	for ; ; n++ {
		if r := c.ask(0, writeRequest(1, n+1, "k", "v")); r.Code != CodeOK {
			wantCode(t, r, CodeOverloaded)
			break
		}
	}
	if got := c.servers[0].Status().PendingBytes; got > 1000 || n == 0 {
		t.Errorf("%d bytes pending after %d writes, the share is 1000", got, n)
	}
	// The other head has a share of its own, and the first recovers with the ring.
	wantCode(t, c.ask(1, writeRequest(2, 1, "k", "v")), CodeOK)
	c.settle()
	wantCode(t, c.ask(0, writeRequest(1, n+2, "k", "v")), CodeOK)
	if r := c.ask(0, &Request{Op: OpRead, Keys: byteKeys("k")}); string(r.Versions[0].Value) != "v" {
		t.Errorf("read %q", r.Versions[0].Value)
	}
}

func TestDraining(t *testing.T) {
	c := newCluster(t, 2, nil)
	first := writeRequest(1, 1, "k", "v")
	wantCode(t, c.ask(0, first), CodeOK)
	c.servers[0].Drain()
	wantCode(t, c.ask(0, writeRequest(1, 2, "k", "v")), CodeOverloaded)
	wantCode(t, c.ask(0, first), CodeOK) // a retry is no new write
	wantCode(t, c.ask(0, &Request{Op: OpRead, Keys: byteKeys("k")}), CodeOK)
	if !c.servers[0].Status().Draining {
		t.Error("the status does not say so")
	}
}

// TestRetriesAreDoneOnce: the same request again has the same outcome, until others
// have taken its place in the memory.
func TestRetriesAreDoneOnce(t *testing.T) {
	c := newCluster(t, 2, withSmallLimits)
	q := writeRequest(1, 1, "k", "v")
	first := c.ask(0, q)
	for range 5 {
		r := c.ask(0, q)
		wantCode(t, r, CodeOK)
		if r.Written.Dot != first.Written.Dot || r.Written.Stamp != first.Written.Stamp {
			t.Fatalf("the retry became %v, the write was %v", r.Written.Dot, first.Written.Dot)
		}
	}
	st := c.servers[0].Status()
	if st.Counters.Writes != 1 || st.Counters.Retries != 5 || st.Received[0] != 1 {
		t.Errorf("%d writes, %d retries, R=%v", st.Counters.Writes, st.Counters.Retries, st.Received)
	}
	for s := uint64(2); s <= 5; s++ { // four others: the limit
		c.ask(0, writeRequest(s, 1, "x", ""))
		c.settle()
	}
	if r := c.ask(0, q); r.Written.Dot == first.Written.Dot {
		t.Error("five sessions are remembered, the limit is 4")
	}
}

// TestStrayCopiesAreRefused: an older request of the session that comes late, when
// the session has long gone on, is not carried out again.
func TestStrayCopiesAreRefused(t *testing.T) {
	c := newCluster(t, 1, nil)
	first := writeRequest(1, 1, "k", "first")
	wantCode(t, c.ask(0, first), CodeOK)
	wantCode(t, c.ask(0, writeRequest(1, 2, "k", "second")), CodeOK)
	wantCode(t, c.ask(0, first), CodeBadRequest)
	if got := c.read(0, session(2), "k"); got != "second" {
		t.Errorf("read %q: the stray copy was carried out", got)
	}
}

func replicated(cfg *Config) { cfg.Ack = AckReplicated }

func TestReplicatedAck(t *testing.T) {
	const client = 5
	held := func(t *testing.T, n int) *cluster {
		c := newCluster(t, n, replicated)
		c.spread() // the word that comes with every new link
		if err := c.step(0, Input{Kind: InputRequest, Client: client, Request: writeRequest(1, 1, "k", "v")}); err != nil {
			t.Fatal(err)
		}
		if c.taken(client) != nil || c.servers[0].Status().Held != 1 {
			t.Fatal("acknowledged before the successor has it")
		}
		return c
	}
	acknowledged := func(t *testing.T, c *cluster) {
		t.Helper()
		r := c.taken(client)
		wantCode(t, r, CodeOK)
		if r.Written.Dot != (Dot{Counter: 1}) || r.ID != (RequestID{1, 1}) || c.servers[0].Status().Held != 0 {
			t.Errorf("reply %+v, %d held", r, c.servers[0].Status().Held)
		}
	}
	t.Run("by the successor's word", func(t *testing.T) {
		c := held(t, 3)
		c.pass(0)
		if c.taken(client) != nil {
			t.Fatal("acknowledged before word of it")
		}
		if err := c.deliver(1, 0); err != nil {
			t.Fatal(err)
		}
		acknowledged(t, c)
	})
	t.Run("by what everyone has", func(t *testing.T) {
		c := held(t, 3)
		c.cut(1, 0)
		c.pass(0)
		c.pass(1) // the tail
		c.pass(2) // says that everyone has it
		acknowledged(t, c)
	})
	t.Run("by a new link", func(t *testing.T) {
		c := held(t, 3)
		c.cut(1, 0)
		c.pass(0)
		c.cut(0, 1)
		c.connect(0, 1)
		acknowledged(t, c)
	})
	t.Run("while it is held, a retry waits too", func(t *testing.T) {
		c := held(t, 3)
		q := writeRequest(1, 1, "k", "v")
		if err := c.step(0, Input{Kind: InputRequest, Client: 6, Request: q}); err != nil {
			t.Fatal(err)
		}
		if c.taken(6) != nil {
			t.Fatal("the retry is acknowledged at once")
		}
		c.pass(0)
		if err := c.deliver(1, 0); err != nil {
			t.Fatal(err)
		}
		r := c.taken(6)
		wantCode(t, r, CodeOK)
		if r.Written.Dot != (Dot{Counter: 1}) || c.servers[0].Status().Counters.Writes != 1 {
			t.Errorf("the retry became %v", r.Written.Dot)
		}
		wantCode(t, c.ask(0, q), CodeOK) // and afterwards at once
	})
	t.Run("not by a stale word", func(t *testing.T) {
		c := held(t, 3)
		m := &Message{Kind: MessageAck, Epoch: 7, Vector: VectorClock{0, 0, 0}}
		if err := c.step(0, Input{Kind: InputMessage, Peer: 1, Message: m}); err != nil {
			t.Fatal(err)
		}
		if c.taken(client) != nil {
			t.Error("acknowledged by a word from before the write")
		}
	})
	t.Run("at most so many", func(t *testing.T) {
		c := newCluster(t, 2, func(cfg *Config) { withSmallLimits(cfg); replicated(cfg); cfg.Limits.PendingBytes = 1 << 20 })
		for s := uint64(1); s <= 3; s++ {
			if r := c.ask(0, writeRequest(s, 1, "k", "v")); r != nil {
				t.Fatalf("not held: %+v", r)
			}
		}
		wantCode(t, c.ask(0, writeRequest(4, 1, "k", "v")), CodeOverloaded)
	})
}

func TestDelete(t *testing.T) {
	c := newCluster(t, 3, nil)
	s, other := session(1), session(2)
	c.write(0, s, "k", "v")
	c.settle()
	if got := c.read(2, other, "k"); got != "v" {
		t.Fatalf("read %q", got)
	}
	c.do(1, s, OpDelete, "", "k")
	if v := c.do(2, s, OpRead, "", "k")[0]; !v.Tombstone || v.Value != nil || v.Absent() {
		t.Errorf("its own delete reads %+v", v)
	}
	if got := c.read(2, other, "k"); got != "v" {
		t.Errorf("another session reads %q before the delete is stable", got)
	}
	c.settle()
	for i := range c.servers {
		if v := c.do(i, session(3), OpRead, "", "k")[0]; !v.Tombstone || v.Value != nil {
			t.Errorf("server %d holds %+v", i, v)
		}
	}
	c.write(1, s, "k", "again")
	c.settle()
	if got := c.read(0, other, "k"); got != "again" {
		t.Errorf("read %q after a write over the delete", got)
	}
}

// TestExpiryIsCausal: whoever depends on a session that saw a value expire finds it
// expired too, on a server whose wall clock has not come so far.
func TestExpiryIsCausal(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.skew[2] = -5 * time.Second
	r := writeRequest(1, 1, "k", "v")
	r.TTL = 10 * time.Second
	w := c.ask(0, r)
	wantCode(t, w, CodeOK)
	if want := testStart.Add(10 * time.Second); w.Written.Deadline != want {
		t.Errorf("deadline %d, want %d", w.Written.Deadline, want)
	}
	c.settle()
	a, b := session(2), session(3)
	if got := c.read(0, a, "k"); got != "v" {
		t.Fatalf("read %q before the deadline", got)
	}
	c.now = testStart.Add(11 * time.Second)
	if got := c.read(2, b, "k"); got != "v" {
		t.Fatalf("read %q where it is before the deadline", got)
	}
	if v := c.do(0, a, OpRead, "", "k")[0]; !v.Tombstone || v.Value != nil {
		t.Fatalf("past its deadline: %+v", v)
	}
	if got := a.Context().Time; got < w.Written.Deadline {
		t.Errorf("the session saw it expired and is at %d, before the deadline", got)
	}
	if v := c.do(2, a, OpRead, "", "k")[0]; !v.Tombstone {
		t.Errorf("the session reads %q again after it saw it expired", v.Value)
	}
	c.write(0, a, "effect", "x")
	c.settle()
	if got := c.read(2, b, "effect"); got != "x" {
		t.Fatalf("read %q", got)
	}
	if v := c.do(2, b, OpRead, "", "k")[0]; !v.Tombstone {
		t.Errorf("reads %q after it read what was written past the deadline", v.Value)
	}
}

// TestSweepFreesExpired: an expired value's memory is freed by ticks alone, and
// without a database tombstones go in the end.
func TestSweepFreesExpired(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.TombstoneGrace = time.Minute })
	r := writeRequest(1, 1, "k", "value")
	r.TTL = time.Second
	wantCode(t, c.ask(0, r), CodeOK)
	wantCode(t, c.ask(0, &Request{ID: RequestID{1, 2}, Op: OpDelete, Keys: byteKeys("deleted")}), CodeOK)
	full := c.tables[0].Bytes()
	c.now = c.now.Add(2 * time.Second)
	c.tick(0)
	if got := c.tables[0].Bytes(); got != full-len("value") || c.servers[0].Status().Counters.Expired == 0 {
		t.Errorf("%d bytes after the deadline, %d before", got, full)
	}
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{57 * time.Second, 2}, {2 * time.Second, 1}, {time.Second, 0}} { // the delete is a second older than the deadline
		c.now = c.now.Add(step.after)
		c.tick(0)
		if c.tables[0].Len() != step.left {
			t.Errorf("%v after the writes %d tombstones are left, want %d", c.now.Sub(testStart), c.tables[0].Len(), step.left)
		}
	}
}

func TestReadManyLimits(t *testing.T) {
	c := newCluster(t, 1, withSmallLimits)
	value := string(make([]byte, 60))
	c.write(0, session(1), "a", value)
	c.write(0, session(2), "b", value)
	wantCode(t, c.ask(0, &Request{Op: OpReadMany, Keys: byteKeys("a")}), CodeOK)
	wantCode(t, c.ask(0, &Request{Op: OpReadMany, Keys: byteKeys("a", "b")}), CodeTooLarge)
	wantCode(t, c.ask(0, &Request{Op: OpReadMany, Keys: byteKeys("a", "c", "c")}), CodeOK)
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Self: 1, Replicas: 3, Epoch: 1}
	if _, err := NewServer(good, NewHeapTable()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no servers":            func(c *Config) { c.Replicas = 0 },
		"too many servers":      func(c *Config) { c.Replicas = MaxReplicas + 1 },
		"a server outside":      func(c *Config) { c.Self = 3 },
		"no epoch":              func(c *Config) { c.Epoch = 0 },
		"no one to replicate":   func(c *Config) { c.Self, c.Replicas, c.Ack = 0, 1, AckReplicated },
		"too little to pend in": func(c *Config) { c.Limits.PendingBytes = 1 << 20 },
		"too little memory":     func(c *Config) { c.MemoryBytes = 1 << 20 },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewServer(cfg, NewHeapTable()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
