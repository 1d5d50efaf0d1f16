package clientlib

import (
	"fmt"
	"net"
	"slices"
	"sync"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

const (
	// firstBufferBytes is what a connection starts to receive with.
	firstBufferBytes = 16 << 10
	// keptBufferBytes is the largest buffer that is kept after the burst or the
	// large value that it was grown for.
	keptBufferBytes = 4 << 20
	// maxQueuedBytes is how much may be queued for a server that does not read;
	// operations then wait before they queue more. It bounds memory: operations
	// that are given up leave their bytes behind.
	maxQueuedBytes = 4 << 20
)

// server tells one life of a server from others. What a server remembers, retries
// above all, is there as long as this is the same: one that comes back without its
// memory must not give the same dots again, so it comes with another epoch or
// incarnation.
type server struct {
	node        causal.ReplicaID
	epoch       causal.Epoch
	incarnation causal.Incarnation
}

// conn is one connection: a goroutine that writes what sessions have queued, all
// of it at once, and one that reads replies and hands each to its session.
type conn struct {
	calls
	nc     net.Conn
	server server
	// wake tells the writer that there is something to send.
	wake chan struct{}
	in   []byte // received and not used; the reader's

	// The following are under calls.mu.
	out []byte
	// room is closed when the writer takes out; nil if nobody waits for that.
	room chan struct{}
}

// newConn returns the connection that w opened; rest is what was received behind w.
// The caller starts write and read.
func newConn(nc net.Conn, w *wire.Welcome, rest []byte) *conn {
	return &conn{
		calls:  newCalls(),
		nc:     nc,
		server: serverOf(w),
		wake:   make(chan struct{}, 1),
		in:     append(make([]byte, 0, firstBufferBytes), rest...),
	}
}

// identity implements link.
func (c *conn) identity() server { return c.server }

// roundTrip implements link.
func (c *conn) roundTrip(p *patience, k *call, r *causal.Request) (sent bool, err error) {
	if err := c.send(p, k, r); err != nil {
		return false, err
	}
	return true, c.await(p, k)
}

// send queues a request, for which it waits while too much is queued.
func (c *conn) send(p *patience, k *call, r *causal.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && len(c.out) >= maxQueuedBytes {
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		err := p.wait(room)
		c.mu.Lock()
		if err != nil {
			return fmt.Errorf("the server does not read: %w", err)
		}
	}
	if c.err != nil {
		return c.err
	}
	c.add(k, r)
	c.out = wire.AppendRequest(c.out, r)
	select {
	case c.wake <- struct{}{}:
	default: // the writer will come anyway
	}
	return nil
}

// write sends what is queued until the connection is lost. While it is in the
// kernel, sessions queue more, so under load one system call serves many.
func (c *conn) write() {
	var buf []byte
	for {
		select {
		case <-c.wake:
		case <-c.lost:
			return
		}
		c.mu.Lock()
		buf, c.out = c.out, buf[:0]
		if c.room != nil {
			close(c.room)
			c.room = nil
		}
		c.mu.Unlock()
		if len(buf) == 0 {
			continue // the wake-up was for what the last round took along
		}
		if _, err := c.nc.Write(buf); err != nil {
			c.fail(fmt.Errorf("%w: connection lost: %w", ErrDisconnected, err))
			return
		}
		if cap(buf) > keptBufferBytes {
			buf = nil
		}
	}
}

// run implements link.
func (c *conn) run() {
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.read()
	writer.Wait()
}

// read handles replies until the connection is lost.
func (c *conn) read() {
	for {
		if err := c.dispatch(); err != nil {
			c.fail(protocolError(err))
			return
		}
		n, err := c.nc.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+n]
		if err != nil && n == 0 {
			c.fail(fmt.Errorf("%w: connection lost: %w", ErrDisconnected, err))
			return
		}
	}
}

// dispatch handles the replies that c.in holds, and makes room for more. The
// buffer grows as bytes arrive, not as a frame's length claims.
func (c *conn) dispatch() error {
	buf := c.in
	for {
		body, rest, err := wire.Next(buf, wire.MaxFrameBytes)
		if err != nil {
			return err
		}
		if body == nil {
			break
		}
		if err := c.handle(body); err != nil {
			return err
		}
		buf = rest
	}
	switch {
	case cap(c.in) > keptBufferBytes && len(buf) < firstBufferBytes:
		c.in = append(make([]byte, 0, firstBufferBytes), buf...)
	case len(buf) < len(c.in):
		c.in = c.in[:copy(c.in, buf)]
	}
	if len(c.in) == cap(c.in) {
		c.in = slices.Grow(c.in, cap(c.in))
	}
	return nil
}

// fail implements link.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.end(err) {
		return
	}
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
	c.out = nil
	_ = c.nc.Close()
}
