package causal

import (
	"fmt"
	"testing"
	"time"
)

// TestMayEvict: only what the home has flushed and nobody needs.
func TestMayEvict(t *testing.T) {
	t.Run("without a database nothing", func(t *testing.T) {
		c := newCluster(t, 1, nil)
		c.write(0, session(1), "k", "v")
		if c.servers[0].Evict([]byte("k")) {
			t.Error("evicted what is nowhere else")
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		if newCluster(t, 1, withStore).servers[0].Evict([]byte("k")) {
			t.Error("evicted nothing")
		}
	})
	t.Run("what F covers", func(t *testing.T) {
		c, s, k := flushCluster(t)
		c.put(s, k, "v")
		for i, when := range []string{"dirty", "in flight", "flushed, not announced"} {
			for j := range c.servers {
				if j == 0 && i == 2 {
					continue // the home itself knows that the flush is done
				}
				if c.servers[j].Evict([]byte(k)) {
					t.Errorf("server %d evicted it while %s", j, when)
				}
			}
			if i == 1 {
				c.flushAll(0)
			}
		}
		c.tick(0)
		c.spread()
		for j := range c.servers {
			if !c.servers[j].Evict([]byte(k)) || c.tables[j].Len() != 0 {
				t.Errorf("server %d does not evict what is in the database", j)
			}
		}
	})
	t.Run("what is loaded", func(t *testing.T) {
		c := newCluster(t, 2, withStore)
		k := keyAt(0, 2, 0)
		c.park(1, 1, readRequest(1, k))
		c.spread()
		c.loaded(0, LoadFound, oldVersion("v"))
		c.spread()
		if !c.servers[1].Evict([]byte(k)) || !c.servers[0].Evict([]byte(k)) {
			t.Error("a version of an earlier epoch is in the database, whatever F says")
		}
	})
}

// guarded makes server 1 of 3 evict "high" of a key before "low" arrives there,
// which has the lower stamp. The home is server 0, or server 1 itself.
func guarded(t *testing.T, home ReplicaID) (c *cluster, key string) {
	c = newCluster(t, 3, withStore)
	key = keyAt(home, 3, 0)
	c.write(2, session(1), key, "low") // stays at 2 for now
	c.now = c.now.Add(time.Second)
	s := session(2)
	c.write(0, s, key, "high")
	c.pass(0)
	c.pass(1) // the tail of 0 is 2
	if c.servers[2].Stability()[0] != 1 {
		t.Fatalf("S=%v at the tail", c.servers[2].Stability())
	}
	// A session brings word of it to 0 and 1, before the ring does.
	c.do(2, s, OpSync, "")
	c.do(0, s, OpSync, "")
	c.do(1, s, OpSync, "")
	c.flushAll(int(home))
	c.tick(int(home))
	if home != 1 {
		if err := c.deliver(int(home), 1); err != nil { // F
			t.Fatal(err)
		}
	}
	if !c.servers[1].Evict([]byte(key)) {
		t.Fatal("not evicted")
	}
	c.spread() // now low goes round
	if c.servers[1].Stability()[2] != 1 {
		t.Fatalf("S=%v: low is not stable", c.servers[1].Stability())
	}
	return c, key
}

// TestLateVersionIsIncomplete: after a higher version was evicted, a lower one that
// comes late is not taken for the newest.
func TestLateVersionIsIncomplete(t *testing.T) {
	c, key := guarded(t, 0)
	var v Version
	if p := c.tables[1].Get([]byte(key), &v); p != Incomplete || string(v.Value) != "low" {
		t.Fatalf("the late version is %v %q", p, v.Value)
	}
	c.park(1, 1, readRequest(1, key))
	c.spread()
	r := c.taken(1)
	wantCode(t, r, CodeOK)
	if got := string(r.Versions[0].Value); got != "high" {
		t.Errorf("read %q", got)
	}
	if p := c.tables[1].Get([]byte(key), &v); p != Complete || string(v.Value) != "high" {
		t.Errorf("then it holds %v %q", p, v.Value)
	}
}

// TestLateVersionAtTheHome: there it must not reach the database either, and is
// loaded at once.
func TestLateVersionAtTheHome(t *testing.T) {
	for _, found := range []string{"high", "low"} {
		c, key := guarded(t, 1)
		var v Version
		if p := c.tables[1].Get([]byte(key), &v); p != Incomplete || string(v.Value) != "low" {
			t.Fatalf("the late version is %v %q", p, v.Value)
		}
		if len(c.flushes[1]) != 0 {
			t.Fatal("an incomplete version is flushed")
		}
		if len(c.loads[1]) != 1 {
			t.Fatalf("%d loads", len(c.loads[1]))
		}
		if found == "high" {
			c.loaded(1, LoadFound, Version{Value: []byte("high"), Dot: Dot{0, 0, 1}, Stamp: Stamp{testStart.Add(time.Second), 0}, Epoch: 7})
			if len(c.flushes[1]) != 0 {
				t.Error("what lost is flushed")
			}
		} else { // the guard was for another key of the shard
			c.loaded(1, LoadAbsent, Version{})
			c.flushAll(1)
		}
		c.tick(1)
		if got := c.read(1, session(5), key); got != found {
			t.Errorf("read %q, want %q", got, found)
		}
		if st := c.servers[1].Status(); st.Dirty != 0 || !st.Flushed.Covers(Dot{2, 0, 1}) {
			t.Errorf("%d dirty, F=%v", st.Dirty, st.Flushed)
		}
	}
}

// TestMemoryIsBounded: the table stays within its share by evicting what may go;
// where nothing may, writes are refused until the database has caught up.
func TestMemoryIsBounded(t *testing.T) {
	const memory = 40_000
	c := newCluster(t, 1, func(cfg *Config) {
		cfg.Store, cfg.MemoryBytes, cfg.Limits = true, memory, smallLimits
		cfg.Limits.FlushesAtOnce = 1000
	})
	refused := false
	for i := range 500 {
		r := c.ask(0, writeRequest(uint64(i)+1, 1, fmt.Sprint("k", i), "v"))
		if got := c.tables[0].Bytes(); got > memory {
			t.Fatalf("%d bytes cached, the bound is %d", got, memory)
		}
		if r.Code != CodeOK {
			wantCode(t, r, CodeOverloaded)
			refused = true
			c.flushAll(0)
			c.now = c.now.Add(10 * time.Millisecond)
			c.tick(0)
		}
	}
	if st := c.servers[0].Status(); !refused || st.Counters.Evicted == 0 {
		t.Errorf("refused: %v, evicted: %d", refused, st.Counters.Evicted)
	}
	// What was evicted is loaded again, and what is cached is not.
	c.flushAll(0)
	c.tick(0)
	cached, missing := 0, 0
	for i := range 500 {
		var v Version
		if c.tables[0].Get(fmt.Append(nil, "k", i), &v) == Complete {
			cached++
		} else {
			missing++
		}
	}
	if cached == 0 || missing == 0 {
		t.Errorf("%d keys cached, %d not", cached, missing)
	}
}
