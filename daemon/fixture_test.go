package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/netcut"
)

// within is how long tests wait for what must happen, on a busy machine too.
const within = 30 * time.Second

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// never is a time-out that no test is to reach, however busy the machine is. Tests of a
// time-out put the nodes' clock forward.
const never = 15 * time.Minute

// cluster is a ring of nodes in this process, with one clock. The way to each node's peer listener
// leads through a proxy, so its address outlives a restart and can be cut.
type cluster struct {
	t       testing.TB
	dir     string
	change  func(*Config)
	prepare func(*node) // if set, before a node runs
	clock   testClock
	nodes   []*running
	proxies []*netcut.Proxy
}

// running is a node and the goroutine that runs it.
type running struct {
	*Node
	cancel context.CancelFunc
	log    *logBuffer
	done   chan struct{}
	err    error // after done
}

// newCluster prepares n nodes and starts none.
func newCluster(t testing.TB, n int, change func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), change: change, nodes: make([]*running, n)}
	for range n {
		p, err := netcut.Listen("")
		if err != nil {
			t.Fatal(err)
		}
		c.proxies = append(c.proxies, p)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.halt(i)
		}
		for _, p := range c.proxies {
			p.Close()
		}
	})
	return c
}

// startCluster starts n nodes and waits until all are ready.
func startCluster(t testing.TB, n int, change func(*Config)) *cluster {
	t.Helper()
	c := newCluster(t, n, change)
	for i := range n {
		c.start(i)
	}
	c.waitReady()
	return c
}

func (c *cluster) config(i int) Config {
	cfg := DefaultConfig()
	if err := cfg.ReadEnv(os.Environ()); err != nil { // the Makefile has the tests run over all loops
		c.t.Fatal(err)
	}
	cfg.NodeID = causal.ReplicaID(i)
	for _, p := range c.proxies {
		cfg.Peers = append(cfg.Peers, p.Addr())
	}
	cfg.ListenPeer, cfg.ListenTCP, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.ListenUnix = c.socket(i)
	cfg.Heartbeat, cfg.LinkTimeout, cfg.DrainTimeout = 20*time.Millisecond, never, never
	if c.change != nil {
		c.change(&cfg)
	}
	return cfg
}

// socket is where node i listens for clients on its machine.
func (c *cluster) socket(i int) string { return filepath.Join(c.dir, fmt.Sprintf("n%d.sock", i)) }

// start starts node i, or starts it again after it has ended.
func (c *cluster) start(i int) {
	c.t.Helper()
	c.startWith(i, c.config(i))
}

func (c *cluster) startWith(i int, cfg Config) {
	c.t.Helper()
	log := &logBuffer{}
	n, err := New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		c.t.Fatal(err)
	}
	n.n.askTimeout, n.n.statusTimeout, n.n.loadTimeout = within, within, within
	for _, f := range n.n.fronts() {
		f.clock.wall, f.stallAfter = c.clock.now, never
	}
	if c.prepare != nil {
		c.prepare(n.n)
	}
	c.proxies[i].SetTarget(n.Addresses().Peer)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Node: n, cancel: cancel, log: log, done: make(chan struct{})}
	c.nodes[i] = r
	go func() {
		r.err = n.Run(ctx)
		close(r.done)
	}()
}

func (c *cluster) waitReady() {
	c.t.Helper()
	for i, n := range c.nodes {
		select {
		case <-n.Ready():
		case <-n.done:
			c.t.Fatalf("node %d ended: %v\n%s", i, n.err, n.log)
		case <-time.After(within):
			c.t.Fatalf("node %d is not ready\n%s", i, n.log)
		}
	}
}

// waitLinks waits until every node has links to and from all others; to be ready, a
// node needs none from others than its predecessor.
func (c *cluster) waitLinks() {
	c.t.Helper()
	eventually(c.t, "all links are up", func() bool {
		for i := range c.nodes {
			for _, p := range c.status(i).Peers {
				if !p.To || !p.From {
					return false
				}
			}
		}
		return true
	})
}

// halt ends node i as a crash would.
func (c *cluster) halt(i int) {
	if n := c.nodes[i]; n != nil {
		n.Halt()
		n.wait(c.t)
		n.cancel()
	}
}

func (n *running) wait(t testing.TB) error {
	t.Helper()
	select {
	case <-n.done:
		return n.err
	case <-time.After(2 * within):
		t.Fatalf("a node does not end\n%s", n.log)
		return nil
	}
}

func (c *cluster) status(i int) Status {
	c.t.Helper()
	s, err := c.nodes[i].Status(context.Background())
	if err != nil {
		c.t.Fatalf("node %d: %v\n%s", i, err, c.nodes[i].log)
	}
	return s
}

