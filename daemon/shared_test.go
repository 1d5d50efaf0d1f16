package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/clientlib"
)

// Clients on a node's own machine: over the socket, over rings, and with the table read
// directly. What they see is the same.

var schemes = []string{"unix", "shm", "direct"}

// dial connects a client of the library to node i.
func (c *cluster) dial(i int, scheme string, opts ...clientlib.Option) *clientlib.Client {
	c.t.Helper()
	client, err := c.tryDial(i, scheme, opts...)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

func (c *cluster) tryDial(i int, scheme string, opts ...clientlib.Option) (*clientlib.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	opts = append([]clientlib.Option{clientlib.WithTimeout(within)}, opts...)
	client, err := clientlib.Dial(ctx, scheme+":"+c.socket(i), opts...)
	if err == nil {
		c.t.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func put(t testing.TB, s *clientlib.Session, key, value string, opts ...clientlib.WriteOption) {
	t.Helper()
	if err := s.Write(context.Background(), key, []byte(value), opts...); err != nil {
		t.Fatal(err)
	}
}

// fetch returns a value, "-" if there is none.
func fetch(t testing.TB, s *clientlib.Session, key string) string {
	t.Helper()
	value, found, err := s.Read(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return shown(value, found)
}

func shown(value []byte, found bool) string {
	if !found {
		return "-"
	}
	return string(value)
}

func resume(t testing.TB, c *clientlib.Client, from *clientlib.Session) *clientlib.Session {
	t.Helper()
	s, err := c.Resume(from.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// settled waits until all that s has written is stable at its node.
func settled(t testing.TB, s *clientlib.Session) {
	t.Helper()
	eventually(t, "the session's writes are stable", func() bool {
		inFlight, err := unsettled(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		return inFlight == 0
	})
}

// unsettled asks the node what is stable, and counts the writes of s that are not.
func unsettled(ctx context.Context, s *clientlib.Session) (int, error) {
	if err := s.Sync(ctx); err != nil {
		return 0, err
	}
	x, err := wire.DecodeContext(s.Context())
	return len(x.Own), err
}

// onCluster runs a test over each scheme, each with a cluster of its own.
func onCluster(t *testing.T, nodes int, change func(*Config), test func(t *testing.T, c *cluster, scheme string)) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) { test(t, startCluster(t, nodes, change), scheme) })
	}
}

// A session's life leads to the same results, whichever way its bytes go.
func TestSessionLifeOverEveryWay(t *testing.T) { onCluster(t, 3, nil, sessionLife) }

// With a cluster key, what is read from the table has the tag that the node would give it.
func TestSignedSessionLifeOverEveryWay(t *testing.T) {
	key := keyFile(t, testKey)
	onCluster(t, 3, func(c *Config) { c.ClusterKey = key }, sessionLife)
}

func sessionLife(t *testing.T, c *cluster, scheme string) {
	ctx := context.Background()
	clients := []*clientlib.Client{c.dial(0, scheme), c.dial(1, scheme), c.dial(2, scheme)}
	s := clients[0].Session()
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("absent", fetch(t, s, "a"), "-")
	put(t, s, "a", "1")
	expect("own write", fetch(t, s, "a"), "1")
	put(t, s, "a", "2")
	put(t, s, "b", "")
	put(t, s, "gone", "1")
	if err := s.Delete(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	for round, state := range []string{"in flight", "stable"} {
		if round > 0 {
			settled(t, s)
		}
		many, err := s.ReadMany(ctx, "a", "b", "gone", "never")
		if err != nil {
			t.Fatal(err)
		}
		items := []clientlib.Item{{Key: "a", Value: make([]byte, 0, 8)}, {Key: "b"}, {Key: "gone"}, {Key: "never"}}
		if err := s.ReadManyInto(ctx, items); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"2", "", "-", "-"} {
			expect(state+", many", shown(many[i].Value, many[i].Found), want)
			expect(state+", many into", shown(items[i].Value, items[i].Found), want)
			expect(state+", one", fetch(t, s, items[i].Key), want)
			if many[i].Version != items[i].Version {
				t.Errorf("%s: %s is of %+v and of %+v", state, many[i].Key, many[i].Version, items[i].Version)
			}
		}
		if !many[2].Version.Tombstone || !many[3].Version.Absent() {
			t.Errorf("%s: deleted is %+v, never written %+v", state, many[2].Version, many[3].Version)
		}
		buf := make([]byte, 0, 64)
		value, found, err := s.ReadInto(ctx, "a", buf)
		if err != nil || !found || &value[0] != &buf[:1][0] {
			t.Errorf("%s: read into other memory, %v, %v", state, found, err)
		}
	}
	roaming(t, c, clients, s)
}

// roaming takes the session's context from node to node, and through two branches.
func roaming(t *testing.T, c *cluster, clients []*clientlib.Client, s *clientlib.Session) {
	t.Helper()
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	put(t, s, "a", "3")
	second := resume(t, clients[1], s)
	expect("at node 1", fetch(t, second, "a"), "3")
	put(t, second, "c", "4")
	third := resume(t, clients[2], second)
	expect("at node 2", fetch(t, third, "a")+fetch(t, third, "c"), "34")
	if err := third.Move(clients[0]); err != nil {
		t.Fatal(err)
	}
	expect("back at node 0", fetch(t, third, "a")+fetch(t, third, "c"), "34")
	// Two branches, and a third that has seen both.
	left, right := resume(t, clients[0], third), resume(t, clients[1], third)
	put(t, left, "left", "l")
	put(t, right, "right", "r")
	both := resume(t, clients[2], third)
	if err := both.Merge(left.Context(), right.Context()); err != nil {
		t.Fatal(err)
	}
	expect("merged", fetch(t, both, "left")+fetch(t, both, "right"), "lr")
	if err := both.Retry(context.Background()); !errors.Is(err, clientlib.ErrBadRequest) {
		t.Errorf("nothing to retry: %v", err)
	}
	expiring(t, c, both)
}

// expiring checks that a value with a time to live goes: for the session that wrote it,
// whether the write is stable or not.
func expiring(t *testing.T, c *cluster, s *clientlib.Session) {
	t.Helper()
	const short = never / 2
	put(t, s, "in flight", "x", clientlib.TTL(short))
	put(t, s, "long", "x", clientlib.TTL(3*short))
	if got := fetch(t, s, "in flight") + fetch(t, s, "long"); got != "xx" {
		t.Errorf("before their time: %q", got)
	}
	c.clock.leap(short)
	eventually(t, "the value expires", func() bool { return fetch(t, s, "in flight") == "-" })
	put(t, s, "stable", "x", clientlib.TTL(short))
	settled(t, s)
	if got := fetch(t, s, "in flight") + fetch(t, s, "stable") + fetch(t, s, "long"); got != "-xx" {
		t.Errorf("stable, before their time: %q", got)
	}
	c.clock.leap(short)
	eventually(t, "the stable value expires", func() bool { return fetch(t, s, "stable") == "-" })
	if got := fetch(t, s, "long"); got != "x" {
		t.Errorf("what is to live longer: %q", got)
	}
}

// A write that was given up is found out about by Retry, and is done once.
func TestRetryOverEveryWay(t *testing.T) {
	// A write is answered when the successor has it: without a link to it, never.
	onCluster(t, 3, func(c *Config) { c.Ack = causal.AckReplicated }, func(t *testing.T, c *cluster, scheme string) {
		s := c.dial(0, scheme).Session()
		put(t, s, "before", "1")
		c.proxies[1].Cut()
		ctx, cancel := context.WithCancel(context.Background())
		waiting := make(chan error, 1)
		writes := c.status(0).Server.Counters.Writes
		go func() { waiting <- s.Write(ctx, "k", []byte("v")) }()
		eventually(t, "the write has arrived", func() bool { return c.status(0).Server.Counters.Writes > writes })
		cancel()
		if err := <-waiting; !errors.Is(err, clientlib.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
			t.Fatalf("given up: %v", err)
		}
		c.proxies[1].Restore()
		if err := s.Retry(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, s, "k"); got != "v" {
			t.Errorf("after the retry: %q", got)
		}
		if n := c.status(0).Server.Counters.Writes; n != writes+1 {
			t.Errorf("%d writes were done for one", n-writes)
		}
	})
}

// pattern is a value that differs from all others of its size, and at all places.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + seed)
	}
	return b
}

// Values of all sizes go both ways, also those that are longer than a ring.
func TestValuesOfAllSizesOverEveryWay(t *testing.T) {
	const most = 1 << 20 // value-bytes
	sizes := []int{0, 1, 100, 4095, 4096, 65536, ringBytes / 2, ringBytes - 100, ringBytes - 1, ringBytes, ringBytes + 1,
		2*ringBytes - 50, 3 * ringBytes, most - 1, most}
	onCluster(t, 1, nil, func(t *testing.T, c *cluster, scheme string) {
		ctx := context.Background()
		s := c.dial(0, scheme).Session()
		var buf []byte
		for round := range 3 { // so that they begin anywhere in the ring
			for _, n := range sizes {
				want := pattern(n, round)
				if err := s.Write(ctx, "k", want); err != nil {
					t.Fatalf("write of %d bytes: %v", n, err)
				}
				if err := s.Sync(ctx); err != nil {
					t.Fatal(err)
				}
				got, found, err := s.Read(ctx, "k")
				if err != nil || !found || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes: read %d, %v, %v", n, len(got), found, err)
				}
				if buf, found, err = s.ReadInto(ctx, "k", buf); err != nil || !found || !bytes.Equal(buf, want) {
					t.Fatalf("%d bytes: read %d into memory, %v, %v", n, len(buf), found, err)
				}
			}
		}
		if err := s.Write(ctx, "k", make([]byte, most+1)); !errors.Is(err, clientlib.ErrTooLarge) {
			t.Errorf("one byte more: %v", err)
		}
		// A batch of several rings, with small values in between.
		var items []clientlib.Item
		want := map[string][]byte{}
		for i, n := range []int{10, 600_000, 0, 700_000, 1, 300_000, 5, 800_000, 262_144} {
			key := fmt.Sprint("batch", i)
			want[key] = pattern(n, i)
			if err := s.Write(ctx, key, want[key]); err != nil {
				t.Fatal(err)
			}
			items = append(items, clientlib.Item{Key: key})
		}
		settled(t, s)
		for range 3 {
			if err := s.ReadManyInto(ctx, items); err != nil {
				t.Fatal(err)
			}
			for _, i := range items {
				if !i.Found || !bytes.Equal(i.Value, want[i.Key]) {
					t.Fatalf("%s has %d bytes, want %d", i.Key, len(i.Value), len(want[i.Key]))
				}
			}
		}
		many, err := s.ReadMany(ctx, "batch1", "batch3", "batch7", "batch2")
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range many {
			if !i.Found || !bytes.Equal(i.Value, want[i.Key]) {
				t.Fatalf("%s has %d bytes, want %d", i.Key, len(i.Value), len(want[i.Key]))
			}
		}
		put(t, s, "after", "1")
		if fetch(t, s, "after") != "1" {
			t.Error("small things do not go any more")
		}
	})
}

