package netloop

import (
	"context"
	"fmt"
	"net"
	"time"

	"causalmesh/ring"
)

const (
	// maxDials is how many dials may be under way.
	maxDials = 128
	// defaultDialTimeout stands in for a timeout that is not positive.
	defaultDialTimeout = 5 * time.Second
)

// Dial implements ring.Loop.
func (l *Loop) Dial(token uint64, network, address string, timeout time.Duration) {
	if timeout <= 0 {
		timeout = defaultDialTimeout
	}
	var err error
	switch {
	case l.ending:
		err = ring.ErrLoopEnded
	case l.dials >= maxDials:
		err = ErrTooManyDials
	case network != "unix" && network != "tcp":
		err = fmt.Errorf("%q: %w", network, ErrNetwork)
	}
	l.dials++
	if err != nil {
		err = fmt.Errorf("dial %s: %w", address, err)
		l.mail.post(event{kind: dialed, c: &conn{token: token}, err: err})
		return
	}
	l.routines.Add(1)
	go l.dial(token, network, address, timeout)
}

// dial is the dialer goroutine.
func (l *Loop) dial(token uint64, network, address string, timeout time.Duration) {
	defer l.routines.Done()
	ctx, cancel := context.WithTimeout(l.dialContext, timeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: l.keepAlive()}
	nc, err := dialer.DialContext(ctx, network, address)
	var c *conn
	if err == nil {
		if c, err = newConn(l, nc); err != nil {
			nc.Close()
		}
	}
	if err != nil {
		c = &conn{}
	}
	c.token = token
	l.mail.post(event{kind: dialed, c: c, err: err})
}

func (l *Loop) onDialed(c *conn, err error) {
	l.dials--
	if err == nil && l.ending {
		c.nc.Close()
		err = ring.ErrLoopEnded
	}
	if err != nil {
		l.handler.Connected(c.token, 0, err)
		return
	}
	l.register(c)
	l.handler.Connected(c.token, c.id, nil)
	l.startReader(c)
}
