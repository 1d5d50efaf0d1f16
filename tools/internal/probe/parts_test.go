package probe

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"causalmesh/causal"
)

// A node that stands still has its requests wait in the queue, and is woken late.
func TestStandstillShowsInQueue(t *testing.T) {
	b := start(t, single)
	c := b.connect()
	for _, d := range holds {
		b.eventually("a standstill of a connection that was heard just before", func() bool { return b.standstill(c, d) })
	}
}

// standstill is false, and nothing is known, if it took so long that the node may have armed the
// connection's receive anew: what came before is then not known to have waited (see listenAfter
// in ring/uring).
func (b *bench) standstill(c *raw, d time.Duration) bool {
	b.t.Helper()
	const silent = time.Second
	pid := b.Nodes[0].PID()
	b.probe()
	defer b.off()
	heard := time.Now()
	c.write(c.request(nil, causal.OpWrite, []byte("v")))
	c.read(1)
	b.stopWaiting(pid)
	before := time.Now()
	c.write(c.request(nil, causal.OpRead, nil))
	after := time.Now()
	<-time.After(d) // It is this that is measured.
	going := time.Now()
	signal(b.t, pid, syscall.SIGCONT)
	c.read(1)
	ended := time.Now()
	if ended.Sub(heard) >= silent {
		return false
	}
	b.awaitCounted(2)
	counted := time.Now() // The kernel may note the end of the send when the client has the reply.
	all := b.node()
	o := b.check(all.operations(), "read", 1)
	b.between("queue", o.Queue, going.Sub(after), ended.Sub(before))
	b.between("service", o.Service, 0, ended.Sub(going))
	b.between("send", o.Send, 0, counted.Sub(going))
	b.between("total", o.Total, going.Sub(after), counted.Sub(before))
	if all.WakeUp.P999 < uint64(float64(going.Sub(after))/rounding) {
		b.t.Errorf("the loop was woken within %d ns, and stood still for %v", all.WakeUp.P999, going.Sub(after))
	}
	return true
}

// A client that does not read has the rest of its replies wait in the send.
func TestSlowReaderShowsInSend(t *testing.T) {
	const (
		reads = 20
		value = 64 << 10 // so that the replies are more than a socket takes, and less than may wait
	)
	b := start(t, single)
	c := b.connect()
	c.write(c.request(nil, causal.OpWrite, make([]byte, value)))
	c.read(1)
	for _, d := range holds {
		b.probe()
		var requests []byte
		for range reads {
			requests = c.request(requests, causal.OpRead, nil)
		}
		before := time.Now()
		c.write(requests)
		b.eventually("they are answered", func() bool { return b.latency()["read"].Requests == reads })
		after := time.Now()
		if n := b.latency()["read"].Send.Count; n != 0 {
			t.Fatalf("the socket has taken %d replies at once", n)
		}
		<-time.After(d) // It is this that is measured.
		going := time.Now()
		c.read(reads)
		b.eventually("all is sent", func() bool { return b.latency()["read"].Send.Count == reads })
		ended := time.Now()
		o := b.check(b.latency(), "read", reads)
		b.between("send", o.Send, going.Sub(after), ended.Sub(before))
		b.between("service", o.Service, 0, after.Sub(before))
		b.between("total", o.Total, 0, after.Sub(before)) // of what was submitted at first
		b.off()
	}
}

