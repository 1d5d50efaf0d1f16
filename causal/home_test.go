package causal

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// oldVersion is what an earlier epoch left in the database.
func oldVersion(value string) Version {
	return Version{Value: []byte(value), Dot: Dot{Origin: 1, Counter: 9}, Stamp: Stamp{testStart - 1000, 1}, Epoch: 6}
}

func readRequest(n uint32, keys ...string) *Request {
	op := OpRead
	if len(keys) > 1 {
		op = OpReadMany
	}
	return &Request{ID: RequestID{77, n}, Op: op, Epoch: 7, Keys: byteKeys(keys...)}
}

// park gives a read to a server that has to wait.
func (c *cluster) park(i int, client ClientID, r *Request) {
	c.t.Helper()
	if err := c.step(i, Input{Kind: InputRequest, Client: client, Request: r}); err != nil {
		c.t.Fatal(err)
	}
	if len(c.replies[client]) != 0 {
		c.t.Fatalf("server %d answers at once: %+v", i, c.replies[client])
	}
}

// TestMiss: a read elsewhere goes to the home, the home to the database; one flight
// serves all who wait, there and here.
func TestMiss(t *testing.T) {
	c := newCluster(t, 3, withStore)
	k := keyAt(1, 3, 0)
	c.park(0, 1, readRequest(1, k))
	c.park(0, 2, readRequest(2, k))
	c.park(2, 3, readRequest(3, k))
	c.park(1, 4, readRequest(4, k))
	if n := len(c.links[0][1].queue); n != 1 {
		t.Fatalf("%d misses for two readers of one key", n)
	}
	c.spread()
	if n := len(c.loads[1]); n != 1 || len(c.loads[0])+len(c.loads[2]) != 0 {
		t.Fatalf("%d loads at the home", n)
	}
	c.loaded(1, LoadFound, oldVersion("v"))
	c.spread()
	for client := ClientID(1); client <= 4; client++ {
		r := c.taken(client)
		wantCode(t, r, CodeOK)
		if v := r.Versions[0]; string(v.Value) != "v" || string(v.Key) != k || v.Epoch != 6 {
			t.Errorf("client %d read %+v", client, v)
		}
	}
	for i := range c.servers {
		if st := c.servers[i].Status(); st.LoadsNow != 0 || st.Parked != 0 {
			t.Errorf("server %d: %d loads, %d parked", i, st.LoadsNow, st.Parked)
		}
		if got := c.read(i, session(5), k); got != "v" { // now it is cached
			t.Errorf("server %d: read %q", i, got)
		}
	}
}

// TestLoadOutcomes: what a read that waits is told. A failure is never "absent".
func TestLoadOutcomes(t *testing.T) {
	tooLong := make([]byte, 65)
	for _, c := range []struct {
		name   string
		status LoadStatus
		v      Version
		want   Code
		value  string
		err    error
	}{
		{"found", LoadFound, oldVersion("v"), CodeOK, "v", nil},
		{"absent", LoadAbsent, Version{}, CodeOK, "", nil},
		{"foreign at first sight", LoadFound, Version{Value: []byte("f"), Stamp: ForeignStamp}, CodeOK, "f", nil},
		{"a tombstone", LoadFound, Version{Stamp: Stamp{Time: 9}, Tombstone: true, Epoch: 6}, CodeOK, "", nil},
		{"failed", LoadFailed, Version{}, CodeUnavailable, "", nil},
		{"of a later epoch", LoadFound, Version{Value: []byte("v"), Stamp: Stamp{Time: 9}, Epoch: 8}, CodeUnavailable, "", ErrEpoch},
		{"a stamp far ahead", LoadFound, Version{Stamp: Stamp{Time: testStart.Add(time.Hour)}, Epoch: 6}, CodeUnavailable, "", ErrClock},
		{"expired far ahead", LoadFound, Version{Stamp: Stamp{Time: 9}, Tombstone: true, Deadline: testStart.Add(time.Hour), Epoch: 6}, CodeUnavailable, "", ErrClock},
		{"not stable", LoadFound, Version{Stamp: Stamp{Time: 9}, Dot: Dot{Counter: 1}, Epoch: 7}, CodeUnavailable, "", ErrBadRequest},
		{"a long value", LoadFound, Version{Value: tooLong, Stamp: Stamp{Time: 9}, Epoch: 6}, CodeUnavailable, "", ErrTooLarge},
	} {
		cl := newCluster(t, 1, func(cfg *Config) { cfg.Store = true; cfg.Limits = smallLimits })
		cl.park(0, 1, readRequest(1, "k"))
		l := cl.loads[0][0]
		err := cl.step(0, Input{Kind: InputLoaded, Load: &LoadResult{ID: l.ID, Key: l.Key, Status: c.status, Version: c.v}})
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		r := cl.taken(1)
		if r == nil || r.Code != c.want || c.want == CodeOK && string(r.Versions[0].Value) != c.value {
			t.Errorf("%s: %+v, want %v %q", c.name, r, c.want, c.value)
		}
		if cl.servers[0].Status().Fenced {
			t.Errorf("%s: one record fences the whole server", c.name)
		}
		if st := cl.servers[0].Status(); st.LoadsNow != 0 || st.Parked != 0 {
			t.Errorf("%s: %d loads, %d parked are left", c.name, st.LoadsNow, st.Parked)
		}
	}
}

