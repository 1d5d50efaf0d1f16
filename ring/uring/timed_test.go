//go:build linux

package uring

import (
	"math/rand/v2"
	"testing"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// A timeline gives back what was added, in order, when it is due.
func TestTimeline(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	q, twin, now := timeline{}, []timed(nil), instant(0)
	for range 10_000 {
		now += instant(random.IntN(10))
		if random.IntN(2) == 0 {
			e := timed{ring.ConnID(random.Uint64()), now + 50}
			q.add(e.id, e.at)
			twin = append(twin, e)
		}
		due := len(twin) > 0 && twin[0].at <= now
		id, ok := q.take(now)
		if ok != due || ok && id != twin[0].id {
			t.Fatalf("at %d: took %d, %v; the first of %d is %+v", now, id, ok, len(twin), twin[:min(1, len(twin))])
		}
		if ok {
			twin = twin[1:]
		}
		if len(q.items) > 2*len(twin)+2 {
			t.Fatalf("%d items for %d", len(q.items), len(twin))
		}
	}
}

// The receive of a connection that has fallen silent is armed anew, and goes on.
func TestSilentConnectionIsListenedToAgain(t *testing.T) {
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			clock := looptest.NewClock()
			l := newLoop(t, ring.Options{Tick: time.Hour, Now: clock.Now})
			s := &looptest.Handler{Loop: l}
			nc := looptest.Dial(t, network, looptest.Serve(t, network, s))
			looptest.RoundTrip(t, nc, "before")
			armed := func() (n uint64, watched bool) {
				s.Do(t, func() {
					c := l.slots[0]
					n, watched = l.records.at(receiveRecord(c.slot)).Sequence, c.watched || c.cancelling
				})
				return n, watched
			}
			clock.Advance(t, s, listenAfter-1)
			if n, watched := armed(); n != 1 || !watched {
				t.Errorf("armed %d times, watched: %v; want once and yes", n, watched)
			}
			clock.Advance(t, s, 1)
			looptest.Eventually(t, "armed a second time", func() bool {
				n, watched := armed()
				return n == 2 && !watched
			})
			looptest.RoundTrip(t, nc, "after")
			if n, watched := armed(); n != 2 || !watched {
				t.Errorf("armed %d times, watched: %v; want twice and yes", n, watched)
			}
		})
	}
}

// A cancel that finds nothing is noticed: what it was to end may be under way still.
func TestCancelThatFailsIsNoticed(t *testing.T) {
	l := newLoop(t, ring.Options{Tick: time.Hour})
	s := &looptest.Handler{Loop: l}
	looptest.RoundTrip(t, looptest.Dial(t, "unix", looptest.Serve(t, "unix", s)), "hello")
	s.Do(t, func() {
		c, ln := l.slots[0], l.listeners[0]
		c.cancelling = l.cancel(sendRecord(c.slot), cancelRecord(c.slot), c.id)
		ln.cancelling = l.cancel(acceptRecords+ln.index+1, endRecord, 0)
		if !c.cancelling || !ln.cancelling {
			t.Error("no room for two operations")
		}
	})
	looptest.Eventually(t, "both noticed", func() (noticed bool) {
		s.Do(t, func() { noticed = !l.slots[0].cancelling && !l.listeners[0].cancelling })
		return noticed
	})
}
