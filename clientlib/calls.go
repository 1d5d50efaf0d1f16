package clientlib

import (
	"sync"
	"sync/atomic"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// link is one connection to a server, however its bytes get there.
type link interface {
	// roundTrip sends a request and waits for the reply, which is then in k.reply. sent
	// tells whether the server may have seen the request. The error is the
	// connection's if that was lost, and that of p if it ended first.
	roundTrip(p *patience, k *call, r *causal.Request) (sent bool, err error)
	// run serves the connection until it is lost.
	run()
	// fail ends it, once: everybody who waits for a reply gets err.
	fail(err error)
	// cause returns why it was lost, nil if it was not.
	cause() error
	isLost() bool
	identity() server
}

// serverOf is the server that said w.
func serverOf(w *wire.Welcome) server {
	return server{node: w.Node, epoch: w.Epoch, incarnation: w.Incarnation}
}

// call is a session's request under way on one connection. A session has one, and
// uses it again for each request.
type call struct {
	id causal.RequestID
	// known is that of the request: replies may leave out what it says.
	known []causal.SignedVector
	// done gets one token when reply or err holds. From the moment that the call is
	// out of calls.waiting until the token, the call is the reader's.
	done  chan struct{}
	reply causal.Reply
	err   error
	// values is memory for what the reply brings: its values lie in there.
	values []byte
}

// keep copies values out of memory that is another's.
func (k *call) keep(versions []causal.Version) {
	n := 0
	for i := range versions {
		n += len(versions[i].Value)
	}
	if n > cap(k.values) {
		k.values = make([]byte, 0, n)
	}
	k.values = k.values[:0]
	for i := range versions {
		v := &versions[i]
		if v.Value == nil {
			continue
		}
		at := len(k.values)
		k.values = append(k.values, v.Value...)
		v.Value = k.values[at:len(k.values):len(k.values)]
	}
}

// calls are the requests under way on one connection, and whether that is lost.
type calls struct {
	// lost is closed when the connection is.
	lost chan struct{}

	// late counts the requests that were given up and may yet be answered.
	late atomic.Int64

	mu      sync.Mutex
	err     error // why the connection was lost
	waiting map[causal.RequestID]*call
}

func newCalls() calls {
	return calls{lost: make(chan struct{}), waiting: map[causal.RequestID]*call{}}
}

// add notes that a request is under way. c.mu is held.
func (c *calls) add(k *call, r *causal.Request) {
	k.id, k.known, k.err = r.ID, r.Known, nil
	c.waiting[k.id] = k
}

// await waits for the reply to a request that was sent.
func (c *calls) await(p *patience, k *call) error {
	if err := p.wait(k.done); err != nil {
		if c.withdraw(k) {
			return err
		}
		<-k.done // the reader has the reply in its hands
	}
	return k.err
}

// withdraw takes k back, so that its reply will be ignored. It reports false if
// the reply is there.
func (c *calls) withdraw(k *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting[k.id] != k {
		return false
	}
	delete(c.waiting, k.id)
	c.late.Add(1)
	return true
}

// handle gives a reply to the session that waits for it. Nobody waits for the
// reply to an operation that was given up.
func (c *calls) handle(body []byte) error {
	id, err := wire.ReplyID(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	k := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if k == nil {
		c.late.Add(-1)
		return nil
	}
	if err := wire.DecodeReply(body, &k.reply, k.known); err != nil {
		return c.handBack(id, k, protocolError(err))
	}
	k.keep(k.reply.Versions)
	k.done <- struct{}{}
	return nil
}

// handBack ends a call with err, for which the caller fails the connection. The session gets
// it from there: its next operation must find that this connection is lost.
func (c *calls) handBack(id causal.RequestID, k *call, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.waiting[id] = k
		return err
	}
	k.err = err
	k.done <- struct{}{}
	return err
}

// end notes why the connection is lost, and tells everybody who waits for a reply; false
// if it was lost before. c.mu is held.
func (c *calls) end(err error) bool {
	if c.err != nil {
		return false
	}
	c.err = err
	close(c.lost)
	for id, k := range c.waiting {
		delete(c.waiting, id)
		k.err = err
		k.done <- struct{}{}
	}
	return true
}

// cause implements link.
func (c *calls) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// isLost implements link.
func (c *calls) isLost() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}
