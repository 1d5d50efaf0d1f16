package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"causalmesh/bpf"
	"causalmesh/clientlib"
	"causalmesh/tools/internal/admin"
	"causalmesh/tools/internal/rig"
)

// within is how long tests wait for what must happen, on a busy machine too.
const within = time.Minute

// causalmeshd is the program that the tests run, built from this tree.
var causalmeshd string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "probetest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	causalmeshd = filepath.Join(dir, "causalmeshd")
	build := exec.Command("go", "build", "-o", causalmeshd, "causalmesh/daemon/causalmeshd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // so that it gives up its privileges
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build causalmeshd:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// bench is a ring of real nodes, the first of which can be probed.
type bench struct {
	*rig.Ring
	t    *testing.T
	ctx  context.Context
	root string // of the pins
	// shared: clients are in shared memory, where nothing is sent.
	shared bool
}

func start(t *testing.T, c rig.Config) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED with -short: it runs real processes")
	}
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	dir, err := os.MkdirTemp("", "p") // a short path, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*within)
	t.Cleanup(cancel)
	c.Binary, c.Dir = causalmeshd, dir
	r, err := rig.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Kill)
	return &bench{Ring: r, t: t, ctx: ctx, root: fmt.Sprintf("%s-test-%d", bpf.Root, os.Getpid())}
}

// probe attaches to the first node until the test ends. There are no outliers: on a busy machine
// any request may be one, and those that are not read are losses.
func (b *bench) probe() {
	b.t.Helper()
	var c Change
	err := b.answered(func() (err error) {
		c, err = On(b.ctx, b.root, b.Nodes[0].Admin)
		return err
	})
	if err != nil || c.Already || c.PID != b.Nodes[0].PID() {
		b.t.Fatalf("%+v, %+v", c, err)
	}
	if err := bpf.SetOutlier(b.root, "0", 0); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := bpf.Off(b.root, "0"); err != nil && !errors.Is(err, bpf.ErrOff) {
			b.t.Error(err)
		}
	})
}

// off detaches from the first node.
func (b *bench) off() {
	b.t.Helper()
	if c, err := Off(b.ctx, b.root, b.Nodes[0].Admin); err != nil || c.Already {
		b.t.Errorf("%+v, %v", c, err)
	}
}

// latency reads what was measured at the first node, of which nothing was lost.
func (b *bench) latency() map[string]Operation { return b.node().operations() }

func (b *bench) node() *Latency {
	b.t.Helper()
	var all []Latency
	err := b.answered(func() (err error) {
		all, err = Read(b.ctx, b.root, []string{b.Nodes[0].Admin}, 0)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if l := all[0].Losses; l != (bpf.Losses{}) {
		b.t.Errorf("losses: %+v", l)
	}
	return &all[0]
}

func (l *Latency) operations() map[string]Operation {
	operations := map[string]Operation{}
	for _, o := range l.Operations {
		operations[o.Name] = o
	}
	return operations
}

// counted is how many requests of clients were counted, with all of their parts.
func (b *bench) counted() (n int) {
	b.t.Helper()
	for _, o := range b.latency() {
		n += int(o.Total.Count + o.Unready + o.Untimed) // One of these is noted last.
	}
	return n
}

// awaitCounted waits until so many requests of clients were counted. A client may have a reply
// before the kernel has noted that it was sent, and those in shared memory are told of some ms
// later.
func (b *bench) awaitCounted(want int) {
	b.t.Helper()
	b.eventually(fmt.Sprint(want, " requests are counted"), func() bool { return b.counted() >= want })
}

// answered repeats a question as long as the node is too busy to answer it in time.
func (b *bench) answered(ask func() error) (err error) {
	b.t.Helper()
	b.eventually("the node answers", func() bool {
		err = ask()
		return !errors.Is(err, admin.ErrAnswer)
	})
	return err
}

// check holds an operation against how many there were, all of them timed.
func (b *bench) check(operations map[string]Operation, name string, want int) Operation {
	b.t.Helper()
	o := operations[name]
	sent := uint64(want)
	if b.shared {
		sent = 0
	}
	if n := uint64(want); o.Requests != n || o.Queue.Count != n || o.Service.Count != n || o.Send.Count != sent || o.Total.Count != n {
		b.t.Errorf("%s: %d requests (%d untimed, %d unready), %d queued, %d served, %d sent, %d in all; want %d",
			name, o.Requests, o.Untimed, o.Unready, o.Queue.Count, o.Service.Count, o.Send.Count, o.Total.Count, want)
	}
	return o
}

func (b *bench) dial(target string) *clientlib.Client {
	b.t.Helper()
	c, err := clientlib.Dial(b.ctx, target, clientlib.WithTimeout(within))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually polls until the condition holds.
func (b *bench) eventually(what string, condition func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s", what)
		}
	}
}
