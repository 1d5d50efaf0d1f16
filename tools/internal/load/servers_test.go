package load

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon"
	"causalmesh/daemon/child"
	"causalmesh/daemon/loopback"
	"causalmesh/daemon/netcut"
	"causalmesh/daemon/store/redisproc"
)

// patience is how long tests wait for what must happen, on a busy machine too.
const patience = 30 * time.Second

// shortDir is a directory whose path leaves room for a Unix socket's name; that of
// t.TempDir has the test's name in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "l")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startRedis returns targets on a redis-server.
func startRedis(t *testing.T) []string {
	t.Helper()
	if _, err := redisproc.Find(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	s, err := redisproc.Start(shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return []string{"redis:unix:" + s.Socket, "redis:tcp:" + s.Addr}
}

// startMemcached returns targets on memcached, which listens on one kind of socket at
// a time.
func startMemcached(t *testing.T) []string {
	t.Helper()
	binary, err := exec.LookPath("memcached")
	if err != nil {
		t.Skip("NOT TESTED: memcached is not installed; apt-get install memcached")
	}
	path := filepath.Join(shortDir(t), "s")
	addresses, err := loopback.Addresses(1)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-s", path}, {"-l", host, "-p", port, "-U", "0"}} {
		p, err := child.Start(exec.Command(binary, append(args, "-u", "root")...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
	}
	awaitListener(t, "unix", path)
	awaitListener(t, "tcp", addresses[0])
	return []string{"memcached:unix:" + path, "memcached:tcp:" + addresses[0]}
}

func awaitListener(t *testing.T, network, address string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial(network, address)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
}

// ring is a ring of causalmesh in this process.
type ring struct {
	nodes   []*daemon.Node
	targets []string // over Unix sockets, and over TCP behind these
	links   []*netcut.Proxy
}

func startRing(t *testing.T, nodes int) *ring {
	t.Helper()
	r := &ring{}
	var tcp []string
	dir := shortDir(t)
	for range nodes {
		p, err := netcut.Listen("")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		r.links = append(r.links, p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, nodes)
	for i := range nodes {
		c := daemon.DefaultConfig()
		c.NodeID = causal.ReplicaID(i)
		for _, p := range r.links {
			c.Peers = append(c.Peers, p.Addr())
		}
		c.ListenPeer, c.ListenTCP, c.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		c.ListenUnix = filepath.Join(dir, fmt.Sprintf("n%d", i))
		c.LinkTimeout = patience // no link is lost to a busy machine
		c.DrainTimeout = time.Millisecond
		n, err := daemon.New(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		r.links[i].SetTarget(n.Addresses().Peer)
		r.nodes = append(r.nodes, n)
		r.targets = append(r.targets, "unix:"+c.ListenUnix)
		tcp = append(tcp, "tcp:"+n.Addresses().TCP)
		go func() { ended <- n.Run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range nodes {
			<-ended // draining may have failed: tests cut links
		}
	})
	for i, n := range r.nodes {
		select {
		case <-n.Ready():
		case <-time.After(patience):
			t.Fatalf("node %d is not ready", i)
		}
	}
	r.targets = append(r.targets, tcp...)
	return r
}

// newLoad returns options for a load that ends when it is told to.
func newLoad(t *testing.T, args ...string) *Options {
	t.Helper()
	o, err := ParseArgs(append([]string{"--keys", "50", "--warmup", "0s", "--duration", "1h", "--timeout", patience.String()}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return &o
}

// loadUntil makes a load, and ends it once something holds: what is measured then does
// not depend on how fast the machine is.
func (r *run) loadUntil(t *testing.T, enough func() bool) (*Report, error) {
	t.Helper()
	defer r.engine.close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	meter, err := newMeter(r.o.ServerPIDs)
	if err == nil {
		err = r.begin(ctx, nil)
	}
	if err != nil {
		return nil, err
	}
	watched := make(chan bool)
	go func() {
		reached := enough()
		for ; !reached && ctx.Err() == nil; reached = enough() {
			time.Sleep(time.Millisecond)
		}
		cancel()
		watched <- reached
	}()
	report, err := r.measure(ctx, meter, nil)
	cancel()
	if reached := <-watched; err == nil && !reached {
		t.Errorf("not enough within %v: %+v", patience, report)
	}
	return report, err
}

// counted adds up what was measured so far.
func (r *run) counted() (all counts) {
	for _, one := range r.engine.recorders() {
		one.mu.Lock()
		all.add(&one.counts)
		one.mu.Unlock()
	}
	return all
}

// mustLoad makes a load that has to go well, until enough was measured.
func mustLoad(t *testing.T, o *Options, enough func(c counts) bool) *Report {
	t.Helper()
	run := newRun(o)
	r, err := run.loadUntil(t, func() bool { return enough(run.counted()) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// operations is enough for mustLoad.
func operations(n int64) func(counts) bool { return func(c counts) bool { return c.done() >= n } }

// ofEach is enough for mustLoad: so many reads, and so many writes.
func ofEach(n int64) func(counts) bool {
	return func(c counts) bool { return c.reads >= n && c.writes >= n }
}

// fakeServer answers one connection after the other with what serve does.
func fakeServer(t *testing.T, serve func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return path
}