// What took long is listed with its parts, once.
func TestOutliersAreListed(t *testing.T) {
	const d = 20 * time.Millisecond
	b := start(t, single)
	c := b.connect()
	b.probe()
	list := func(least time.Duration) (all []Outlier) {
		ctx, cancel := context.WithCancel(b.ctx)
		cancel() // only what is there
		err := Outliers(ctx, b.root, []string{b.Nodes[0].Admin}, least, func(o *Outlier) error {
			all = append(all, *o)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := list(d); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	pid := b.Nodes[0].PID()
	c.write(c.request(nil, causal.OpWrite, []byte("v")))
	c.read(1)
	b.stop(pid)
	c.write(c.request(nil, causal.OpRead, nil))
	<-time.After(d)
	began := time.Now()
	signal(t, pid, syscall.SIGCONT)
	c.read(1)
	ended := time.Now()
	var all []Outlier
	var asked time.Time // for the last of them
	b.eventually("the read is listed", func() bool {
		asked = time.Now()
		all = append(all, list(0)...)
		return len(all) > 0 && all[len(all)-1].Operation == "read"
	})
	listed := time.Now()
	for _, o := range all {
		if took := time.Duration(o.Queue + o.Service + o.Send); took < d {
			t.Errorf("%+v took %v only", o, took)
		}
	}
	// On a busy machine the write may have taken as long.
	o := all[len(all)-1]
	if others := all[:len(all)-1]; len(others) > 1 || len(others) == 1 && others[0].Operation != "write" {
		t.Errorf("besides the read: %+v", others)
	}
	if o.Requests != 1 || o.KeyHash != fmt.Sprintf("%016x", causal.KeyHash([]byte(rawKey))) || o.Node != "0" ||
		o.Queue < int64(d) || o.Service <= 0 || o.Service > int64(ended.Sub(began)) || o.Send <= 0 ||
		// Its time is found out by two clocks, one after the other.
		o.Time.Before(began.Add(asked.Sub(listed))) || o.Time.After(listed) {
		t.Errorf("%+v", o)
	}
	if all := list(0); len(all) != 0 {
		t.Errorf("listed twice: %+v", all)
	}
	// Those to come, until the caller has seen enough, or is told to end.
	ctx, cancel := context.WithCancel(b.ctx)
	told := make(chan error, 1)
	seen := make(chan struct{}, 1)
	go func() {
		told <- Outliers(ctx, b.root, []string{b.Nodes[0].Admin}, 1, func(*Outlier) error {
			select {
			case seen <- struct{}{}:
			default: // There may be many.
			}
			return nil
		})
	}()
	b.eventually("an outlier is told while one waits", func() bool {
		c.write(c.request(nil, causal.OpRead, nil))
		c.read(1)
		return len(seen) > 0
	})
	cancel()
	if err := <-told; err != nil {
		t.Error(err)
	}
}

// between holds a part of a request's time against clocks of the test.
func (b *bench) between(part string, got Times, least, most time.Duration) {
	b.t.Helper()
	for _, ns := range []uint64{got.Mean, got.P50, got.P999} {
		if float64(ns) < float64(least)/rounding || float64(ns) > float64(most)*rounding {
			b.t.Errorf("%s: %+v, want from %v to %v", part, got, least, most)
			return
		}
	}
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// stopWaiting has a node of one loop stand still while its loop waits: what comes then is what
// wakes it.
func (b *bench) stopWaiting(pid int) {
	b.t.Helper()
	rings, err := ebpf.LoadPinnedMap(filepath.Join(b.root, "0", "maps", "rings"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = rings.Close() }()
	b.eventually("the loop waits", func() bool {
		b.stop(pid)
		var address uint64
		var r struct{ Seen, Waiting, Woken uint64 } // as in bpf/c/maps.h
		if all := rings.Iterate(); all.Next(&address, &r) && r.Waiting != 0 && r.Woken == 0 {
			return true
		}
		signal(b.t, pid, syscall.SIGCONT)
		return false
	})
}

// stop has all threads of a process stand still.
func (b *bench) stop(pid int) {
	b.t.Helper()
	signal(b.t, pid, syscall.SIGSTOP)
	b.eventually("all threads stand still", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			b.t.Fatalf("%d threads, %v", len(threads), err)
		}
		for _, path := range threads {
			text, err := os.ReadFile(path)
			if err != nil {
				return false
			}
			if _, rest, _ := bytes.Cut(text, []byte(") ")); !bytes.HasPrefix(rest, []byte("T")) {
				return false
			}
		}
		return true
	})
}
