package daemon

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/netcut"
)

// A session writes at one node and reads at the others with its context, at once.
func TestSessionRoams(t *testing.T) {
	for _, mode := range []causal.Propagation{causal.OneRound, causal.TwoRound} {
		t.Run(mode.String(), func(t *testing.T) {
			c := startCluster(t, 3, func(c *Config) { c.Propagation = mode })
			s := c.session(0)
			if s.welcome.RingSize != 3 || s.welcome.Node != 0 || s.welcome.Epoch == 0 || s.welcome.Signed {
				t.Fatalf("welcome %+v", s.welcome)
			}
			s.write("x", "1")
			second := c.session(1).goOn(s)
			if got := second.read("x"); got != "1" {
				t.Fatalf("x at node 1: %s", got)
			}
			second.write("y", "2")
			third := connect(t, "tcp", c.nodes[2].Addresses().TCP).goOn(second)
			if x, y := third.read("x"), third.read("y"); x != "1" || y != "2" {
				t.Fatalf("x, y at node 2: %s, %s", x, y)
			}
			if _, err := third.do(causal.OpDelete, "", "x"); err != nil {
				t.Fatal(err)
			}
			// Others see it without the context, once it is stable.
			for i := range c.nodes {
				eventually(t, "x is gone everywhere", func() bool { return c.session(i).read("x") == "-" })
				eventually(t, "the I-cache is empty", func() bool { return c.status(i).Server.Pending == 0 })
			}
		})
	}
}

func TestRingOfOneAndTwo(t *testing.T) {
	for n := 1; n <= 2; n++ {
		c := startCluster(t, n, func(c *Config) {
			if n == 1 {
				c.Peers = nil
			}
		})
		c.session(0).write("k", "v")
		eventually(t, "the last node has it", func() bool { return c.session(n-1).read("k") == "v" })
	}
}

