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

// call is a session's request under way on one connection. A session has one, and
// uses it again for each request.
type call struct {
	id causal.RequestID
	// known is that of the request: replies may leave out what it says.
	known []causal.SignedVector
	// done gets one token when reply or err holds. From the moment that the call is
	// out of conn.calls until the token, the call is the reader's.
	done  chan struct{}
	reply causal.Reply
	err   error
}

// conn is one connection: a goroutine that writes what sessions have queued, all
// of it at once, and one that reads replies and hands each to its session.
type conn struct {
	nc     net.Conn
	server server
	// wake tells the writer that there is something to send.
	wake chan struct{}
	// lost is closed when the connection is.
	lost chan struct{}
	in   []byte // received and not used; the reader's

	mu    sync.Mutex
	err   error // why the connection was lost
	calls map[causal.RequestID]*call
	out   []byte
	// room is closed when the writer takes out; nil if nobody waits for that.
	room chan struct{}
}

// newConn returns the connection that w opened; rest is what was received behind w.
// The caller starts write and read.
func newConn(nc net.Conn, w *wire.Welcome, rest []byte) *conn {
	return &conn{
		nc:     nc,
		server: server{node: w.Node, epoch: w.Epoch, incarnation: w.Incarnation},
		wake:   make(chan struct{}, 1),
		lost:   make(chan struct{}),
		in:     append(make([]byte, 0, firstBufferBytes), rest...),
		calls:  map[causal.RequestID]*call{},
	}
}

// roundTrip sends a request and waits for the reply, which is then in k.reply. sent
// tells whether the server may have seen the request. The error is the
// connection's if that was lost, and that of p if it ended first.
func (c *conn) roundTrip(p *patience, k *call, r *causal.Request) (sent bool, err error) {
	if err := c.send(p, k, r); err != nil {
		return false, err
	}
	if err := p.wait(k.done); err != nil {
		if c.withdraw(k) {
			return true, err
		}
		<-k.done // the reader has the reply in its hands
	}
	return true, k.err
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
	k.id, k.known, k.err = r.ID, r.Known, nil
	c.calls[k.id] = k
	c.out = wire.AppendRequest(c.out, r)
	select {
	case c.wake <- struct{}{}:
	default: // the writer will come anyway
	}
	return nil
}

// withdraw takes k back, so that its reply will be ignored. It reports false if
// the reply is there.
func (c *conn) withdraw(k *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[k.id] != k {
		return false
	}
	delete(c.calls, k.id)
	return true
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

// handle gives a reply to the session that waits for it. Nobody waits for the
// reply to an operation that was given up.
func (c *conn) handle(body []byte) error {
	id, err := wire.ReplyID(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	k := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if k == nil {
		return nil
	}
	if err := wire.DecodeReply(body, &k.reply, k.known); err != nil {
		k.err = protocolError(err)
		k.done <- struct{}{}
		return err
	}
	// Values lie in the receive buffer. These copies are what the caller gets.
	for i := range k.reply.Versions {
		v := &k.reply.Versions[i]
		v.Value = slices.Clone(v.Value)
	}
	k.done <- struct{}{}
	return nil
}

// fail ends the connection, once: everybody who waits for a reply gets err.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.lost)
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
	for id, k := range c.calls {
		delete(c.calls, id)
		k.err = err
		k.done <- struct{}{}
	}
	c.out = nil
	_ = c.nc.Close()
}

// cause returns why the connection was lost, nil if it was not.
func (c *conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *conn) isLost() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}
