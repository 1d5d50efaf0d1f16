package netloop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"causalmesh/ring"
)

const (
	// acceptBacklog is how many accepted sockets may wait for the loop.
	acceptBacklog = 64
	// A failed accept (no file descriptors left, say) is tried again after a
	// pause that doubles between these.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

type listener struct {
	id      ring.ListenerID
	nl      net.Listener
	waiting chan struct{} // one token per accepted socket that the loop has not seen
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
	for _, other := range l.listeners {
		if other.id == id {
			return "", fmt.Errorf("listener %d on %s: %w", id, address, ErrListenerID)
		}
	}
	var nl net.Listener
	var err error
	switch network {
	case "unix":
		nl, err = listenUnix(address)
	case "tcp":
		config := net.ListenConfig{KeepAliveConfig: l.keepAlive()}
		nl, err = config.Listen(context.Background(), network, address)
	default:
		err = fmt.Errorf("%q: %w", network, ErrNetwork)
	}
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w", address, err)
	}
	l.listeners = append(l.listeners, &listener{id, nl, make(chan struct{}, acceptBacklog)})
	return nl.Addr().String(), nil
}

// accept is the acceptor goroutine. It ends when the listener is closed.
func (l *Loop) accept(ln *listener) {
	defer l.routines.Done()
	pause := minAcceptPause
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
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = minAcceptPause
		c, err := newConn(l, nc)
		if err != nil { // This one's trouble only, say a reset.
			<-ln.waiting
			l.acceptErrors.Add(1)
			nc.Close()
			continue
		}
		c.listener = ln
		c.peer = peerOf(nc, c.raw)
		l.mail.post(event{kind: accepted, c: c})
	}
}
