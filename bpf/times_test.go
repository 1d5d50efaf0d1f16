package bpf

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// rounding is by how much the middle of a bucket may be off.
const rounding = 1.02

// within checks that a duration in ns lies between two others, but for the rounding.
func within(t *testing.T, what string, ns uint64, least, most time.Duration) {
	t.Helper()
	if float64(ns) < float64(least)/rounding || float64(ns) > float64(most)*rounding {
		t.Errorf("%s: %v, want from %v to %v", what, time.Duration(ns), least, most)
	}
}

// One send answers what was held for long and what has just come: each is timed from its
// own receive. With more receives in between than are remembered, the old ones are
// counted and not timed.
func TestHeldRequestsAreTimedFromTheirReceive(t *testing.T) {
	const pause = 20 * time.Millisecond // It is measured, and tells the two that are held apart.
	d := newDesk(t, "unix")
	p := probe(t)
	nc := looptest.Dial(t, "unix", d.address)
	say(t, nc, "a", "a")
	before := time.Now()
	say(t, nc, "ha", "a")
	firstIsHeld := time.Now()
	<-time.After(pause)
	between := time.Now()
	say(t, nc, "ha", "a")
	bothAreHeld := time.Now()
	say(t, nc, "r", "rhh")
	after := time.Now()
	s := p.snapshot(t, d)
	held := &s.check(t, hold, 2).Service
	within(t, "the first one", held.Quantile(1), bothAreHeld.Sub(firstIsHeld), after.Sub(before))
	within(t, "the second one", held.Quantile(0), 0, after.Sub(between))
	within(t, "both", held.Sum, bothAreHeld.Sub(firstIsHeld), after.Sub(before)+after.Sub(between))
	within(t, "the release", s.check(t, release, 1).Service.Quantile(1), 0, after.Sub(bothAreHeld))

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

// More connections than the loop has receive buffers have something to say while it stands
// still: each has waited from then on.
func TestManyThatWaitAtOnce(t *testing.T) {
	const connections = 400
	d := newDesk(t, "unix")
	p := probe(t)
	var all []net.Conn
	for range connections {
		nc := looptest.Dial(t, "unix", d.address)
		say(t, nc, "a", "a")
		all = append(all, nc)
	}
	const pause = 20 * time.Millisecond
	write := func() {
		for _, nc := range all {
			if _, err := nc.Write([]byte{plain}); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func() {
		for _, nc := range all {
			looptest.Expect(t, nc, []byte{plain})
		}
	}
	write()
	expect()
	before := p.snapshot(t, d)
	held, release := make(chan struct{}), make(chan struct{})
	go d.Do(t, func() {
		close(held)
		<-release
	})
	looptest.Receive(t, held, "the loop to stand still")
	began := time.Now()
	write()
	written := time.Now()
	<-time.After(pause) // that is measured
	going := time.Now()
	close(release)
	expect()
	ended := time.Now()
	s := p.snapshot(t, d).Since(before)
	queue := &s.check(t, plain, uint64(len(all))).Queue
	within(t, "the shortest wait", queue.Quantile(0), going.Sub(written), ended.Sub(began))
	within(t, "the longest wait", queue.Quantile(1), going.Sub(written), ended.Sub(began))
}

// A loop that waits is woken by each request, and its waking is all of that request's queue. A
// request that comes while the loop is busy wakes nothing.
func TestWakeUps(t *testing.T) {
	// Without ticks the loop waits until something comes.
	d := newDeskWith(t, "unix", ring.Options{Tick: time.Hour, StallTimeout: time.Hour})
	stop := make(chan struct{})
	var turning sync.WaitGroup
	turning.Go(func() { // On finds rings by the waits of their loops.
		for {
			select {
			case <-stop:
				return
			default:
				d.settle(t)
			}
		}
	})
	attached := sync.OnceFunc(func() { close(stop); turning.Wait() })
	t.Cleanup(attached)
	p := probe(t)
	attached()
	nc := looptest.Dial(t, "unix", d.address)
	say(t, nc, "a", "a")
	const rounds = 100
	awaitWaiting(t)
	before := p.counted(t, plain, 1)
	for range rounds {
		awaitWaiting(t)
		say(t, nc, "a", "a")
	}
	s := p.counted(t, plain, 1+rounds).Since(before)
	queue := &s.check(t, plain, rounds).Queue
	if s.WakeUp.Count != rounds || s.WakeUp.Sum != queue.Sum {
		t.Errorf("%d wake-ups of %d ns in all, and %d requests that waited for %d ns", s.WakeUp.Count, s.WakeUp.Sum, rounds, queue.Sum)
	}

	awaitWaiting(t)
	before = p.counted(t, plain, 1+rounds)
	busy, goOn, jobDone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(jobDone)
		d.Do(t, func() { // It wakes the loop.
			close(busy)
			<-goOn
		})
	}()
	looptest.Receive(t, busy, "the loop to be busy")
	if _, err := nc.Write([]byte{plain}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	looptest.Expect(t, nc, []byte{plain})
	looptest.Receive(t, jobDone, "the end of the job")
	s = p.counted(t, plain, 2+rounds).Since(before)
	s.check(t, plain, 1)
	if s.WakeUp.Count != 1 {
		t.Errorf("%d wake-ups, and one was not busy", s.WakeUp.Count)
	}
}

// counted waits for so many requests of a kind without a turn of the loop.
func (p *Probes) counted(t *testing.T, request byte, want uint64) (s *Snapshot) {
	t.Helper()
	looptest.Eventually(t, "the requests are counted", func() bool {
		var err error
		if s, err = p.Snapshot(); err != nil {
			t.Fatal(err)
		}
		o := &s.Operations[kindOf[request]]
		return o.Requests == want && o.Total.Count == want
	})
	if s.Losses != (Losses{}) {
		t.Errorf("losses: %+v", s.Losses)
	}
	return s
}

// awaitWaiting waits until the programs know that the loop waits, and nothing has come for it.
func awaitWaiting(t *testing.T) {
	t.Helper()
	root, node := rootOf(t)
	rings, err := ebpf.LoadPinnedMap(folderOf(root, node).mapped(requestsMapRings), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rings.Close() }()
	looptest.Eventually(t, "the loop waits", func() bool {
		var address uint64
		var r requestsCmRing
		all := rings.Iterate()
		return all.Next(&address, &r) && r.Waiting != 0 && r.Woken == 0
	})
}
