package daemon

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// caller is a connection that pretends to be node 1 of a ring of two.
type caller struct {
	session
	hello wire.PeerHello
}

// call says hello to node 0, which is alone, and returns what it answers.
func call(t *testing.T, c *cluster, change func(*wire.PeerHello)) (*caller, *wire.PeerWelcome) {
	t.Helper()
	conn, err := net.Dial("tcp", c.nodes[0].Addresses().Peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cfg := c.config(0)
	k := &caller{session: session{t: t, c: conn, timeout: within}}
	k.hello = wire.PeerHello{From: 1, To: 0, RingSize: 2, Digest: cfg.digest(), Epoch: c.status(0).Epoch, Boot: 7}
	if change != nil {
		change(&k.hello)
	}
	k.send(t, &k.hello)
	h, err := k.handshake()
	if err != nil {
		t.Fatal(err)
	}
	w, ok := h.(*wire.PeerWelcome)
	if !ok {
		t.Fatalf("%+v in place of a welcome", h)
	}
	return k, w
}

// The link that came last is the link: an older one may be half-open.
func TestNewerLinkReplacesTheOlder(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.start(0)
	first, _ := call(t, c, nil)
	eventually(t, "the first is accepted", func() bool { return c.status(0).Peers[0].From })
	second, _ := call(t, c, nil)
	for { // signs of life, then the end
		if _, err := first.frame(); errors.Is(err, io.EOF) || isReset(err) {
			break
		} else if err != nil {
			t.Fatalf("the older link: %v, want its end", err)
		}
	}
	if body, err := second.frame(); err != nil {
		t.Fatalf("the newer link: %v, want a sign of life", err)
	} else if typ, err := wire.TypeOf(body); err != nil || typ != wire.TypeFlushed {
		t.Fatalf("the newer link: %v, %v", typ, err)
	}
	if !c.status(0).Peers[0].From {
		t.Fatal("the newer link is not taken for the link")
	}
}

// Whoever is welcomed has proved nothing yet.
func TestCallerMustProveTheKey(t *testing.T) {
	path := keyFile(t, testKey)
	for name, proof := range map[string]func(*caller, *wire.PeerWelcome) wire.Handshake{
		"no proof":           func(*caller, *wire.PeerWelcome) wire.Handshake { return &wire.PeerProof{} },
		"their own one back": func(_ *caller, w *wire.PeerWelcome) wire.Handshake { return &wire.PeerProof{Proof: w.Proof} },
		"another key": func(k *caller, w *wire.PeerWelcome) wire.Handshake {
			return &wire.PeerProof{Proof: wire.Prove([]byte("another key"), wire.RoleCalling, &k.hello, w)}
		},
		"something else": func(k *caller, _ *wire.PeerWelcome) wire.Handshake { return &k.hello },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, func(c *Config) { c.ClusterKey = path })
			c.start(0)
			k, w := call(t, c, func(h *wire.PeerHello) { h.Nonce[0] = 1 })
			if p := c.status(0).Peers[0]; p.From || p.LastBoot != "" {
				t.Fatalf("believed before the proof: %+v", p)
			}
			k.send(t, proof(k, w))
			h, err := k.handshake()
			if err != nil {
				t.Fatal(err)
			}
			if r, ok := h.(*wire.Refusal); !ok || r.Code != wire.RefusedProof || !strings.Contains(r.Text, "cluster-key") {
				t.Fatalf("answered %+v", h)
			}
			if s := c.status(0); s.Peers[0].From || s.Peers[0].LastBoot != "" || s.Daemon.PeersUnproven != 1 {
				t.Fatalf("status %+v", s)
			}
		})
	}
	c := newCluster(t, 2, func(c *Config) { c.ClusterKey = path })
	c.start(0)
	k, w := call(t, c, func(h *wire.PeerHello) { h.Nonce[0] = 1 })
	k.send(t, &wire.PeerProof{Proof: wire.Prove([]byte(testKey), wire.RoleCalling, &k.hello, w)})
	eventually(t, "the honest caller is believed", func() bool { return c.status(0).Peers[0].From })
}

// A welcome states what this node has. What comes over the older link before the newer
// one is proved makes that old news: the caller has to call again.
func TestWelcomeOvertakenByTheOlderLink(t *testing.T) {
	path := keyFile(t, testKey)
	c := newCluster(t, 2, func(c *Config) { c.ClusterKey = path })
	c.start(0)
	nonce := byte(0)
	welcomed := func() (*caller, *wire.PeerWelcome) {
		nonce++
		return call(t, c, func(h *wire.PeerHello) { h.Nonce[0] = nonce })
	}
	prove := func(k *caller, w *wire.PeerWelcome) {
		k.send(t, &wire.PeerProof{Proof: wire.Prove([]byte(testKey), wire.RoleCalling, &k.hello, w)})
	}
	older, w := welcomed()
	prove(older, w)
	eventually(t, "the older is accepted", func() bool { return c.status(0).Peers[0].From })
	newer, w := welcomed()
	s := c.status(0)
	m := causal.Message{Kind: causal.MessageRing, Epoch: s.Epoch, Entries: []causal.RingEntry{{Version: &causal.Version{
		Key: []byte("k"), Epoch: s.Epoch, Dot: causal.Dot{Origin: 1, Counter: 1}, Stamp: causal.Stamp{Time: 1, Origin: 1},
	}}}}
	if _, err := older.c.Write(wire.AppendMessage(nil, &m)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a version has come", func() bool { return c.status(0).Server.Received[1] == 1 })
	prove(newer, w)
	eventually(t, "both are closed", func() bool { return !c.status(0).Peers[0].From })
	again, w := welcomed()
	if w.Received[1] != 1 {
		t.Fatalf("R=%v in the next welcome", w.Received)
	}
	prove(again, w)
	eventually(t, "the next is accepted", func() bool { return c.status(0).Peers[0].From })
}

// A peer that breaks the protocol loses its links, and nothing else happens.
func TestPeerThatBreaksTheProtocol(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.start(0)
	for name, m := range map[string]causal.Message{
		"other epoch": {Kind: causal.MessageRing, Epoch: 1},
		"gap": {Kind: causal.MessageRing, Entries: []causal.RingEntry{{Version: &causal.Version{
			Key: []byte("k"), Dot: causal.Dot{Origin: 1, Counter: 9}, Stamp: causal.Stamp{Time: 1, Origin: 1},
		}}}},
		"far ahead":      {Kind: causal.MessageFlushed, Time: 1 << 63},
		"knows too much": {Kind: causal.MessageFlushed, Everywhere: causal.VectorClock{9, 9}},
	} {
		k, _ := call(t, c, nil)
		if m.Epoch == 0 {
			m.Epoch = c.status(0).Epoch
			for i := range m.Entries {
				m.Entries[i].Version.Epoch = m.Epoch
			}
		}
		before := c.status(0).Server.Counters.PeerErrors
		if _, err := k.c.Write(wire.AppendMessage(nil, &m)); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is dropped", func() bool {
			s := c.status(0)
			return !s.Peers[0].From && s.Server.Counters.PeerErrors == before+1
		})
	}
}
