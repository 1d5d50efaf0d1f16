package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"causalmesh/causal"
	"causalmesh/daemon/store"
	"causalmesh/daemon/store/redistest"
)

// database is a Redis, and another program's connection to it.
type database struct {
	*redistest.Server
	other *redis.Client
}

func startDatabase(t testing.TB) *database {
	d := &database{Server: redistest.Start(t)}
	d.other = redis.NewClient(&redis.Options{Network: "unix", Addr: d.Socket, Protocol: 2})
	t.Cleanup(func() { _ = d.other.Close() })
	return d
}

// get returns the plain string at key, "-" if there is none.
func (d *database) get(t testing.TB, key string) string {
	t.Helper()
	text, err := d.other.Get(context.Background(), key).Result()
	if err == redis.Nil {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStoreEndToEnd(t *testing.T) {
	d := startDatabase(t)
	if err := d.other.Set(context.Background(), "foreign", "theirs", 0).Err(); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 3, func(c *Config) { c.Store = d.SocketURL() })
	s := c.session(0)
	for i := range 20 { // keys with all homes
		s.write(fmt.Sprint("k", i), fmt.Sprint("v", i))
	}
	eventually(t, "all is flushed", func() bool {
		for i := range 20 {
			if d.get(t, fmt.Sprint("k", i)) != fmt.Sprint("v", i) {
				return false
			}
		}
		return true
	})
	for i := range c.nodes {
		if got := c.session(i).read("foreign"); got != "theirs" {
			t.Fatalf("another program's value at node %d: %s", i, got)
		}
		if got := c.session(i).read("nobody's"); got != "-" {
			t.Fatalf("a missing key at node %d: %s", i, got)
		}
	}
	// A key that the store keeps for itself is refused, and does not stop the rest.
	for _, op := range []causal.Op{causal.OpRead, causal.OpWrite, causal.OpDelete} {
		s.fails(causal.ErrBadRequest, op, "", store.ReservedPrefix+"epoch")
	}
	s.write("after", "1")
	eventually(t, "a write after a refused one is flushed", func() bool { return d.get(t, "after") == "1" })
	eventually(t, "what was refused is counted", func() bool { return c.status(0).Daemon.ReservedKeys == 3 })
	if st := c.status(0).Store; st == nil || st.RoundTrips == 0 {
		t.Fatalf("status %+v", st)
	}
}

// Restarted on the old database, the cluster has the old values; contexts of its
// former life get an error, and never an older value.
func TestRestartOnTheOldStore(t *testing.T) {
	d := startDatabase(t)
	c := startCluster(t, 3, func(c *Config) { c.Store = d.URL() })
	s := c.session(1)
	s.write("x", "old")
	s.write("y", "old")
	eventually(t, "both are flushed", func() bool { return d.get(t, "x") == "old" && d.get(t, "y") == "old" })
	old := c.status(0).Epoch
	for i := range c.nodes {
		c.halt(i)
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.waitReady()
	if e := c.status(2).Epoch; e <= old {
		t.Fatalf("epoch %d after %d", e, old)
	}
	c.session(2).goOn(s).fails(causal.ErrEpoch, causal.OpRead, "", "x")
	fresh := c.session(2)
	if got := fresh.read("x"); got != "old" {
		t.Fatalf("x: %s", got)
	}
	fresh.write("x", "new")
	eventually(t, "the new value is above the old one", func() bool { return d.get(t, "x") == "new" })
}

// The epoch rises although the wall clock says otherwise.
func TestEpochIsAboveTheStores(t *testing.T) {
	d := startDatabase(t)
	const far = 1 << 52 // milliseconds: in some 140,000 years
	if err := d.other.Set(context.Background(), store.ReservedPrefix+"epoch", fmt.Sprintf("%016x", far), 0).Err(); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 1, func(c *Config) { c.Store = d.URL() })
	if e := c.status(0).Epoch; e != far+1 {
		t.Fatalf("epoch %d, want %d", e, far+1)
	}
}

func TestNoStoreNoStart(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) { c.Store = "redis+unix://" + t.TempDir() + "/none.sock" })
	c.start(0)
	if err := c.nodes[0].wait(t); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Fatalf("started without its store: %v", err)
	}
}

