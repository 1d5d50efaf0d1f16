package clientlib

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// connectTimeout bounds one attempt to connect, the handshake included. It is not
// the time that an operation waits, which may span many attempts.
const connectTimeout = 5 * time.Second

// dialing is one attempt to connect. All operations that need a connection wait
// for the same one.
type dialing struct {
	done chan struct{}
	// conn or err holds once done is closed.
	conn link
	err  error
}

// connection returns the connection, making a new one if the last was lost. It
// tries again for as long as p lasts after errors that retry accepts.
func (c *Client) connection(p *patience, retry func(error) bool) (link, error) {
	var last error
	for {
		k, d, err := c.live()
		if d == nil {
			return k, err
		}
		if err := p.wait(d.done); err != nil {
			if last == nil {
				last = fmt.Errorf("%w: connecting", ErrDisconnected)
			}
			return nil, fmt.Errorf("%w: %w", last, err)
		}
		switch {
		case d.err == nil:
			return d.conn, nil
		case !retry(d.err):
			return nil, d.err
		}
		last = d.err
	}
}

// live returns the connection if it is not lost, else the attempt to make a new one,
// which it starts if there is none.
func (c *Client) live() (link, *dialing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, nil, ErrClosed
	case c.current != nil && !c.current.isLost():
		return c.current, nil, nil
	case c.dialing == nil:
		d := &dialing{done: make(chan struct{})}
		c.dialing = d
		pause := c.backoff.next()
		c.running.Go(func() { c.dial(d, pause) })
	}
	return nil, c.dialing, nil
}

// dial makes an attempt after a pause.
func (c *Client) dial(d *dialing, pause time.Duration) {
	defer close(d.done)
	p := patience{ctx: c.life}
	err := p.pause(pause)
	var k link
	var w *wire.Welcome
	if err == nil {
		k, w, err = c.greet()
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialing = nil
	switch {
	case c.closed:
		if k != nil {
			c.running.Go(k.run)
			k.fail(ErrClosed)
		}
		d.err = ErrClosed
	case err != nil:
		d.err = err
	default:
		c.backoff = backoff{}
		c.welcome = w
		d.conn, c.current = k, k
		c.view.Store(viewOf(k))
		c.running.Go(func() {
			c.options.logger.Info("connected", "target", c.name, "node", w.Node, "epoch", w.Epoch)
			k.run()
			c.forget(k)
			if cause := k.cause(); !errors.Is(cause, ErrClosed) {
				c.options.logger.Warn("connection lost", "target", c.name, "error", cause)
			}
		})
	}
}

// forget lets go of a connection that is lost, and of its memory.
func (c *Client) forget(k link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == k {
		c.current = nil
		c.view.Store(nil)
	}
}

// viewOf is the table of a connection, nil if there is none.
func viewOf(k link) *view {
	if c, ok := k.(*channel); ok {
		return c.view
	}
	return nil
}

// greet connects and shakes hands.
func (c *Client) greet() (link, *wire.Welcome, error) {
	ctx, cancel := context.WithTimeout(c.life, connectTimeout)
	defer cancel()
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, c.target.network, c.target.address)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	k, w, err := c.handshake(ctx, nc)
	if err != nil {
		_ = nc.Close()
		return nil, nil, err
	}
	return k, w, nil
}

// handshake greets the server, and makes of the connection what was agreed.
func (c *Client) handshake(ctx context.Context, nc net.Conn) (link, *wire.Welcome, error) {
	hello, err := wire.AppendHandshake(nil, &wire.Hello{Client: c.options.name, Rings: c.target.rings, Table: c.target.table})
	if err != nil {
		return nil, nil, err
	}
	// Whatever ends ctx also ends the reads and writes.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	_, err = nc.Write(hello)
	var body, rest []byte
	var got files
	defer got.close()
	if err == nil {
		body, rest, err = got.read(nc)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	switch {
	case errors.Is(err, ErrProtocol):
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("%w: handshake: %w", ErrDisconnected, err)
	}
	w, err := welcomeOf(body)
	if err != nil {
		return nil, nil, err
	}
	if !c.target.rings {
		return newConn(nc, w, rest), w, nil
	}
	k, err := got.share(nc, w, rest, c.target.table)
	return k, w, err
}

// welcomeOf reads the server's answer to the hello.
func welcomeOf(body []byte) (*wire.Welcome, error) {
	m, err := wire.DecodeHandshake(body)
	if errors.Is(err, ErrVersion) {
		return nil, err
	} else if err != nil {
		return nil, protocolError(err)
	}
	switch m := m.(type) {
	case *wire.Welcome:
		if m.Epoch == 0 {
			return nil, fmt.Errorf("%w: welcome without an epoch", ErrProtocol)
		}
		if err := wire.CheckLimits(m.Limits.Limits(causal.DefaultLimits)); err != nil {
			return nil, protocolError(err)
		}
		return m, nil
	case *wire.Refusal:
		switch err := m.Err(); m.Code {
		case wire.RefusedNotReady:
			return nil, fmt.Errorf("%w: %w", ErrNotReady, err)
		case wire.RefusedOverloaded: // reserved: servers of this version close without a word
			return nil, fmt.Errorf("%w: %w", ErrOverloaded, err)
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: a %T in answer to the hello", ErrProtocol, m)
}
