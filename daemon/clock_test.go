package daemon

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"causalmesh/causal"
)

func TestClockNeverGoesBack(t *testing.T) {
	read := time.Now()
	wall := causal.TimeOf(read)
	var c clock
	if got := c.at(read, wall); got != wall {
		t.Fatalf("starts at %d, want the wall clock's %d", got, wall)
	}
	// The wall clock is set back by an hour: time goes on, more slowly.
	last := c.at(read, wall)
	wall = wall.Add(-time.Hour)
	for range 100 {
		read, wall = read.Add(time.Second), wall.Add(time.Second)
		now := c.at(read, wall)
		if passed := now.Sub(last); passed < 850*time.Millisecond || passed > time.Second {
			t.Fatalf("%v pass in a second", passed)
		}
		last = now
	}
	// It is set right again: so is the clock, at once.
	if now := c.at(read.Add(time.Second), last.Add(time.Minute)); now != last.Add(time.Minute) {
		t.Errorf("%v behind the wall clock", last.Add(time.Minute).Sub(now))
	}
}

// testClock is the machine's clock, put forward as often as a test does so.
type testClock struct{ ahead atomic.Int64 }

func (c *testClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *testClock) leap(d time.Duration) { c.ahead.Add(int64(d)) }

// tick waits until node i has ticked at a time that is not before this one.
func (c *cluster) tick(i int) {
	c.t.Helper()
	n, since := c.nodes[i].n, causal.TimeOf(c.clock.now())
	eventually(c.t, fmt.Sprintf("node %d ticks", i), func() bool {
		next, err := ask(context.Background(), n, func() causal.Time { return n.tickNext })
		if err != nil {
			c.t.Fatalf("node %d: %v\n%s", i, err, c.nodes[i].log)
		}
		return next >= since.Add(tickBusy)
	})
}

// end is one end of a link.
type end struct {
	n   *node
	p   *peer
	out *outLink // nil: it is the end of in
	in  *inLink
}

// look is when the end has heard something, and whether its link is still there. The loop
// calls it.
func (e *end) look() (heard causal.Time, linked bool) {
	if e.out != nil {
		return e.out.heard, e.p.out == e.out
	}
	return e.in.heard, e.p.in == e.in
}

// ends are those of all links that are there, at the nodes and in the directions that which
// chooses.
func (c *cluster) ends(which func(node int, out bool) bool) (all []*end) {
	c.t.Helper()
	for i := range c.nodes {
		n := c.nodes[i].n
		some, err := ask(context.Background(), n, func() (some []*end) {
			for _, p := range n.peers {
				if p.up() && which(i, true) {
					some = append(some, &end{n: n, p: p, out: p.out})
				}
				if p.accepted() && which(i, false) {
					some = append(some, &end{n: n, p: p, in: p.in})
				}
			}
			return some
		})
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// hear waits until each end has heard something at a time that is not before this one, or has
// lost its link.
func (c *cluster) hear(ends []*end) {
	c.t.Helper()
	since := causal.TimeOf(c.clock.now())
	for _, e := range ends {
		eventually(c.t, "the other end of a link is heard", func() bool {
			heard, err := ask(context.Background(), e.n, func() bool {
				at, linked := e.look()
				return at >= since || !linked
			})
			if err != nil {
				c.t.Fatal(err)
			}
			return heard
		})
	}
}