// A node that is told to end flushes first.
func TestDrainFlushes(t *testing.T) {
	d := startDatabase(t)
	c := startCluster(t, 3, func(c *Config) { c.Store = d.URL() })
	d.Pause() // so that there is something left to flush
	s := c.session(0)
	for i := range 50 {
		s.write(fmt.Sprint("k", i), "v")
	}
	// Until the nodes have it as stable, a read asks the database.
	eventually(t, "the writes are stable", func() bool { return c.status(0).Server.Pending == 0 })
	for _, n := range c.nodes {
		n.cancel()
	}
	eventually(t, "the nodes drain", func() bool { return c.nodes[0].log.has("draining") })
	s.fails(causal.ErrOverloaded, causal.OpWrite, "v", "late")
	if got := s.read("k1"); got != "v" {
		t.Fatalf("read while draining: %s", got)
	}
	d.Resume()
	for i, n := range c.nodes {
		if err := n.wait(t); err != nil {
			t.Fatalf("node %d: %v\n%s", i, err, n.log)
		}
	}
	for i := range 50 {
		if got := d.get(t, fmt.Sprint("k", i)); got != "v" {
			t.Fatalf("k%d after the end: %s", i, got)
		}
	}
}

// What cannot be flushed in time is named, and the end is not clean.
func TestDrainLeavesBehind(t *testing.T) {
	d := startDatabase(t)
	c := startCluster(t, 1, func(c *Config) { c.Store, c.DrainTimeout = d.URL(), 300*time.Millisecond })
	d.Pause()
	c.session(0).write("k", "v")
	c.nodes[0].cancel()
	err := c.nodes[0].wait(t)
	if err == nil || !strings.Contains(err.Error(), ErrLeftBehind.Error()) || !strings.Contains(err.Error(), "not flushed: 1 keys") {
		t.Fatalf("ended with %v", err)
	}
	d.Resume()
}

func TestDrainWithoutStore(t *testing.T) {
	c := startCluster(t, 3, func(c *Config) { c.DrainTimeout = 300 * time.Millisecond })
	c.session(0).write("k", "v")
	eventually(t, "the write is stable", func() bool {
		s := c.status(2).Server
		return s.Received[0] == 1 && s.Pending == 0
	})
	c.nodes[2].cancel()
	if err := c.nodes[2].wait(t); err != nil {
		t.Fatalf("nothing was in flight: %v", err)
	}
	// Without node 2 nothing becomes stable any more.
	c.session(0).write("k", "w")
	c.nodes[0].cancel()
	if err := c.nodes[0].wait(t); err == nil || !strings.Contains(err.Error(), "not stable: 1 versions") {
		t.Fatalf("ended with %v", err)
	}
}

// A miss whose home is not reachable fails at once, and with the reason.
func TestMissWithoutItsHome(t *testing.T) {
	d := startDatabase(t)
	c := startCluster(t, 2, func(c *Config) { c.Store = d.URL() })
	key := "k"
	for causal.HomeOf([]byte(key), 2) != 1 {
		key += "k"
	}
	c.proxies[1].Cut()
	eventually(t, "the link to node 1 is lost", func() bool { return !c.status(0).Peers[0].To })
	_, err := c.session(0).do(causal.OpRead, "", key)
	if !errors.Is(err, causal.ErrUnavailable) || !strings.Contains(err.Error(), "not reachable") {
		t.Fatalf("read of %s: %v", key, err)
	}
	c.proxies[1].Restore()
	eventually(t, "it is answered again", func() bool {
		_, err := c.session(0).do(causal.OpRead, "", key)
		return err == nil
	})
}