// A node serves nobody before it has joined, and says so.
func TestNotReadyBeforeJoining(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.start(1)
	c.start(2)
	for _, i := range []int{1, 2} {
		r := refusalAt(t, "unix", c.nodes[i].Addresses().Unix, hello(t))
		if r.Code != wire.RefusedNotReady || !strings.Contains(r.Text, "no epoch yet") {
			t.Fatalf("refusal %+v", r)
		}
	}
	if s := c.status(1); s.Ready || s.Joined || s.Epoch != 0 || s.Server != nil || !strings.Contains(s.NotReady, "node 0") {
		t.Fatalf("status %+v", s)
	}
	// An epoch is taken from the predecessor alone.
	cfg := c.config(1)
	h, err := wire.AppendHandshake(nil, &wire.PeerHello{From: 2, To: 1, RingSize: 3, Digest: cfg.digest(), Epoch: 5, Boot: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r := refusalAt(t, "tcp", c.nodes[1].Addresses().Peer, h); r.Code != wire.RefusedNotReady || !strings.Contains(r.Text, "waits for node 0") {
		t.Fatalf("refusal %+v", r)
	}
	if e := c.status(1).Epoch; e != 0 {
		t.Fatalf("epoch %d from another than the predecessor", e)
	}
	c.start(0)
	c.waitReady()
	if a, b := c.status(0), c.status(2); a.Epoch != b.Epoch || !b.Ready || !b.Joined {
		t.Fatalf("epochs %d and %d, ready %v", a.Epoch, b.Epoch, b.Ready)
	}
}

// A node that comes back without its state is told so and stays out; the others go
// on, until their writes have no more room.
func TestRestartedNodeIsRefused(t *testing.T) {
	for restarted := range 3 {
		t.Run(fmt.Sprint("node ", restarted), func(t *testing.T) {
			c := startCluster(t, 3, func(c *Config) { c.ValueBytes, c.KeyBytes, c.PendingBytes = 1024, 64, 64<<10 })
			c.session(0).write("x", "1")
			eventually(t, "x is stable", func() bool {
				return c.session(1).read("x") == "1" && c.session(2).read("x") == "1"
			})
			before, after := (restarted+2)%3, (restarted+1)%3
			oldEpoch := c.status(before).Epoch
			c.halt(restarted)
			c.start(restarted)
			for _, i := range []int{before, restarted} {
				eventually(t, fmt.Sprintf("node %d says why", i), func() bool {
					return c.nodes[i].log.has("restart all nodes of the cluster")
				})
			}
			r := refusalAt(t, "unix", c.nodes[restarted].Addresses().Unix, hello(t))
			if r.Code != wire.RefusedNotReady {
				t.Fatalf("the restarted node serves clients: %+v", r)
			}
			s := c.status(restarted)
			if restarted == 0 {
				// The founder has a new epoch; both are named, here and there.
				for _, i := range []int{before, restarted} {
					for _, e := range []causal.Epoch{oldEpoch, s.Epoch} {
						if !c.nodes[i].log.has(fmt.Sprintf("epoch %d", e)) {
							t.Errorf("node %d does not name epoch %d:\n%s", i, e, c.nodes[i].log)
						}
					}
				}
			} else if s.Epoch != 0 {
				t.Fatalf("the restarted node joined epoch %d again", s.Epoch)
			}
			surviving(t, c, before)
			surviving(t, c, after)
		})
	}
}

// surviving checks that a node which has lost a neighbour goes on with what it has.
func surviving(t *testing.T, c *cluster, i int) {
	t.Helper()
	s := c.session(i)
	if got := s.read("x"); got != "1" {
		t.Fatalf("x at survivor %d: %s", i, got)
	}
	s.write("y", "own")
	if got := s.read("y"); got != "own" {
		t.Fatalf("own y at survivor %d: %s", i, got)
	}
	eventually(t, fmt.Sprintf("survivor %d has noticed", i), func() bool { s := c.status(i); return !s.Ready && s.Joined })
	var err error
	for range 1000 {
		if _, err = c.session(i).do(causal.OpWrite, strings.Repeat("v", 1000), "z"); err != nil {
			break
		}
	}
	if !errors.Is(err, causal.ErrOverloaded) || !strings.Contains(err.Error(), "pending bytes") {
		t.Fatalf("writes beyond the pending limit: %v", err)
	}
}

// All nodes restarted are a new cluster.
func TestWholeClusterRestarted(t *testing.T) {
	c := startCluster(t, 3, nil)
	s := c.session(0)
	s.write("x", "1")
	for i := range 3 {
		c.halt(i)
	}
	for i := range 3 {
		c.start(i)
	}
	c.waitReady()
	c.session(1).goOn(s).fails(causal.ErrEpoch, causal.OpRead, "", "x")
	if got := c.session(1).read("x"); got != "-" {
		t.Fatalf("x without a store: %s", got)
	}
}

func TestCutLinksConverge(t *testing.T) {
	c := startCluster(t, 3, nil)
	for name, d := range map[string]struct {
		disturb func(*netcut.Proxy)
		hears   func(node int, out bool) bool // which ends do nevertheless
	}{
		"cut": {(*netcut.Proxy).Cut, nil},
		"half-open to": {
			func(p *netcut.Proxy) { p.Freeze(netcut.ToTarget) }, func(_ int, out bool) bool { return out },
		},
		"half-open from": {
			func(p *netcut.Proxy) { p.Freeze(netcut.FromTarget) }, func(_ int, out bool) bool { return !out },
		},
		"half-open at all": {
			func(p *netcut.Proxy) { p.Freeze(netcut.Both) }, func(int, bool) bool { return false },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.waitLinks()
			var ends []*end
			if d.hears != nil {
				ends = c.ends(d.hears)
			}
			for _, p := range c.proxies {
				d.disturb(p)
			}
			eventually(t, "all links are found to be lost", func() bool {
				if d.hears != nil {
					c.hear(ends) // what hears is not silent
					c.clock.leap(never / 4)
				}
				for i := range c.nodes {
					c.tick(i)
					for _, p := range c.status(i).Peers {
						if p.To {
							return false
						}
					}
				}
				return true
			})
			for i := range c.nodes {
				s := c.session(i)
				s.write("shared "+name, string(rune('a'+i)))
				s.write(name+string(rune('a'+i)), "v")
			}
			for _, p := range c.proxies {
				p.Restore()
			}
			eventually(t, "all nodes have all", func() bool {
				first := c.session(0).read("shared " + name)
				for i := range c.nodes {
					s := c.session(i)
					if s.read("shared "+name) != first || first == "-" {
						return false
					}
					for j := range c.nodes {
						if s.read(name+string(rune('a'+j))) != "v" {
							return false
						}
					}
				}
				return true
			})
		})
	}
}

// A link that hangs is closed after link-timeout, by the end that hears nothing, and no other.
func TestSilentLinkIsNoticed(t *testing.T) {
	c := startCluster(t, 2, nil)
	c.waitLinks()
	established := c.status(0).Daemon.LinksEstablished
	ends := c.ends(func(node int, out bool) bool { return node == 1 || !out })
	c.proxies[1].Freeze(netcut.FromTarget) // node 1 hears, and is not heard
	for range 2 {
		c.hear(ends)
		c.clock.leap(never / 3)
		c.tick(0)
	}
	if n := c.status(0).Daemon.LinksSilent; n != 0 {
		t.Fatalf("%d links are given up before their time", n)
	}
	eventually(t, "node 0 gives the link up", func() bool {
		c.hear(ends)
		c.clock.leap(never / 3)
		c.tick(0)
		return c.status(0).Daemon.LinksSilent > 0
	})
	c.proxies[1].Restore()
	eventually(t, "the link is back", func() bool {
		return c.status(0).Daemon.LinksEstablished > established && c.status(0).Ready && c.status(1).Ready
	})
	if a, b := c.status(0).Daemon.LinksSilent, c.status(1).Daemon.LinksSilent; a != 1 || b != 0 {
		t.Errorf("given up for silence: %d links at node 0 and %d at node 1, want 1 and 0", a, b)
	}
}

func TestReplicatedAcknowledgement(t *testing.T) {
	c := startCluster(t, 3, func(c *Config) { c.Ack = causal.AckReplicated })
	other := c.session(0)
	other.write("a", "1")
	eventually(t, "a is stable", func() bool { return c.status(0).Server.Pending == 0 })
	s := c.session(0)  // which knows nothing yet
	c.proxies[1].Cut() // from node 0 to its successor
	eventually(t, "the link is lost", func() bool { return !c.status(0).Ready })
	q, err := s.Begin(causal.OpWrite, [][]byte{[]byte("b")}, []byte("2"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sendRequest(q); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the write is held", func() bool { return c.status(0).Server.Held == 1 })
	// What another session knows in the meantime must not shorten the held reply.
	other.read("a")
	other.read("a")
	// Replies of one connection are in order: that to a later request comes first, since there
	// is none to the write.
	later := causal.Request{ID: causal.RequestID{Session: q.ID.Session + 1, Number: 1}, Op: causal.OpSync}
	if err := s.sendRequest(&later); err != nil {
		t.Fatal(err)
	}
	body, err := s.frame()
	if err != nil {
		t.Fatal(err)
	}
	if id, err := wire.ReplyID(body); err != nil || id != later.ID || c.status(0).Server.Held != 1 {
		t.Fatalf("a reply to %+v, %v: acknowledged without the successor", id, err)
	}
	c.proxies[1].Restore()
	if _, err := s.finish(q); err != nil {
		t.Fatalf("after the link came back: %v", err)
	}
	// What was acknowledged survives its head: keep it from becoming stable, so that
	// only the successor can have it.
	c.proxies[2].Cut()
	eventually(t, "the next link is lost", func() bool { return !c.status(1).Ready })
	s.write("c", "3")
	c.halt(0)
	st := c.status(1).Server
	if st.Received[0] != 3 || st.Stable[0] >= 3 {
		t.Fatalf("node 1 has R=%v S=%v, want write 3 of node 0 received and not stable", st.Received, st.Stable)
	}
}

// Who answers in the place of a node that is known must be that node.
func TestChangedBootIsNoticedByTheCaller(t *testing.T) {
	c := startCluster(t, 2, nil)
	before := c.status(0).Daemon.LinksEstablished
	known := c.status(0).Peers[0].LastBoot
	c.halt(1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// It takes any hello, whatever boot id that expects.
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			body, err := (&session{c: conn, timeout: within}).frame()
			if err != nil {
				continue
			}
			h, _ := wire.DecodeHandshake(body)
			hello, ok := h.(*wire.PeerHello)
			if !ok || fmt.Sprintf("%016x", uint64(hello.Expected)) != known {
				t.Errorf("hello %+v, want one that expects boot %s", h, known)
				continue
			}
			b, _ := wire.AppendHandshake(nil, &wire.PeerWelcome{Epoch: hello.Epoch, Boot: 1, Received: make([]causal.Counter, 2)})
			_, _ = conn.Write(b)
		}
	}()
	c.proxies[1].SetTarget(l.Addr().String())
	eventually(t, "node 0 says why", func() bool { return c.nodes[0].log.has("node 1 was restarted") })
	if s := c.status(0); s.Ready || s.Peers[0].To || s.Daemon.LinksEstablished != before {
		t.Fatalf("status %+v", s)
	}
}

// Where nothing is said, signs of life keep all links up, in both directions.
func TestIdleLinksStayUp(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.waitLinks()
	var established []uint64
	for i := range c.nodes {
		established = append(established, c.status(i).Daemon.LinksEstablished)
	}
	ends := c.ends(func(int, bool) bool { return true })
	if n := len(c.nodes); len(ends) != 2*n*(n-1) {
		t.Fatalf("%d ends of links", len(ends))
	}
	for range 3 * 2 { // several time-outs
		c.clock.leap(never / 2)
		c.hear(ends)
	}
	for i := range c.nodes {
		c.tick(i)
		if s := c.status(i); s.Daemon.LinksSilent != 0 || s.Daemon.LinksEstablished != established[i] {
			t.Errorf("node %d: %+v", i, s.Daemon)
		}
	}
}

// A node that drains stays while the last writes of others pass through it.
func TestDrainWaitsForQuiet(t *testing.T) {
	const quiet = time.Hour
	c := newCluster(t, 3, func(c *Config) {
		c.LinkTimeout, c.TombstoneGrace, c.DrainTimeout = 100*quiet, 300*quiet, 100*quiet
	})
	c.prepare = func(n *node) { n.drainQuiet = quiet }
	for i := range c.nodes {
		c.start(i)
	}
	c.waitReady()
	s := c.session(1)
	c.nodes[0].cancel()
	eventually(t, "node 0 drains", func() bool { return c.status(0).Draining })
	for range 5 {
		s.write("k", "v")
		eventually(t, "the write is stable", func() bool { s.read("k"); return len(s.Context().Own) == 0 })
		eventually(t, "node 0 has nothing to wait for but others", func() bool { return c.status(0).Server.Pending == 0 })
		c.tick(0) // it has noted the write
		c.clock.leap(quiet / 3 * 2)
		c.tick(0) // and does not end
	}
	c.clock.leap(quiet)
	if err := c.nodes[0].wait(t); err != nil {
		t.Fatal(err)
	}
}