// session connects a new session to node i.
func (c *cluster) session(i int) *session {
	c.t.Helper()
	return connect(c.t, "unix", c.nodes[i].Addresses().Unix)
}

// logBuffer collects a node's log.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) has(text string) bool { return strings.Contains(b.String(), text) }

// session is a client: one session on one connection.
type session struct {
	*causal.Session
	t       testing.TB
	c       net.Conn
	in      []byte
	welcome wire.Welcome
	timeout time.Duration
	// forge, if set, changes a request before it is sent.
	forge func(*causal.Request)
}

func connect(t testing.TB, network, address string) *session {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s := &session{t: t, c: c, timeout: within}
	s.send(t, &wire.Hello{Client: "test"})
	h, err := s.handshake()
	if err != nil {
		t.Fatal(err)
	}
	w, ok := h.(*wire.Welcome)
	if !ok {
		t.Fatalf("%s: %+v in place of a welcome", address, h)
	}
	s.welcome = *w
	s.Session = causal.NewSession(rand.Uint64(), w.Limits.Limits(causal.DefaultLimits))
	return s
}

func (s *session) send(t testing.TB, m wire.Handshake) {
	t.Helper()
	b, err := wire.AppendHandshake(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// frame reads the body of the next frame.
func (s *session) frame() ([]byte, error) {
	_ = s.c.SetReadDeadline(time.Now().Add(s.timeout))
	for {
		body, rest, err := wire.Next(s.in, wire.MaxFrameBytes)
		if err != nil {
			return nil, err
		}
		if body != nil {
			s.in = rest
			return body, nil
		}
		chunk := make([]byte, 64<<10)
		n, err := s.c.Read(chunk)
		if err != nil {
			return nil, err
		}
		s.in = append(s.in[:len(s.in):len(s.in)], chunk[:n]...)
	}
}

func (s *session) handshake() (wire.Handshake, error) {
	body, err := s.frame()
	if err != nil {
		return nil, err
	}
	return wire.DecodeHandshake(body)
}

// do carries out one operation.
func (s *session) do(op causal.Op, value string, keys ...string) ([]causal.Version, error) {
	var ks [][]byte
	for _, k := range keys {
		ks = append(ks, []byte(k))
	}
	q, err := s.Begin(op, ks, []byte(value), 0)
	if err != nil {
		return nil, err
	}
	if err := s.sendRequest(q); err != nil {
		return nil, err
	}
	return s.finish(q)
}

func (s *session) sendRequest(q *causal.Request) error {
	sent := *q
	if s.forge != nil {
		s.forge(&sent)
	}
	_, err := s.c.Write(wire.AppendRequest(nil, &sent))
	return err
}

func (s *session) finish(q *causal.Request) ([]causal.Version, error) {
	body, err := s.frame()
	if err != nil {
		return nil, err
	}
	var r causal.Reply
	if err := wire.DecodeReply(body, &r, q.Known); err != nil {
		return nil, err
	}
	return s.Finish(&r)
}

func (s *session) write(key, value string) {
	s.t.Helper()
	if _, err := s.do(causal.OpWrite, value, key); err != nil {
		s.t.Fatalf("write %s: %v", key, err)
	}
}

// read returns a value, "-" if there is none.
func (s *session) read(key string) string {
	s.t.Helper()
	vs, err := s.do(causal.OpRead, "", key)
	if err != nil {
		s.t.Fatalf("read %s: %v", key, err)
	}
	if v := &vs[0]; !v.Absent() && !v.Tombstone {
		return string(v.Value)
	}
	return "-"
}

// fails checks that an operation is refused, for the given reason.
func (s *session) fails(want error, op causal.Op, value string, keys ...string) {
	s.t.Helper()
	if _, err := s.do(op, value, keys...); !errors.Is(err, want) {
		s.t.Fatalf("%v: %v, want %v", op, err, want)
	}
}

// goOn makes s the next function of from's workflow.
func (s *session) goOn(from *session) *session {
	s.Resume(from.Context())
	return s
}

// refusal connects and returns why the server refuses.
func refusalAt(t testing.TB, network, address string, first []byte) *wire.Refusal {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(first); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, c: c, timeout: within}
	h, err := s.handshake()
	if err != nil {
		t.Fatalf("no refusal: %v", err)
	}
	r, ok := h.(*wire.Refusal)
	if !ok {
		t.Fatalf("%+v in place of a refusal", h)
	}
	if _, err := s.frame(); !errors.Is(err, io.EOF) && !isReset(err) {
		t.Fatalf("after the refusal: %v, want the end", err)
	}
	return r
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func hello(t testing.TB) []byte {
	t.Helper()
	b, err := wire.AppendHandshake(nil, &wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keyFile(t testing.TB, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
