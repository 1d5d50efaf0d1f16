package daemon

import (
	"errors"
	"fmt"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/store"
	"causalmesh/ring"
)

// How much may wait for one connection.
const (
	// highWater is when the loop stops reading from it.
	highWater = 1 << 20
	// clientAhead is when no further request of those already read is carried out:
	// a small request can have a large reply, and a chunk holds hundreds of them.
	clientAhead = 4 << 20
	// maxQueued is when it is closed: replies to requests that had to wait are not
	// held back by the other two.
	maxQueued = 32 << 20
	// withholdAbove is when values give way to an error: many that had to wait may
	// come at once, and the connection must not end for it.
	withholdAbove = 16 << 20
)

// client is the connection of a client.
type client struct {
	n       *node
	id      ring.ConnID
	greeted bool
	// rest holds requests that were read while too much was queued.
	rest []byte
}

// received implements connection.
func (c *client) received(data []byte) (int, error) {
	if len(c.rest) == 0 {
		used, err := c.serve(data)
		if err != nil || !c.behind() {
			return used, err
		}
		c.rest = append(c.rest, data[used:]...)
		if len(c.rest) > 0 {
			c.n.behind = append(c.n.behind, c)
		}
		return len(data), nil
	}
	c.rest = append(c.rest, data...)
	return len(data), c.resume()
}

// behind reports whether the client has to read before more is done for it.
func (c *client) behind() bool { return c.n.loop.Queued(c.id) > clientAhead }

// resume serves what was put off.
func (c *client) resume() error {
	used, err := c.serve(c.rest)
	c.rest = append(c.rest[:0], c.rest[used:]...)
	if len(c.rest) == 0 {
		c.rest = nil
	}
	return err
}

// resumeClients goes on with those whose replies have left in the meantime.
func (n *node) resumeClients() {
	waiting := n.behind
	n.behind = nil
	for _, c := range waiting {
		if n.conns[c.id] != c || len(c.rest) == 0 {
			continue
		}
		if !c.behind() {
			if err := c.resume(); err != nil {
				n.hangUp(c.id)
				c.closed(err)
				continue
			}
		}
		if len(c.rest) > 0 {
			n.behind = append(n.behind, c)
		}
	}
}

// serve handles the complete frames in data.
func (c *client) serve(data []byte) (used int, err error) {
	for !c.behind() {
		most := c.n.requestBytes
		if !c.greeted {
			most = wire.MaxHandshakeBytes
		}
		body, rest, err := wire.Next(data[used:], most)
		if err != nil {
			return used, c.refuse(wire.RefusedMalformed, err)
		}
		if body == nil {
			break
		}
		used = len(data) - len(rest)
		if c.greeted {
			err = c.serveRequest(body)
		} else {
			err = c.greet(body)
		}
		if err != nil {
			return used, err
		}
	}
	return used, nil
}

// greet answers the first frame.
func (c *client) greet(body []byte) error {
	n := c.n
	h, err := wire.DecodeHandshake(body)
	if err != nil {
		return c.refuse(refusalOf(err), err)
	}
	hello, ok := h.(*wire.Hello)
	switch {
	case !ok:
		return c.refuse(wire.RefusedMalformed, fmt.Errorf("%w: this address is for clients", errUnexpected))
	case n.draining:
		return c.refuse(wire.RefusedNotReady, errShuttingDown)
	case !n.joined:
		return c.refuse(wire.RefusedNotReady, errors.New(n.notReady()))
	}
	out := n.loop.Out(c.id)
	if out == nil {
		return nil
	}
	out.Bytes, err = wire.AppendHandshake(out.Bytes, &wire.Welcome{
		Node: n.cfg.NodeID, RingSize: uint8(n.replicas()), Epoch: n.epoch, Signed: len(n.key) > 0,
		Limits: wire.ClientLimitsOf(n.cfg.limits()), Daemon: buildVersion(),
	})
	if err != nil {
		return err
	}
	c.greeted = true
	n.counters.Welcomed++
	n.counters.Clients++
	n.log.Debug("client connected", "client", hello.Client)
	return nil
}

// refusalOf says why a handshake that could not be read is refused.
func refusalOf(err error) wire.RefusalCode {
	if errors.Is(err, wire.ErrVersion) {
		return wire.RefusedVersion
	}
	return wire.RefusedMalformed
}

// refuse tells the client why the connection ends, and returns the reason.
func (c *client) refuse(code wire.RefusalCode, reason error) error {
	switch {
	case c.greeted:
		c.n.counters.Malformed++
	case code == wire.RefusedNotReady:
		c.n.counters.Refused++
	default:
		c.n.counters.Refused++
		c.n.counters.Malformed++
	}
	c.n.sendRefusal(c.id, code, reason)
	return reason
}

// sendRefusal is the last frame of a connection.
func (n *node) sendRefusal(c ring.ConnID, code wire.RefusalCode, reason error) {
	out := n.loop.Out(c)
	if out == nil {
		return
	}
	b, err := wire.AppendHandshake(out.Bytes, &wire.Refusal{Code: code, Text: reason.Error()})
	if err == nil { // too long a text is no reason to fail
		out.Bytes = b
	}
}

// serveRequest carries out one request. The request refers to the receive buffer: the
// core copies what it keeps.
func (c *client) serveRequest(body []byte) error {
	n := c.n
	r := &n.request
	if err := wire.DecodeRequest(body, r); err != nil {
		return c.refuse(wire.RefusedMalformed, err)
	}
	n.counters.Requests++
	if n.store != nil {
		for _, k := range r.Keys {
			if err := store.CheckKey(k); err != nil {
				c.refuseKey(r, err)
				return nil
			}
		}
	}
	n.in = causal.Input{Now: n.now, Kind: causal.InputRequest, Client: causal.ClientID(c.id), Request: r}
	n.step()
	return nil
}

// refuseKey answers a request for a key that the database keeps for itself: the
// core, which knows no database, would take it and could never flush it.
func (c *client) refuseKey(r *causal.Request, err error) {
	c.n.counters.ReservedKeys++
	if out := c.n.loop.Out(c.id); out != nil {
		out.Bytes = wire.AppendReply(out.Bytes, &causal.Reply{
			ID: r.ID, Op: r.Op, Code: causal.CodeBadRequest, Detail: err.Error(), Epoch: c.n.epoch,
		}, nil)
	}
}

// closed implements connection.
func (c *client) closed(err error) {
	if c.greeted {
		c.n.counters.Clients--
	}
	switch {
	case errors.Is(err, ring.ErrStalled):
		c.n.counters.Unread++
	case errors.Is(err, ring.ErrUnused):
		c.n.counters.Malformed++
	}
}

// late implements connection.
func (c *client) late() {
	if !c.greeted {
		c.n.counters.NoHandshake++
		c.n.sendRefusal(c.id, wire.RefusedMalformed, errNoHandshake)
		c.n.hangUp(c.id)
	}
}
