//go:build linux

package uring

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

type listener struct {
	id       ring.ListenerID
	index    int // among the loop's
	path     string
	maxConns int64
	open     atomic.Int64 // accepted connections, whichever loop has them
	loops    []*Loop      // that take what is accepted, in turn; set before Run

	fd int // -1 when closed; changes under Loop.mu

	// The loop's.
	accepting  bool // an accept is under way
	cancelling bool // it is to end
	turn       int  // whose turn it is
	pause      instant
	retryAt    instant
}

// Listen implements ring.Loop. A Unix socket's file that no process serves any
// more is removed first.
func (l *Loop) Listen(id ring.ListenerID, network, address string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped:
		return "", ring.ErrLoopEnded
	case l.running:
		return "", fmt.Errorf("listen on %s: %w", address, ErrRunning)
	case l.listener(id) != nil:
		return "", fmt.Errorf("listener %d on %s: %w", id, address, ErrListenerID)
	case len(l.listeners) == maxListeners:
		return "", fmt.Errorf("listen on %s: %w", address, ErrTooManyListeners)
	}
	nl, err := socket.Listen(network, address, l.opts)
	if err != nil {
		return "", err
	}
	ln := &listener{
		id:       id,
		index:    len(l.listeners),
		maxConns: int64(l.opts.MaxConns),
		loops:    []*Loop{l},
	}
	if ln.fd, err = takeListener(nl, l.opts); err != nil {
		return "", fmt.Errorf("listen on %s: %w", address, err)
	}
	bound := nl.Addr().String()
	if network == "unix" && !strings.HasPrefix(bound, "@") {
		ln.path = bound
	}
	l.listeners = append(l.listeners, ln)
	return bound, nil
}

// takeListener takes the socket out of the net package.
func takeListener(nl net.Listener, opts ring.Options) (fd int, err error) {
	if fd, err = socket.Detach(nl.(syscall.Conn)); err != nil {
		nl.Close()
		return -1, err
	}
	if _, tcp := nl.(*net.TCPListener); tcp {
		if err := socket.TuneListener(fd, opts); err != nil {
			unix.Close(fd)
			nl.Close()
			return -1, err
		}
	}
	if local, ok := nl.(*net.UnixListener); ok {
		local.SetUnlinkOnClose(false)
	}
	return fd, nl.Close()
}

// listener is called with mu held.
func (l *Loop) listener(id ring.ListenerID) *listener {
	for _, ln := range l.listeners {
		if ln.id == id {
			return ln
		}
	}
	return nil
}

// unlink removes a Unix socket's file, once: later the path may be another's. It is
// called with mu held.
func (ln *listener) unlink() {
	if ln.path != "" {
		_ = os.Remove(ln.path)
		ln.path = ""
	}
}

// close is called with mu held.
func (ln *listener) close() {
	ln.unlink()
	if ln.fd >= 0 {
		unix.Close(ln.fd)
		ln.fd = -1
	}
}

// Deal implements ring.Loop.
func (l *Loop) Deal(id ring.ListenerID, loops []ring.Loop) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.listener(id)
	switch {
	case l.running:
		return fmt.Errorf("deal listener %d: %w", id, ErrRunning)
	case ln == nil:
		return fmt.Errorf("deal listener %d: %w", id, ErrNoListener)
	case len(loops) == 0:
		return fmt.Errorf("deal listener %d: %w", id, ErrNoLoops)
	}
	var to []*Loop
	for i, other := range loops {
		loop, ours := other.(*Loop)
		if !ours || loop == nil {
			return fmt.Errorf("deal listener %d, loop %d of %d: %w", id, i+1, len(loops), ErrForeignLoop)
		}
		to = append(to, loop)
	}
	ln.loops = to
	return nil
}

// armAll arms what is not armed and is to be.
func (l *Loop) armAll() {
	if !l.polling && !l.leaving {
		if sqe := l.kernel.ring.GetSQE(); sqe != nil {
			sqe.PreparePollMultishot(l.alarm.fd, unix.POLLIN)
			sqe.UserData = l.records.at(wakeRecord).begin(opWake, 0)
			l.polling = true
		}
	}
	if l.stopping() {
		return
	}
	for _, ln := range l.listeners {
		if !ln.accepting && l.now >= ln.retryAt {
			l.accept(ln)
		}
	}
}

// accept arms an accept that goes on until it is cancelled or fails. A socket that it
// brings blocks, as io_uring wants it.
func (l *Loop) accept(ln *listener) {
	sqe := l.kernel.ring.GetSQE()
	if sqe == nil {
		return // The next turn tries again.
	}
	sqe.PrepareMultishotAccept(ln.fd, 0, 0, unix.SOCK_CLOEXEC)
	rec := l.records.at(acceptRecords + ln.index)
	rec.Bytes = uint64(ln.id)
	sqe.UserData = rec.begin(opAccept, 0)
	ln.accepting = true
}

func (l *Loop) onAccept(ln *listener, e event) {
	ln.accepting = !e.final()
	if e.res >= 0 {
		ln.pause = 0
		l.deal(ln, int(e.res))
		return
	}
	if l.stopping() {
		return
	}
	l.stats.AcceptErrors++
	ln.pause = min(max(2*ln.pause, instant(socket.MinAcceptPause)), instant(socket.MaxAcceptPause))
	ln.retryAt = l.now + ln.pause
}

// admit counts a connection in, unless there are as many as there may be.
func (ln *listener) admit() bool {
	if ln.open.Add(1) <= ln.maxConns {
		return true
	}
	ln.open.Add(-1)
	return false
}

// deal gives an accepted socket to the loop whose turn it is.
func (l *Loop) deal(ln *listener, fd int) {
	if l.stopping() || !ln.admit() {
		l.stats.Refused++
		unix.Close(fd)
		return
	}
	to := ln.loops[ln.turn]
	ln.turn = (ln.turn + 1) % len(ln.loops)
	a := arrival{fd: fd, listener: ln}
	if to == l {
		l.welcome(a)
	} else if to.inbox.post(a) {
		to.alarm.ring()
	} else {
		l.dismiss(a)
	}
}

// welcome makes a connection of an accepted socket.
func (l *Loop) welcome(a arrival) {
	var c *conn
	if !l.ending {
		c = l.register(a.fd, a.listener)
	}
	if c == nil {
		l.dismiss(a)
		return
	}
	if err := l.handler.Accepted(c.id, a.listener.id, socket.PeerOfFD(a.fd)); err != nil {
		l.stats.Refused++
		l.remove(c)
		return
	}
	l.stats.Accepted++
	l.touch(c)
}

// takeArrivals makes connections of what others have for the loop.
func (l *Loop) takeArrivals() {
	if !l.inbox.some.Load() {
		return
	}
	l.arrivals = l.inbox.take(l.arrivals[:0])
	for _, a := range l.arrivals {
		if a.listener != nil {
			l.welcome(a)
		} else {
			l.onDialed(a)
		}
	}
	clear(l.arrivals)
	l.arrivals = l.arrivals[:0]
}
