//go:build linux

package uring

import (
	"time"

	"causalmesh/ring"
)

// listenAfter is how long a connection is silent before its receive is armed anew.
const listenAfter = time.Second

// timed is a connection that is to be looked at.
type timed struct {
	id ring.ConnID
	at instant
}

// timeline holds connections that wait equally long: the first one is due first.
type timeline struct {
	items []timed
	head  int
}

func (q *timeline) add(id ring.ConnID, at instant) { q.items = append(q.items, timed{id, at}) }

// next is when the first one is due.
func (q *timeline) next() instant {
	if q.head == len(q.items) {
		return never
	}
	return q.items[q.head].at
}

// take removes the first one if it is due.
func (q *timeline) take(now instant) (id ring.ConnID, ok bool) {
	if q.next() > now {
		return 0, false
	}
	id = q.items[q.head].id
	if q.head++; q.head > len(q.items)/2 {
		q.items, q.head = q.items[:copy(q.items, q.items[q.head:])], 0
	}
	return id, true
}

// endLingering ends connections whose other side has had its time to close.
func (l *Loop) endLingering() {
	for id, ok := l.lingerers.take(l.now); ok; id, ok = l.lingerers.take(l.now) {
		if c := l.find(id); c != nil && c.phase == lingering {
			l.condemn(c, c.reason)
		}
	}
}

// watch follows the arrival of bytes, or of the connection itself.
func (l *Loop) watch(c *conn) {
	c.heardAt = l.now
	if !c.watched {
		c.watched = true
		l.silent.add(c.id, l.now+instant(listenAfter))
	}
}

// listenAgain arms the receives of connections anew that have fallen silent, once each.
// Since Linux 6.17 a multishot receive on a Unix socket takes a read of all bytes for a read
// of all there is, and waits for another wake-up. None comes if the other side has closed
// right after it has sent: before the receive handles either (until a68ed2df7213, in 7.0 and
// in stable kernels of March 2026), or between its first look and its waiting for more (6.18.44
// still). A missed end always follows bytes, which have the connection watched; a new receive
// sees it.
func (l *Loop) listenAgain() {
	for id, ok := l.silent.take(l.now); ok; id, ok = l.silent.take(l.now) {
		c := l.find(id)
		if c == nil {
			continue
		}
		c.watched = c.phase < condemned && c.receiving && !c.cancelling &&
			(l.now-c.heardAt < instant(listenAfter) || !l.cancelReceive(c)) // If it ends, settle arms it.
		if c.watched {
			l.silent.add(id, l.now+instant(listenAfter))
		}
	}
}
