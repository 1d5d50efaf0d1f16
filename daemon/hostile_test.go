package daemon

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// garbage is what strangers send.
func garbage(t *testing.T) map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	framed := binary.BigEndian.AppendUint32(nil, 300)
	framed = append(framed, noise[:300]...)
	good := hello(t)
	peerHello, err := wire.AppendHandshake(nil, &wire.PeerHello{From: 1, To: 0, RingSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	wrongVersion := append([]byte(nil), good...)
	at := strings.Index(string(wrongVersion), wire.Magic) + len(wire.Magic)
	wrongVersion[at] = 99
	return map[string][]byte{
		"noise":         noise,
		"framed noise":  framed,
		"http":          []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls":           {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03},
		"empty frame":   {0, 0, 0, 0},
		"huge frame":    {0xff, 0xff, 0xff, 0xff},
		"cut short":     good[:len(good)/2],
		"a request":     wire.AppendRequest(nil, &causal.Request{Op: causal.OpRead, Keys: [][]byte{[]byte("k")}}),
		"a message":     wire.AppendMessage(nil, &causal.Message{Kind: causal.MessageRing, Epoch: 1}),
		"peer hello":    peerHello,
		"wrong version": wrongVersion,
		"behind hello":  append(append([]byte(nil), good...), noise...),
	}
}

// Garbage on every port, while others are served.
func TestGarbageOnEveryPort(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.waitLinks()
	established := c.status(0).Daemon.LinksEstablished
	a := c.nodes[0].Addresses()
	s := c.session(0)
	for name, bytes := range garbage(t) {
		for _, port := range []struct{ network, address string }{{"unix", a.Unix}, {"tcp", a.TCP}, {"tcp", a.Peer}, {"tcp", a.Admin}} {
			conn, err := net.Dial(port.network, port.address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(bytes) // it may be closed already
			// Who may be waiting for more hears that there is none.
			if name == "cut short" || name == "tls" || port.address == a.Admin {
				_ = conn.(interface{ CloseWrite() error }).CloseWrite()
			}
			_ = conn.SetReadDeadline(time.Now().Add(within))
			if _, err := io.Copy(io.Discard, conn); err != nil && !isReset(err) {
				t.Errorf("%s on %s: %v, want the end", name, port.address, err)
			}
			_ = conn.Close()
		}
		s.write("k", name)
		if got := s.read("k"); got != name {
			t.Fatalf("after %s: %s", name, got)
		}
	}
	eventually(t, "the other nodes have it", func() bool { return c.session(2).read("k") != "-" })
	eventually(t, "garbage is counted, and the one client", func() bool {
		n := c.status(0).Daemon
		return n.Malformed > 0 && n.PeersMalformed > 0 && n.PeersRefused > 0 && n.Clients == 1
	})
	st := c.status(0)
	if n := st.Daemon.LinksEstablished; n != established {
		t.Fatalf("%d links were made, %d before: one was lost", n, established)
	}
	for _, p := range st.Peers {
		if !p.To || !p.From {
			t.Fatalf("a link was lost: %+v", p)
		}
	}
}

// Whoever can be told why is told why.
func TestRefusals(t *testing.T) {
	c := startCluster(t, 2, nil)
	a := c.nodes[0].Addresses()
	bytes := garbage(t)
	peerHello := func(change func(*wire.PeerHello)) []byte {
		cfg := c.config(0)
		h := wire.PeerHello{From: 1, To: 0, RingSize: 2, Digest: cfg.digest(), Epoch: c.status(0).Epoch, Boot: 1}
		change(&h)
		b, err := wire.AppendHandshake(nil, &h)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, r := range []struct {
		name, network, address string
		first                  []byte
		code                   wire.RefusalCode
		text                   string
	}{
		{"http", "unix", a.Unix, bytes["http"], wire.RefusedMalformed, "too large"},
		{"version", "tcp", a.TCP, bytes["wrong version"], wire.RefusedVersion, "upgrade"},
		{"peer at the client's", "tcp", a.TCP, bytes["peer hello"], wire.RefusedMalformed, "for clients"},
		{"version of a peer", "tcp", a.Peer, bytes["wrong version"], wire.RefusedVersion, "upgrade"},
		{"client at the peers'", "tcp", a.Peer, hello(t), wire.RefusedMalformed, "other nodes"},
		{"other ring size", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.RingSize = 3 }), wire.RefusedConfig, "peers and node-id"},
		{"other node", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.From, h.To = 0, 1 }), wire.RefusedConfig, "node-id"},
		{"other settings", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.Digest[0]++ }), wire.RefusedConfig, "must be the same"},
		{"other key", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.Nonce[0]++ }), wire.RefusedProof, "cluster-key"},
		{"no epoch", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.Epoch = 0 }), wire.RefusedNotReady, "no epoch"},
		{"other epoch", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.Epoch++ }), wire.RefusedEpoch, "restart all"},
		{"expected another", "tcp", a.Peer, peerHello(func(h *wire.PeerHello) { h.Expected = 1 }), wire.RefusedEpoch, "node 0 was restarted"},
		{"another boot", "tcp", a.Peer, peerHello(func(*wire.PeerHello) {}), wire.RefusedEpoch, "node 1 was restarted"},
	} {
		t.Run(r.name, func(t *testing.T) {
			got := refusalAt(t, r.network, r.address, r.first)
			if got.Code != r.code || !strings.Contains(got.Text, r.text) {
				t.Fatalf("refused with %v: %q, want %v: …%s…", got.Code, got.Text, r.code, r.text)
			}
		})
	}
	if s := c.status(0); !s.Ready {
		t.Fatalf("the honest link has suffered: %s", s.NotReady)
	}
}

