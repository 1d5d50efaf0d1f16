package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"causalmesh/clientlib"
)

// Reads from a node's table, without asking the node.

// Nearly all reads over direct: cost the node nothing.
func TestDirectReadsAskNobody(t *testing.T) {
	c := startCluster(t, 1, nil)
	s := c.dial(0, "direct").Session()
	put(t, s, "k", "v")
	put(t, s, "deleted", "v")
	if err := s.Delete(context.Background(), "deleted"); err != nil {
		t.Fatal(err)
	}
	const reads = 1000
	// While the node's loop gets no processor, its table is not read: then there is another
	// round.
	eventually(t, "reads ask nobody", func() bool {
		settled(t, s)
		before := c.status(0).Daemon.Requests
		for range reads {
			if fetch(t, s, "k") != "v" || fetch(t, s, "deleted") != "-" {
				t.Fatal("read something else")
			}
		}
		put(t, s, "marker", "") // its request is counted behind all others
		eventually(t, "it is counted", func() bool { return c.status(0).Daemon.Requests > before })
		n := c.status(0).Daemon.Requests - before
		t.Logf("%d requests for %d direct reads", n, 2*reads)
		return n <= reads/10 // some of before may be counted late
	})
}

// A session that comes from another node with its context never reads anything older
// there, whether the node's table has it already or not.
func TestDirectReadsAreNeverOlder(t *testing.T) {
	const rounds = 150
	c := startCluster(t, 3, nil)
	clients := []*clientlib.Client{c.dial(0, "direct"), c.dial(1, "direct"), c.dial(2, "direct")}
	unix := c.dial(0, "unix")
	s := clients[0].Session()
	for r := range rounds {
		to := clients[(r+1)%3]
		if r%5 == 4 {
			if err := s.Delete(context.Background(), "k"); err != nil {
				t.Fatal(err)
			}
			put(t, s, "k", fmt.Sprint(r))
		} else {
			put(t, s, "k", fmt.Sprint(r))
		}
		if r%2 == 1 {
			settled(t, s) // the context has a vector only, which the next node may not know yet
		}
		if err := s.Move(to); err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, s, "k"); got != fmt.Sprint(r) {
			t.Fatalf("round %d: read %s", r, got)
		}
		items, err := s.ReadMany(context.Background(), "k", "never")
		if err != nil || string(items[0].Value) != fmt.Sprint(r) || items[1].Found {
			t.Fatalf("round %d: read %v, %v", r, items, err)
		}
		// The reader that follows over another way has seen at least as much.
		if got := fetch(t, resume(t, unix, s), "k"); got != fmt.Sprint(r) {
			t.Fatalf("round %d: read %s over the socket", r, got)
		}
	}
}

// What is not in the table is read all the same: evicted, expired, never written, and
// what another program has put into the database.
func TestDirectReadsOfWhatIsNotInTheTable(t *testing.T) {
	const keys, size = 320, 64 << 10
	d := startDatabase(t)
	c := startCluster(t, 1, func(c *Config) {
		c.Store, c.MaxMemory, c.ValueBytes, c.PendingBytes = d.SocketURL(), 40<<20, size, 1<<20
	})
	ctx := context.Background()
	if err := d.other.Set(ctx, "foreign", "theirs", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s := c.dial(0, "direct").Session()
	value := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), size) }
	for i := range keys {
		err := s.Write(ctx, fmt.Sprint("k", i), []byte(value(i)))
		for ; errors.Is(err, clientlib.ErrOverloaded); err = s.Write(ctx, fmt.Sprint("k", i), []byte(value(i))) {
			if err := s.Sync(ctx); err != nil { // until some is flushed
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	settled(t, s)
	if n := c.status(0).Server.Entries; n >= keys {
		t.Fatalf("%d keys are cached: nothing was evicted", n)
	}
	for i := range keys {
		if got := fetch(t, s, fmt.Sprint("k", i)); got != value(i) {
			t.Fatalf("k%d: %d bytes", i, len(got))
		}
	}
	if got := fetch(t, s, "foreign"); got != "theirs" {
		t.Errorf("another program's value: %s", got)
	}
	if got := fetch(t, s, "never"); got != "-" {
		t.Errorf("never written: %s", got)
	}
	const ttl = never / 2
	put(t, s, "short", "x", clientlib.TTL(ttl))
	settled(t, s)
	if got := fetch(t, s, "short"); got != "x" {
		t.Errorf("before its time: %s", got)
	}
	c.clock.leap(ttl)
	eventually(t, "the value expires", func() bool { return fetch(t, s, "short") == "-" })
}

// A node that ends in order gives its memory back while others read it: they read what
// there was, or get an error, and never that there is nothing.
func TestDirectReadsWhileTheNodeEnds(t *testing.T) {
	const readers = 4
	for range 5 {
		c := startCluster(t, 1, nil)
		client := c.dial(0, "direct")
		writer := client.Session()
		const keys, size = 50, 20_000
		for i := range keys {
			put(t, writer, fmt.Sprint("k", i), strings.Repeat("v", size))
		}
		settled(t, writer)
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		var all, begun sync.WaitGroup
		begun.Add(readers)
		for range readers {
			all.Go(func() {
				began := sync.OnceFunc(begun.Done)
				defer began()
				s := client.Session()
				for i := 0; ; i++ {
					value, found, err := s.Read(ctx, fmt.Sprint("k", i%keys))
					switch {
					case err == nil && (!found || strings.Count(string(value), "v") != size):
						t.Errorf("read %d bytes, %v", len(value), found)
						return
					case errors.Is(err, clientlib.ErrDisconnected), errors.Is(err, clientlib.ErrNotReady), errors.Is(err, context.Canceled):
						return
					case err != nil:
						t.Error(err)
						return
					}
					began()
				}
			})
		}
		begun.Wait()
		c.nodes[0].cancel()
		if err := c.nodes[0].wait(t); err != nil {
			t.Fatal(err)
		}
		cancel() // until then reads try to connect again
		all.Wait()
	}
}
