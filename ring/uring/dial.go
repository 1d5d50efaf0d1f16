//go:build linux

package uring

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

// Dial implements ring.Loop.
func (l *Loop) Dial(token uint64, network, address string, timeout time.Duration) {
	if timeout <= 0 {
		timeout = socket.DefaultDialTimeout
	}
	err := socket.CheckNetwork(network)
	switch {
	case l.ending:
		err = ring.ErrLoopEnded
	case l.dials >= socket.MaxDials:
		err = ErrTooManyDials
	}
	l.dials++
	if err != nil {
		l.inbox.post(arrival{fd: -1, token: token, err: fmt.Errorf("dial %s: %w", address, err)})
		return
	}
	l.dialers.Add(1)
	go l.dial(token, network, address, timeout)
}

// dial is the dialer goroutine. The net package knows how to find hosts; what it has
// connected is taken from it.
func (l *Loop) dial(token uint64, network, address string, timeout time.Duration) {
	defer l.dialers.Done()
	a := arrival{fd: -1, token: token}
	var nc net.Conn
	if nc, a.err = socket.Dial(l.dialContext, network, address, timeout, l.opts); a.err == nil {
		a.fd, a.err = socket.Detach(nc.(syscall.Conn))
		nc.Close()
	}
	l.inbox.post(a) // The inbox stays open for as long as there are dialers.
	l.alarm.ring()
}

func (l *Loop) onDialed(a arrival) {
	var c *conn
	if a.err == nil && !l.ending {
		if c = l.register(a.fd, nil); c == nil {
			a.err = ErrTooManyConns
		}
	}
	if c == nil {
		l.dismiss(a)
		return
	}
	l.dials--
	l.handler.Connected(a.token, c.id, nil)
	l.touch(c)
}