// TestLoadsEnd: a load that gets no answer ends by time-out or with the link, and
// what comes late is not believed.
func TestLoadsEnd(t *testing.T) {
	k := keyAt(1, 3, 0)
	miss := func(t *testing.T) *cluster {
		c := newCluster(t, 3, withStore)
		c.park(0, 1, readRequest(1, k))
		return c
	}
	t.Run("timed out, and answered late", func(t *testing.T) {
		c := miss(t)
		c.spread()
		c.loaded(1, LoadFound, oldVersion("old"))
		late := c.links[1][0].queue[len(c.links[1][0].queue)-1]
		c.links[1][0].queue = nil
		c.now = c.now.Add(1999 * time.Millisecond)
		c.tick(0)
		if c.taken(1) != nil {
			t.Fatal("failed before its time")
		}
		c.now = c.now.Add(time.Millisecond)
		c.tick(0)
		wantCode(t, c.taken(1), CodeUnavailable)
		if err := c.step(0, Input{Kind: InputMessage, Peer: 1, Message: &late}); err != nil {
			t.Fatal(err)
		}
		if c.tables[0].Len() != 0 || c.taken(1) != nil {
			t.Error("a late answer was installed")
		}
		c.park(0, 1, readRequest(2, k)) // the next read asks again, under a new id
		if err := c.step(0, Input{Kind: InputMessage, Peer: 1, Message: &late}); err != nil {
			t.Fatal(err)
		}
		if c.tables[0].Len() != 0 {
			t.Error("the answer to the last load was taken for this one's")
		}
	})
	t.Run("the link to the home is lost", func(t *testing.T) {
		c := miss(t)
		c.cut(0, 2)
		if c.taken(1) != nil {
			t.Fatal("failed for another link")
		}
		c.cut(0, 1)
		wantCode(t, c.taken(1), CodeUnavailable)
	})
	t.Run("there is no link to the home", func(t *testing.T) {
		c := newCluster(t, 3, withStore)
		c.cut(0, 1)
		wantCode(t, c.ask(0, readRequest(1, k)), CodeUnavailable)
		if st := c.servers[0].Status(); st.Parked != 0 || st.LoadsNow != 0 {
			t.Errorf("%d parked, %d loads", st.Parked, st.LoadsNow)
		}
	})
	t.Run("the home cannot load", func(t *testing.T) {
		c := miss(t)
		c.spread()
		c.loaded(1, LoadFailed, Version{})
		c.spread()
		wantCode(t, c.taken(1), CodeUnavailable)
	})
	t.Run("the database answers late", func(t *testing.T) {
		c := newCluster(t, 1, withStore)
		c.park(0, 1, readRequest(1, "k"))
		c.now = c.now.Add(2 * time.Second)
		c.tick(0)
		wantCode(t, c.taken(1), CodeUnavailable)
		c.park(0, 1, readRequest(2, "k")) // asks again, under a new id
		c.loaded(0, LoadFound, oldVersion("old"))
		if c.tables[0].Len() != 0 || c.taken(1) != nil {
			t.Error("a late answer was installed")
		}
		c.loaded(0, LoadFound, oldVersion("v"))
		r := c.taken(1)
		wantCode(t, r, CodeOK)
		if string(r.Versions[0].Value) != "v" {
			t.Errorf("read %q", r.Versions[0].Value)
		}
	})
}

// TestExpiredLoad: a version that the home calls expired is so at the requester, whose
// clock is behind: its replies are past the deadline.
func TestExpiredLoad(t *testing.T) {
	c := newCluster(t, 2, withStore)
	c.skew[0] = -10 * time.Second
	k := keyAt(1, 2, 0)
	deadline := testStart.Add(-time.Second)
	c.park(0, 1, readRequest(1, k))
	c.spread()
	v := oldVersion("")
	v.Value, v.Tombstone, v.Deadline, v.Stamp.Time = nil, true, deadline, testStart.Add(-time.Hour)
	c.loaded(1, LoadFound, v)
	c.spread()
	r := c.taken(1)
	wantCode(t, r, CodeOK)
	if !r.Versions[0].Tombstone || r.Time < deadline {
		t.Errorf("expired at %d by a reply of time %d", deadline, r.Time)
	}
}

