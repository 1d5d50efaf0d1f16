package netloop

import (
	"fmt"
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
	nc, err := socket.Dial(l.dialContext, network, address, timeout, l.opts)
	var c *conn
	if err == nil {
		if c, err = wrap(l, nc); err != nil {
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
