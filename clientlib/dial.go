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
	conn *conn
	err  error
}

// connection returns the connection, making a new one if the last was lost. It
// tries again for as long as p lasts after errors that retry accepts.
func (c *Client) connection(p *patience, retry func(error) bool) (*conn, error) {
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
func (c *Client) live() (*conn, *dialing, error) {
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
	var nc net.Conn
	var w *wire.Welcome
	var rest []byte
	if err == nil {
		nc, w, rest, err = c.greet()
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialing = nil
	switch {
	case c.closed:
		if nc != nil {
			_ = nc.Close()
		}
		d.err = ErrClosed
	case err != nil:
		d.err = err
	default:
		c.backoff = backoff{}
		c.welcome = w
		d.conn = newConn(nc, w, rest)
		c.current = d.conn
		c.running.Go(d.conn.write)
		c.running.Go(func() {
			c.options.logger.Info("connected", "target", c.target, "node", w.Node, "epoch", w.Epoch)
			d.conn.read()
			if cause := d.conn.cause(); !errors.Is(cause, ErrClosed) {
				c.options.logger.Warn("connection lost", "target", c.target, "error", cause)
			}
		})
	}
}

// greet connects and shakes hands.
func (c *Client) greet() (net.Conn, *wire.Welcome, []byte, error) {
	ctx, cancel := context.WithTimeout(c.life, connectTimeout)
	defer cancel()
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, c.network, c.address)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	w, rest, err := handshake(ctx, nc, c.options.name)
	if err != nil {
		_ = nc.Close()
		return nil, nil, nil, err
	}
	return nc, w, rest, nil
}

// handshake greets the server. It returns the server's welcome, and the bytes that
// came behind it.
func handshake(ctx context.Context, nc net.Conn, name string) (*wire.Welcome, []byte, error) {
	hello, err := wire.AppendHandshake(nil, &wire.Hello{Client: name})
	if err != nil {
		return nil, nil, err
	}
	// Whatever ends ctx also ends the reads and writes.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	_, err = nc.Write(hello)
	var body, rest []byte
	if err == nil {
		body, rest, err = readHandshake(nc)
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
	return w, rest, err
}

func readHandshake(nc net.Conn) (body, rest []byte, err error) {
	buf := make([]byte, 0, wire.FrameHeaderBytes+wire.MaxHandshakeBytes)
	for {
		n, err := nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		body, rest, frameErr := wire.Next(buf, wire.MaxHandshakeBytes)
		switch {
		case frameErr != nil:
			return nil, nil, protocolError(frameErr)
		case body != nil:
			return body, rest, nil
		case err != nil:
			return nil, nil, err
		}
	}
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
