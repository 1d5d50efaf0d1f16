//go:build linux

package uring

import (
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

// Stop implements ring.Loop.
func (l *Loop) Stop(grace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.opts.Now().Add(grace)
	first := !l.stopped
	if !first && !at.Before(l.stopAt) {
		return
	}
	l.stopped, l.stopAt = true, at
	l.stopNews.Store(true)
	l.alarm.ring()
	if !first {
		return
	}
	l.cancelDials()
	for _, ln := range l.listeners {
		ln.unlink()
		if ln.fd >= 0 {
			// The kernel still accepts on it: from now on it refuses, and the loop
			// closes it when the accept has ended.
			_ = unix.Shutdown(ln.fd, unix.SHUT_RDWR)
		}
	}
	if !l.running {
		l.closeListeners()
		for _, a := range l.inbox.close() {
			l.dismiss(a)
		}
	}
}

// stopping is whether nothing new is to be accepted.
func (l *Loop) stopping() bool { return l.ending || l.stopNews.Load() }

// seeStop begins the end of the loop, and completes it when the grace is over.
func (l *Loop) seeStop() {
	first := false
	if l.stopNews.Load() && l.stopNews.Swap(false) {
		l.mu.Lock()
		l.stopNext = instant(l.stopAt.Sub(l.began))
		l.mu.Unlock()
		first = !l.ending
		l.ending = true
	}
	if !l.ending {
		return
	}
	expired := l.now >= l.stopNext
	if expired {
		l.stopNext = never
	}
	if first || expired {
		l.endConns(expired)
	}
	l.endListeners()
	if l.openConns == 0 && l.dials == 0 {
		l.leaving = true
		if l.polling && !l.pollEnding {
			l.pollEnding = l.cancel(wakeRecord, endRecord, 0)
		}
	}
}

// endAgain follows a cancel that has failed.
func (l *Loop) endAgain() {
	l.pollEnding = false
	for _, ln := range l.listeners {
		ln.cancelling = false
	}
}

func (l *Loop) endConns(atOnce bool) {
	for _, c := range l.slots {
		switch {
		case c.id == 0:
		case c.phase == lingering:
			l.condemn(c, c.reason)
		case atOnce:
			l.condemn(c, ring.ErrLoopEnded)
		default:
			l.beginClose(c, ring.ErrLoopEnded)
		}
	}
}

// endListeners closes those that the kernel does not accept on any more.
func (l *Loop) endListeners() {
	for _, ln := range l.listeners {
		if !ln.accepting {
			l.mu.Lock()
			ln.close()
			l.mu.Unlock()
		} else if !ln.cancelling {
			ln.cancelling = l.cancel(acceptRecords+ln.index, endRecord, 0)
		}
	}
}

// closeListeners is called with mu held.
func (l *Loop) closeListeners() {
	for _, ln := range l.listeners {
		ln.close()
	}
}

// dismiss refuses a socket that has come too late.
func (l *Loop) dismiss(a arrival) {
	if a.fd >= 0 {
		unix.Close(a.fd)
	}
	if a.listener != nil {
		a.listener.open.Add(-1)
		l.stats.Refused++
		return
	}
	l.dials--
	if a.err == nil {
		a.err = ring.ErrLoopEnded
	}
	l.handler.Connected(a.token, 0, a.err)
}

// abandon ends everything after the kernel has failed us: what is under way cannot be
// waited for.
func (l *Loop) abandon(err error) {
	l.mu.Lock()
	l.stopped, l.ending = true, true
	l.closeListeners()
	l.mu.Unlock()
	for _, c := range l.slots {
		if c.id != 0 {
			_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // Operations on it end by themselves.
			id := c.id
			l.remove(c)
			l.stats.Closed++
			l.handler.Closed(id, err)
		}
	}
}
