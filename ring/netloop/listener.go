package netloop

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

// acceptBacklog is how many accepted sockets of a listener may wait for their loops.
const acceptBacklog = 64

type listener struct {
	id       ring.ListenerID
	nl       net.Listener
	maxConns int64
	waiting  chan struct{} // one token per accepted socket that its loop has not seen
	open     atomic.Int64  // accepted connections, whichever loop has them
	loops    []*Loop       // that take what is accepted, in turn; set before Run
	turn     int           // the acceptor's: whose turn it is
}

// Listen implements ring.Loop. A Unix socket's file that no process serves any
// more is removed first.
func (l *Loop) Listen(id ring.ListenerID, network, address string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return "", ring.ErrLoopEnded
	}
	if l.running {
		return "", fmt.Errorf("listen on %s: %w", address, ErrRunning)
	}
	if l.listener(id) != nil {
		return "", fmt.Errorf("listener %d on %s: %w", id, address, ErrListenerID)
	}
	nl, err := socket.Listen(network, address, l.opts)
	if err != nil {
		return "", err
	}
	l.listeners = append(l.listeners, &listener{
		id:       id,
		nl:       nl,
		maxConns: int64(l.opts.MaxConns),
		waiting:  make(chan struct{}, acceptBacklog),
		loops:    []*Loop{l},
	})
	return nl.Addr().String(), nil
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

// accept is the acceptor goroutine. It ends when the listener is closed.
func (l *Loop) accept(ln *listener) {
	defer l.routines.Done()
	pause := socket.MinAcceptPause
	for {
		select {
		case ln.waiting <- struct{}{}:
		case <-l.stopping:
			return
		}
		nc, err := ln.nl.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			<-ln.waiting
			l.acceptErrors.Add(1)
			select {
			case <-time.After(pause):
			case <-l.stopping:
				return
			}
			pause = min(2*pause, socket.MaxAcceptPause)
			continue
		}
		pause = socket.MinAcceptPause
		if err := ln.deal(nc); err != nil { // This one's trouble only, say a reset.
			<-ln.waiting
			l.acceptErrors.Add(1)
			nc.Close()
		}
	}
}

// admit counts a connection in, unless there are as many as there may be.
func (ln *listener) admit() bool {
	if ln.open.Add(1) <= ln.maxConns {
		return true
	}
	ln.open.Add(-1)
	return false
}

// deal gives a socket to the loop whose turn it is.
func (ln *listener) deal(nc net.Conn) error {
	to := ln.loops[ln.turn]
	ln.turn = (ln.turn + 1) % len(ln.loops)
	c, err := newConn(to, nc)
	if err != nil {
		return err
	}
	c.listener = ln
	c.peer = socket.PeerOf(nc, c.raw)
	if !to.mail.post(event{kind: accepted, c: c}) {
		return ring.ErrLoopEnded
	}
	return nil
}
