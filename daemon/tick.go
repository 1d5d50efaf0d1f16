package daemon

import (
	"runtime/debug"
	"time"

	"causalmesh/ring"
)

// tickBusy is how often the core is told the time while it waits for something: its
// flushes (which wait that long for more of them), time-outs and retries are as late at
// most. While it waits for nothing the loop's own period will do, since each tick wakes a
// thread that sleeps.
const tickBusy = 5 * time.Millisecond

// Tick implements ring.Handler.
func (n *node) Tick(time.Time) {
	n.enter()
	n.tick()
}

func (n *node) tick() {
	n.tickNext = n.now.Add(tickBusy)
	n.greetings.expire(n.now, func(c ring.ConnID) {
		if l := n.links[c]; l != nil {
			l.late()
		}
	})
	if n.server != nil {
		n.table.Beat(uint64(n.now))
		n.out.Reset()
		n.in.Kind = 0 // what follows answers no request of this moment
		n.server.Tick(n.now, &n.out)
		n.carryOut()
		for _, p := range n.peers {
			p.tick()
		}
	}
	n.front.tick()
	n.front.publish()
	n.noteCrowding()
	n.settle()
	n.trim()
	n.checkDrained()
	n.tell()
}

// trimDirty is how many keys to flush are a burst.
const trimDirty = 16 << 10

// trim gives the memory back that a burst of writes has taken on the heap, once there is
// nothing left of it: Go's runtime would keep most of it for as long as nothing happens.
func (n *node) trim() {
	if n.server == nil {
		return
	}
	dirty := n.server.Unflushed()
	n.mostDirty = max(n.mostDirty, dirty)
	if n.mostDirty < trimDirty || !n.atRest() {
		return
	}
	n.mostDirty = 0
	go debug.FreeOSMemory()
}

// atRest reports whether the node waits for nothing but its links' heartbeats.
func (n *node) atRest() bool {
	return n.joined && !n.draining && n.server.AtRest() && len(n.front.behind) == 0
}

// tickInTime ticks between the loop's ticks while there is something to wait for.
func (n *node) tickInTime() {
	if n.server == nil || n.atRest() {
		return
	}
	if n.now >= n.tickNext {
		n.tick()
	}
	n.loop.TurnWithin(n.tickNext.Sub(n.now))
}
