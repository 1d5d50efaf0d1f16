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
	l, err := uring.New(ring.Options{})
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

// probe follows a loop of this process until the test ends.
func probe(t *testing.T) *Probes {
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

// One send answers what was held for long and what has just come: each is timed from its
// own receive. With more receives in between than are remembered, the old ones are
// counted and not timed.
func TestHeldRequestsAreTimedFromTheirReceive(t *testing.T) {
	const pause = 20 * time.Millisecond // that is measured
	d := newDesk(t, "unix")
	p := probe(t)
	nc := looptest.Dial(t, "unix", d.address)
	say(t, nc, "a", "a")
	before := time.Now()
	say(t, nc, "ha", "a")
	began := time.Now() // It is held.
	<-time.After(pause)
	say(t, nc, "ha", "a")
	ended := time.Now()
	say(t, nc, "r", "rhh")
	after := time.Now()
	s := p.snapshot(t, d)
	held := s.check(t, hold, 2)
	longest, shortest := held.Service.Quantile(1), held.Service.Quantile(0)
	bucket := 1.02 // what a bucket rounds
	if least := uint64(float64(ended.Sub(began)) / bucket / 2); held.Service.Sum < least || longest < uint64(float64(pause)/bucket) {
		t.Errorf("held for %d and %d ns, the first one for at least %v", longest, shortest, pause)
	}
	if most := uint64(float64(after.Sub(before)) * bucket); longest > most {
		t.Errorf("held for %d ns, at most %d", longest, most)
	}
	if most := uint64(float64(after.Sub(ended)+ended.Sub(began)-pause) * bucket); shortest > most {
		t.Errorf("the second was held for %d ns, at most %d", shortest, most)
	}
	if longest := s.check(t, release, 1).Service.Quantile(1); longest > uint64(float64(after.Sub(ended))*bucket) {
		t.Errorf("the release took %d ns", longest)
	}

	const receives = 600
	say(t, nc, "ha", "a")
	for range receives {
		say(t, nc, "a", "a")
	}
	say(t, nc, "har", "arhh")
	s = p.snapshot(t, d)
	if o := s.Operations[kindOf[hold]]; o.Requests != 4 || o.Untimed != 1 || o.Service.Count != 3 {
		t.Errorf("%d requests, %d untimed, %d timed; want 4, 1, 3", o.Requests, o.Untimed, o.Service.Count)
	}
	s.check(t, plain, 5+receives)
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

// A loop that waits is woken by each request of one that waits for its answer.
func TestWakeUps(t *testing.T) {
	d := newDesk(t, "unix")
	p := probe(t)
	nc := looptest.Dial(t, "unix", d.address)
	const rounds = 200
	for range rounds {
		say(t, nc, "a", "a")
	}
	s := p.snapshot(t, d)
	queue := s.check(t, plain, rounds).Queue
	// The loop may be awake for another reason, and is woken by other things, too.
	if s.WakeUp.Count < rounds/2 || s.WakeUp.Quantile(0.5) > queue.Quantile(0.5)*11/10 {
		t.Errorf("%d wake-ups of %d ns for %d requests that waited for %d ns",
			s.WakeUp.Count, s.WakeUp.Quantile(0.5), rounds, queue.Quantile(0.5))
	}
}

// Requests that took long are told one by one, with their times, and nothing else is.
func TestOutliers(t *testing.T) {
	const pause = 30 * time.Millisecond // that is measured
	d := newDesk(t, "unix")
	p := probe(t)
	root, node := rootOf(t)
	o, err := OpenOutliers(root, node)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	nc := looptest.Dial(t, "unix", d.address)
	say(t, nc, "ahh", "a")
	<-time.After(pause)
	say(t, nc, "ar", "arhh")
	d.settle(t)
	ended, end := context.WithCancel(t.Context())
	end()
	var slow Outlier
	for slow.Kind != kindOf[hold] { // On a busy machine others may have taken long, too.
		if slow, err = o.Next(ended); err != nil {
			t.Fatal(err)
		}
	}
	c := d.First(t)
	if slow.Kind != kindOf[hold] || slow.Count != 2 || slow.Key != holdKey || slow.Connection != uint64(c) ||
		slow.Service < pause || slow.Queue == 0 || slow.Send == 0 || slow.At < slow.Service {
		t.Errorf("%+v", slow)
	}
	held := p.snapshot(t, d).check(t, hold, 2)
	if held.Service.Sum != 2*uint64(slow.Service) || held.Queue.Sum != 2*uint64(slow.Queue) || held.Send.Sum != 2*uint64(slow.Send) ||
		held.Total.Sum != 2*uint64(slow.Queue+slow.Service+slow.Send) {
		t.Errorf("%+v, and the histograms' sums are %d, %d, %d, %d", slow, held.Queue.Sum, held.Service.Sum, held.Send.Sum, held.Total.Sum)
	}
	for _, c := range []struct {
		least time.Duration
		want  int
	}{{0, 0}, {1, 3}} { // a, r, h
		told := func() (n int) {
			for {
				if _, err := o.Next(ended); err != nil {
					return n
				}
				n++
			}
		}
		if err := SetOutlier(root, node, c.least); err != nil {
			t.Fatal(err)
		}
		told()
		say(t, nc, "har", "arh")
		d.settle(t)
		if n := told(); n != c.want {
			t.Errorf("from %v on: %d outliers, want %d", c.least, n, c.want)
		}
	}
}

// Outliers that nobody reads are dropped, and counted.
func TestOutliersAreBounded(t *testing.T) {
	d := newDesk(t, "unix")
	p := probe(t)
	root, node := rootOf(t)
	if err := SetOutlier(root, node, 1); err != nil {
		t.Fatal(err)
	}
	nc := looptest.Dial(t, "unix", d.address)
	const rounds = 2000
	for range rounds {
		say(t, nc, "a", "a")
	}
	d.settle(t)
	s, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	o, err := OpenOutliers(root, node)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ended, end := context.WithCancel(t.Context())
	end()
	kept := uint64(0)
	for ; err == nil; kept++ {
		_, err = o.Next(ended)
	}
	if kept--; kept+s.Losses.Outliers != rounds || s.Losses.Outliers == 0 {
		t.Errorf("%d are kept and %d dropped of %d", kept, s.Losses.Outliers, rounds)
	}
}

// Who reads outliers more slowly than they come gets to an end all the same.
func TestOutliersEndWithTheirContext(t *testing.T) {
	d := newDesk(t, "unix")
	probe(t)
	root, node := rootOf(t)
	if err := SetOutlier(root, node, 1); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOutliers(root, node)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	nc := looptest.Dial(t, "unix", d.address)
	ended, end := context.WithCancel(t.Context())
	end()
	for range 3000 { // twice what there is room for
		say(t, nc, "aa", "aa")
		d.settle(t)
		if _, err := o.Next(ended); err != nil {
			return
		}
	}
	t.Error("it goes on")
}

// More connections than the loop has receive buffers have something to say while it stands
// still: each has waited from then on.
func TestManyThatWaitAtOnce(t *testing.T) {
	const connections, pause = 400, 20 * time.Millisecond
	d := newDesk(t, "unix")
	p := probe(t)
	var all []net.Conn
	for range connections {
		nc := looptest.Dial(t, "unix", d.address)
		say(t, nc, "a", "a")
		all = append(all, nc)
	}
	before := p.snapshot(t, d)
	held, release := make(chan struct{}), make(chan struct{})
	go d.Do(t, func() {
		close(held)
		<-release
	})
	<-held
	for _, nc := range all {
		if _, err := nc.Write([]byte{plain}); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(pause) // that is measured
	close(release)
	for _, nc := range all {
		looptest.Expect(t, nc, []byte{plain})
	}
	s := p.snapshot(t, d).Since(before)
	queue := &s.check(t, plain, connections).Queue
	if shortest := queue.Quantile(0); shortest < uint64(pause)*98/100 {
		t.Errorf("one has waited for %d ns, and all for %v at least", shortest, pause)
	}
}