// Many sessions read large values over one connection, all at once: far more waits for
// it than its ring holds and than the node keeps for it. Nothing is forgotten.
func TestLargeReadsAtOnceOverEveryWay(t *testing.T) {
	const sessions, rounds, size = 24, 4, 1 << 20
	onCluster(t, 1, nil, func(t *testing.T, c *cluster, scheme string) {
		client := c.dial(0, scheme)
		put(t, client.Session(), "large", strings.Repeat("x", size))
		var all sync.WaitGroup
		for range sessions {
			all.Go(func() {
				s := client.Session()
				for range rounds {
					value, found, err := s.Read(context.Background(), "large")
					if err != nil || !found || len(value) != size {
						t.Errorf("%d bytes, %v, %v", len(value), found, err)
						return
					}
				}
			})
		}
		all.Wait()
		if s := c.status(0).Daemon; s.Unread != 0 || s.Welcomed != 1 {
			t.Errorf("the client was cut off: %+v", s)
		}
	})
}

// Many sessions on few clients, at all nodes: each reads its own writes, and what it
// has seen never gets older.
func TestManySessionsOverEveryWay(t *testing.T) {
	const sessions, rounds = 24, 40
	onCluster(t, 3, nil, func(t *testing.T, c *cluster, scheme string) {
		var clients []*clientlib.Client
		for i := range 6 {
			clients = append(clients, c.dial(i%3, scheme))
		}
		var all sync.WaitGroup
		for i := range sessions {
			all.Go(func() {
				ctx := context.Background()
				s := clients[i%len(clients)].Session()
				own := fmt.Sprint("own", i)
				var lastSeen clientlib.Stamp
				for r := range rounds {
					if err := s.Write(ctx, own, []byte(fmt.Sprint(r))); err != nil {
						t.Error(err)
						return
					}
					if err := s.Write(ctx, "shared", []byte(own)); err != nil {
						t.Error(err)
						return
					}
					if r%4 == 3 {
						if err := s.Move(clients[(i+r)%len(clients)]); err != nil {
							t.Error(err)
							return
						}
					}
					items, err := s.ReadMany(ctx, own, "shared")
					if err != nil {
						t.Error(err)
						return
					}
					if string(items[0].Value) != fmt.Sprint(r) {
						t.Errorf("session %d, round %d: own write is %q", i, r, items[0].Value)
						return
					}
					if now := items[1].Version.Stamp; now.Less(lastSeen) {
						t.Errorf("session %d, round %d: %+v after %+v", i, r, now, lastSeen)
						return
					} else {
						lastSeen = now
					}
				}
			})
		}
		all.Wait()
	})
}

