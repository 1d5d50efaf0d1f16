package bpf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
	"causalmesh/ring/uring"
)

// The requests at a desk: each is one byte, and so is its answer.
const (
	plain   = 'a' // answered at once
	hold    = 'h' // answered by the next release
	release = 'r'
)

// holdKey is the hash of what a held request is for.
const holdKey = 0x1234567890abcdef

var kindOf = map[byte]int{plain: 1, hold: 3, release: 4}

// desk serves such requests in this process, and holds some of them.
type desk struct {
	looptest.Handler
	address string
	taken   map[ring.ConnID]uint64
	held    map[ring.ConnID][]uint64 // their positions
}

func newDesk(t *testing.T, network string) *desk {
	t.Helper()
	return newDeskWith(t, network, ring.Options{StallTimeout: time.Hour})
}

func newDeskWith(t *testing.T, network string, o ring.Options) *desk {
	t.Helper()
	// The loop arms the receive of a connection anew that was silent for a second; what comes meanwhile is
	// not known to have waited (see listenAgain in ring/uring). On this clock no second passes.
	o.Now = looptest.NewClock().Now
	l, err := uring.New(o)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	d := &desk{taken: map[ring.ConnID]uint64{}, held: map[ring.ConnID][]uint64{}}
	d.Loop, d.OnReceived = l, d.serve
	d.address = looptest.Serve(t, network, &d.Handler)
	return d
}

func (d *desk) serve(c ring.ConnID, data []byte) (int, error) {
	out := d.Loop.Out(c)
	if out == nil {
		return len(data), nil
	}
	at := d.taken[c] + uint64(len(data))
	d.taken[c] = at
	out.At(at)
	for _, b := range data {
		if b == hold {
			d.held[c] = append(d.held[c], at)
			continue
		}
		out.Bytes = append(out.Bytes, b)
		out.Answers[kindOf[b]]++
		if b == release {
			for _, position := range d.held[c] {
				out.Bytes = append(out.Bytes, hold)
				out.Late(kindOf[hold], ring.Origin{Position: position, Key: holdKey})
			}
			delete(d.held, c)
		}
	}
	return len(data), nil
}

// say sends requests and reads answers.
func say(t *testing.T, nc net.Conn, requests, answers string) {
	t.Helper()
	if _, err := nc.Write([]byte(requests)); err != nil {
		t.Fatal(err)
	}
	looptest.Expect(t, nc, []byte(answers))
}

// settle waits until the loop has come back from the kernel. A client may have an answer while
// the programs that count it still run.
func (d *desk) settle(t *testing.T) {
	t.Helper()
	d.Do(t, func() {})
}

// rootOf is where the pins of a test are.
func rootOf(t *testing.T) (root, node string) {
	return fmt.Sprintf("%s-test-%d", Root, os.Getpid()), filepath.Base(t.Name())
}

// probe follows a loop of this process until the test ends. There are no outliers: on a busy
// machine any request may be one, and those that are not read are losses.
func probe(t *testing.T) *Probes {
	t.Helper()
	p := probeAsUsual(t)
	setOutlierOf(t, 0)
	return p
}

func setOutlierOf(t *testing.T, least time.Duration) {
	t.Helper()
	root, node := rootOf(t)
	if err := SetOutlier(root, node, least); err != nil {
		t.Fatal(err)
	}
}

// probeAsUsual leaves the settings as On makes them.
func probeAsUsual(t *testing.T) *Probes {
	t.Helper()
	root, node := rootOf(t)
	ctx, cancel := context.WithTimeout(t.Context(), looptest.Patience)
	defer cancel()
	err := On(ctx, root, Target{Node: node, PID: os.Getpid(), Boot: 7, Loops: 1})
	if errors.Is(err, ErrHost) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if v := (*ebpf.VerifierError)(nil); errors.As(err, &v) {
		t.Fatalf("the kernel's verifier: %+v", v)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Off(root, node); err != nil {
			t.Error(err)
		}
	})
	p, err := Open(root, node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (p *Probes) snapshot(t *testing.T, d *desk) *Snapshot {
	t.Helper()
	d.settle(t)
	s, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if s.Losses != (Losses{}) {
		t.Errorf("losses: %+v", s.Losses)
	}
	return s
}

// check holds one kind against how many there were; all were timed.
func (s *Snapshot) check(t *testing.T, request byte, want uint64) *Operation {
	t.Helper()
	o := &s.Operations[kindOf[request]]
	if o.Requests != want || o.Untimed != 0 || o.Unready != 0 || o.Queue.Count != want || o.Service.Count != want ||
		o.Send.Count != want || o.Total.Count != want {
		t.Errorf("%c: %d requests (%d untimed, %d unready), %d queued, %d served, %d sent, %d in all; want %d",
			request, o.Requests, o.Untimed, o.Unready, o.Queue.Count, o.Service.Count, o.Send.Count, o.Total.Count, want)
	}
	return o
}

// Whatever a send answers, each request is counted once and timed.
func TestCountsAreExact(t *testing.T) {
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			d := newDesk(t, network)
			early := looptest.Dial(t, network, d.address)
			say(t, early, "aaa", "aaa")
			p := probe(t)
			say(t, early, "a", "a") // a connection that was there before
			nc := looptest.Dial(t, network, d.address)
			const rounds = 300
			for range rounds {
				say(t, nc, "aa", "aa")
				say(t, nc, "hha", "a")
				say(t, nc, "hara", "arhhha")
			}
			s := p.snapshot(t, d)
			s.check(t, plain, 1+5*rounds)
			s.check(t, hold, 3*rounds)
			s.check(t, release, rounds)
		})
	}
}

// More receives than are remembered, and a slot that another connection takes over.
func TestConnectionsFollowEachOther(t *testing.T) {
	d := newDesk(t, "tcp")
	p := probe(t)
	const connections, rounds = 5, 700
	for range connections {
		nc := looptest.Dial(t, "tcp", d.address)
		for range rounds {
			say(t, nc, "a", "a")
		}
		say(t, nc, "har", "arh")
		_ = nc.Close()
		looptest.Eventually(t, "the connection is gone", func() bool { return d.Stats(t).OpenConns == 0 })
	}
	s := p.snapshot(t, d)
	s.check(t, plain, connections*(rounds+1))
	s.check(t, hold, connections)
	s.check(t, release, connections)
}

// Large requests come in several receives: the last counts.
func TestLargeRequests(t *testing.T) {
	d := newDesk(t, "unix")
	p := probe(t)
	nc := looptest.Dial(t, "unix", d.address)
	const each = 100_000
	text := string(bytes.Repeat([]byte{plain}, each))
	for range 5 {
		go func() { _, _ = nc.Write([]byte(text)) }()
		looptest.Expect(t, nc, []byte(text))
	}
	p.snapshot(t, d).check(t, plain, 5*each)
}