// TestReadManyIsOneStep: keys that are cached wait, pinned, for those that are not,
// and all are taken with one S.
func TestReadManyIsOneStep(t *testing.T) {
	c := newCluster(t, 1, withStore)
	s := session(1)
	c.write(0, s, "a", "old a")
	c.flushAll(0)
	c.tick(0)
	c.park(0, 1, readRequest(1, "a", "b"))
	if c.servers[0].Evict([]byte("a")) {
		t.Error("a key that a read waits with was evicted")
	}
	c.write(0, s, "a", "new a")
	c.loaded(0, LoadFound, oldVersion("b"))
	r := c.taken(1)
	wantCode(t, r, CodeOK)
	if got := string(r.Versions[0].Value); got != "new a" || string(r.Versions[1].Value) != "b" {
		t.Errorf("read %q and %q", got, r.Versions[1].Value)
	}
	if !r.Stability.Vector.Covers(r.Versions[0].Dot) {
		t.Errorf("S=%v does not cover %v", r.Stability.Vector, r.Versions[0].Dot)
	}
	c.flushAll(0)
	c.tick(0)
	if !c.servers[0].Evict([]byte("a")) {
		t.Error("the key is still pinned")
	}
	// One of two loads fails: the read fails once, as a whole.
	c.park(0, 2, readRequest(2, "x", "y", "x"))
	c.loaded(0, LoadFailed, Version{})
	wantCode(t, c.taken(2), CodeUnavailable)
	c.loaded(0, LoadFound, oldVersion("y"))
	if st := c.servers[0].Status(); c.taken(2) != nil || st.Parked != 0 || len(c.servers[0].home.pinned) != 0 {
		t.Errorf("a second reply, or something is left: %d parked", st.Parked)
	}
}

func TestLoadAndWaiterLimits(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.Store = true; cfg.Limits = smallLimits; cfg.Limits.Waiters = 4 })
	c.park(0, 1, readRequest(1, "a", "b"))
	c.park(0, 2, readRequest(2, "c"))
	wantCode(t, c.ask(0, readRequest(3, "d", "e")), CodeOverloaded) // a fifth load
	c.park(0, 3, readRequest(3, "a"))
	wantCode(t, c.ask(0, readRequest(4, "a")), CodeOverloaded) // a fifth key that waits
	for range 3 {
		c.loaded(0, LoadAbsent, Version{})
	}
	for client := ClientID(1); client <= 3; client++ {
		wantCode(t, c.taken(client), CodeOK)
	}
	c.park(0, 4, readRequest(5, "d"))
}

// TestMissesAreLimited: a home that loads as much as it may tells the others so.
func TestMissesAreLimited(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) { cfg.Store = true; cfg.Limits.Loads = 1 })
	c.park(1, 1, readRequest(1, keyAt(1, 2, 0)))
	c.park(0, 2, readRequest(2, keyAt(1, 2, 1)))
	c.spread()
	r := c.taken(2)
	wantCode(t, r, CodeUnavailable)
	if !bytes.Contains([]byte(r.Detail), []byte(ErrOverloaded.Error())) {
		t.Errorf("the detail %q does not say why", r.Detail)
	}
}

// TestMissCarriesWhatIsKnown: the home learns from the miss what the requester
// knows to be everywhere, and does not answer with less.
func TestMissCarriesWhatIsKnown(t *testing.T) {
	c := newCluster(t, 3, withStore)
	k := keyAt(0, 3, 0)
	c.write(1, session(1), k, "new") // 1 → 2 → 0, the tail is 0
	c.pass(1)
	c.pass(2)
	if c.servers[0].Stability()[1] != 1 {
		t.Fatal("the tail does not know")
	}
	c.flushAll(0)
	c.tick(0)
	c.spread()
	if !c.servers[1].Evict([]byte(k)) || !c.servers[0].Evict([]byte(k)) {
		t.Fatal("not evicted")
	}
	c.park(1, 1, readRequest(1, k))
	c.spread()
	c.loaded(0, LoadFound, Version{Value: []byte("new"), Dot: Dot{1, 0, 1}, Stamp: Stamp{testStart, 1}, Epoch: 7})
	c.spread()
	r := c.taken(1)
	wantCode(t, r, CodeOK)
	if string(r.Versions[0].Value) != "new" || !r.Stability.Vector.Covers(r.Versions[0].Dot) {
		t.Errorf("read %q with S=%v", r.Versions[0].Value, r.Stability.Vector)
	}
}

// TestLoadMergesWithWhatArrived: a write that becomes stable while its key is being
// loaded wins over what the database held.
func TestLoadMergesWithWhatArrived(t *testing.T) {
	c := newCluster(t, 2, withStore)
	k := keyAt(0, 2, 0)
	c.park(0, 1, readRequest(1, k))
	c.write(1, session(1), k, "new")
	c.spread()
	if c.taken(1) != nil {
		t.Fatal("answered before the load")
	}
	c.loaded(0, LoadFound, oldVersion("old"))
	r := c.taken(1)
	wantCode(t, r, CodeOK)
	if string(r.Versions[0].Value) != "new" {
		t.Errorf("read %q", r.Versions[0].Value)
	}
}