// A stranger who says nothing is not kept for ever.
func TestSilentStranger(t *testing.T) {
	c := startCluster(t, 1, nil)
	a := c.nodes[0].Addresses()
	var conns []net.Conn
	for _, address := range []string{a.TCP, a.Peer} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	eventually(t, "both are accepted", func() bool { return c.status(0).Loop.Accepted == 2 })
	c.tick(0)
	if n := c.status(0).Daemon.NoHandshake; n != 0 {
		t.Fatalf("%d are given up before their time", n)
	}
	c.clock.leap(never)
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		if _, err := io.Copy(io.Discard, conn); err != nil && !isReset(err) {
			t.Fatal(err)
		}
	}
	eventually(t, "they are counted", func() bool { return c.status(0).Daemon.NoHandshake == 2 })
}

// Small requests with large replies, faster than the client reads: they are served
// as it reads, and never pile up.
func TestPipelinedLargeReads(t *testing.T) {
	c := startCluster(t, 1, nil)
	s := c.session(0)
	s.write("big", strings.Repeat("v", 1<<20))
	const reads = 200
	var all []byte
	for i := range reads {
		all = wire.AppendRequest(all, &causal.Request{
			ID: causal.RequestID{Session: 7, Number: uint32(i)}, Op: causal.OpRead, Keys: [][]byte{[]byte("big")},
		})
	}
	if _, err := s.c.Write(all); err != nil {
		t.Fatal(err)
	}
	served := func() uint64 {
		s := c.status(0)
		return s.Server.Counters.Reads + s.Daemon.DirectReads
	}
	eventually(t, "some are served", func() bool { return served() > 0 })
	for range 5 { // time for more
		c.tick(0)
	}
	if n := served(); n > 20 {
		t.Fatalf("%d MiB were read for a client that reads nothing", n)
	}
	for i := range reads {
		body, err := s.frame()
		if err != nil {
			t.Fatalf("reply %d: %v", i, err)
		}
		if id, err := wire.ReplyID(body); err != nil || id.Number != uint32(i) {
			t.Fatalf("reply %d: %v, %v", i, id, err)
		}
	}
	s.write("after", "1")
}

// A request for which the core has an answer keeps its connection.
func TestBadRequestsGetReplies(t *testing.T) {
	c := startCluster(t, 1, nil)
	s := c.session(0)
	for name, forge := range map[string]func(*causal.Request){
		"no key":    func(r *causal.Request) { r.Keys = nil },
		"empty key": func(r *causal.Request) { r.Keys = [][]byte{{}} },
		"two keys":  func(r *causal.Request) { r.Keys = append(r.Keys[:1:1], r.Keys[0]) },
		"bad ttl":   func(r *causal.Request) { r.TTL = -1 },
	} {
		s.forge = forge
		if _, err := s.do(causal.OpWrite, "v", "k"); !errors.Is(err, causal.ErrBadRequest) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	s.forge = nil
	s.write("k", "v")
}

// Whoever is one too many is turned away, and the operator hears of it.
func TestTooManyConnections(t *testing.T) {
	c := startCluster(t, 1, func(c *Config) { c.MaxConns = 1 })
	c.session(0)
	conn, err := net.Dial("unix", c.nodes[0].Addresses().Unix)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(within))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !isReset(err) {
		t.Fatalf("%d bytes, %v; want the end", n, err)
	}
	eventually(t, "it is logged", func() bool { return c.nodes[0].log.has("raise max-conns") })
}

// TestRequestOverTheLargest: a client cannot make the node keep more of an incomplete
// request than the largest request has.
func TestRequestOverTheLargest(t *testing.T) {
	c := startCluster(t, 1, nil)
	nc, err := net.Dial("unix", c.nodes[0].Addresses().Unix)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(within))
	if _, err := nc.Write(append(hello(t), 0, 0x40, 0, 0)); err != nil { // a frame of 4 MiB begins
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, nc); err != nil && !isReset(err) {
		t.Fatalf("not closed: %v", err)
	}
	eventually(t, "it is counted", func() bool { return c.status(0).Daemon.Malformed == 1 })
}