// baseline is what is held by nodes that have served clients, on each of their loops, and
// have none.
func (c *cluster) baseline() resources {
	c.t.Helper()
	for i, n := range c.nodes {
		before := c.status(i).Daemon.Attached
		for range n.n.cfg.Loops {
			_ = c.dial(i, "direct").Close()
		}
		eventually(c.t, "no clients are left", func() bool {
			s := c.status(i).Daemon
			return s.Clients == 0 && s.Attached >= before+uint64(n.n.cfg.Loops)
		})
	}
	runtime.GC()
	return resourcesOf(c.t)
}

// A node tells its clients apart: what it counts of each kind adds up, and all is given
// back when they go.
func TestSharedClientsAreCounted(t *testing.T) {
	c := startCluster(t, 1, nil)
	before := c.baseline()
	attached := c.status(0).Daemon.Attached
	var clients []*clientlib.Client
	for _, scheme := range slices.Repeat(schemes, 3) {
		client := c.dial(0, scheme)
		put(t, client.Session(), "k", scheme)
		clients = append(clients, client)
	}
	eventually(t, "all are counted", func() bool {
		s := c.status(0).Daemon
		return s.Clients == 9 && s.Attached == attached+6
	})
	for _, client := range clients {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "they are gone", func() bool { return c.status(0).Daemon.Clients == 0 })
	before.eventuallyLeft(t)
}
