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
	// withholdFrame is the shortest reply that can have values worth withholding.
	withholdFrame = 256

	withheldDetail = "other replies on this connection wait to be read; ask for less at once"
)

// client is the connection of a client.
type client struct {
	f       *front
	id      ring.ConnID
	peer    ring.Peer
	greeted bool
	// attached is its shared memory, nil for a client that talks over its socket.
	attached *attached
	// rest holds requests that were read while too much was queued.
	rest []byte
	// taken is how much of what the client has sent is served, and at is the position
	// that the requests in hand have come at (ring.Outgoing); for those in shared memory it is
	// a coming.
	taken, at uint64
}

// received takes bytes, as ring.Handler does.
func (c *client) received(data []byte) (int, error) {
	if c.attached != nil {
		return c.bells(data), nil
	}
	if len(c.rest) == 0 {
		used, err := c.serve(data)
		if err != nil || !c.behind() {
			return used, err
		}
		c.rest = append(c.rest, data[used:]...)
		if len(c.rest) > 0 {
			c.f.behind = append(c.f.behind, c)
		}
		return len(data), nil
	}
	c.rest = append(c.rest, data...)
	return len(data), c.resume()
}

// behind reports whether the client has to read before more is done for it.
func (c *client) behind() bool { return c.f.queued(c.id) > clientAhead }

// resume serves what was put off.
func (c *client) resume() error {
	used, err := c.serve(c.rest)
	c.rest = append(c.rest[:0], c.rest[used:]...)
	if len(c.rest) == 0 {
		c.rest = nil
	}
	return err
}

// serve handles the complete frames in data.
func (c *client) serve(data []byte) (used int, err error) {
	out := c.f.out(c.id)
	if out == nil {
		return len(data), nil // it is closing
	}
	// Whatever ends in data, and did not before, has come with the last of it.
	c.note(out, len(data))
	used, err = c.serveFrames(data, out)
	c.taken += uint64(used)
	return used, err
}

// note notes that the requests in hand end so far behind what is served.
func (c *client) note(out *ring.Outgoing, end int) {
	if c.at = c.taken + uint64(end); c.attached != nil {
		c.at = uint64(c.attached.came)
	}
	out.At(c.at)
}

// origin is where a request in hand came from.
func (c *client) origin(r *causal.Request) ring.Origin {
	return ring.Origin{Position: c.at, Key: firstKey(r)}
}

// count counts an answer to a request in hand.
func count(out *ring.Outgoing, r *causal.Request) {
	out.Answers[kindOf(r.Op)]++
	if out.Key == 0 {
		out.Key = firstKey(r)
	}
}

// firstKey is a hash of the key that a request is for, or of the first of them.
func firstKey(r *causal.Request) uint64 {
	if len(r.Keys) == 0 {
		return 0
	}
	return causal.KeyHash(r.Keys[0])
}

func (c *client) serveFrames(data []byte, out *ring.Outgoing) (used int, err error) {
	for waiting := c.f.queued(c.id) - len(out.Bytes); waiting+len(out.Bytes) <= clientAhead; {
		if !c.greeted {
			body, rest, err := wire.Next(data[used:], wire.MaxHandshakeBytes)
			if err != nil {
				return used, c.refuse(wire.RefusedMalformed, err)
			}
			if body == nil {
				break
			}
			used = len(data) - len(rest)
			if err = c.greet(body); err != nil {
				return used, err
			}
			if c.attached != nil {
				return used + c.bells(data[used:]), nil
			}
			continue
		}
		requests, bad := c.f.lookAhead(data[used:])
		start := used
		for i := range requests {
			if waiting+len(out.Bytes) > clientAhead {
				return used, nil
			}
			used = start + requests[i].end
			if len(c.rest) > 0 { // It has come in many pieces, and may have long ago.
				c.note(out, used)
			}
			c.serveRequest(&requests[i], out)
		}
		if bad != nil {
			return used, c.refuse(wire.RefusedMalformed, bad)
		}
		if len(requests) == 0 {
			break
		}
	}
	return used, nil
}

// greet answers the first frame.
func (c *client) greet(body []byte) error {
	f, state := c.f, c.f.state.Load()
	h, err := wire.DecodeHandshake(body)
	if err != nil {
		return c.refuse(refusalOf(err), err)
	}
	hello, ok := h.(*wire.Hello)
	switch {
	case !ok:
		return c.refuse(wire.RefusedMalformed, fmt.Errorf("%w: this address is for clients", errUnexpected))
	case state.notReady != "":
		return c.refuse(wire.RefusedNotReady, errors.New(state.notReady))
	}
	out := f.loop.Out(c.id)
	if out == nil {
		return nil
	}
	welcome := &wire.Welcome{
		Node: f.cfg.NodeID, RingSize: uint8(f.cfg.replicas()), Epoch: state.epoch, Signed: f.cfg.ClusterKey != "",
		Limits: wire.ClientLimitsOf(f.limits), Daemon: buildVersion(),
	}
	if hello.Rings || hello.Table {
		err = c.attach(hello, welcome)
	} else if out.Bytes, err = wire.AppendHandshake(out.Bytes, welcome); err == nil {
		out.Answers[kindHandshake]++
	}
	if err != nil {
		return err
	}
	c.greeted = true
	f.counters.Welcomed++
	f.counters.Clients++
	f.log.Debug("client connected", "client", hello.Client)
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
		c.f.counters.Malformed++
	case code == wire.RefusedNotReady, code == wire.RefusedSharing: // nothing is wrong with its bytes
		c.f.counters.Refused++
	default:
		c.f.counters.Refused++
		c.f.counters.Malformed++
	}
	sendRefusal(c.f.loop, c.id, code, reason)
	return reason
}

// sendRefusal is the last frame of a connection.
func sendRefusal(l ring.Loop, c ring.ConnID, code wire.RefusalCode, reason error) {
	out := l.Out(c)
	if out == nil {
		return
	}
	b, err := wire.AppendHandshake(out.Bytes, &wire.Refusal{Code: code, Text: reason.Error()})
	if err == nil { // too long a text is no reason to fail
		out.Bytes = b
	}
}

// serveRequest answers one request from the table, or hands it to the core.
func (c *client) serveRequest(q *arrival, out *ring.Outgoing) {
	f, r := c.f, &q.request
	f.counters.Operations[r.Op]++
	if f.answer(r, out) {
		return
	}
	if f.cfg.hasStore() {
		for _, k := range r.Keys {
			if err := store.CheckKey(k); err != nil {
				f.counters.ReservedKeys++
				c.refuseRequest(r, causal.CodeBadRequest, err.Error())
				return
			}
		}
	}
	f.core.ask(c, r, q.body)
}

// refuseRequest answers a request that does not get to the core: it is for a key that
// the database keeps for itself (the core, which knows no database, would take it and
// could never flush it), or there is no room for it.
func (c *client) refuseRequest(r *causal.Request, code causal.Code, detail string) {
	if out := c.f.out(c.id); out != nil {
		out.Bytes = wire.AppendReply(out.Bytes, &causal.Reply{
			ID: r.ID, Op: r.Op, Code: code, Detail: detail, Epoch: c.f.state.Load().epoch,
		}, nil)
		count(out, r)
		c.f.counters.Failures.note(code)
	}
}

// closed notes that the other side, or an error of received, has ended the connection.
func (c *client) closed(err error) {
	if c.greeted {
		c.f.counters.Clients--
	}
	switch {
	case errors.Is(err, ring.ErrStalled):
		c.f.counters.Unread++
	case errors.Is(err, ring.ErrUnused):
		c.f.counters.Malformed++
	}
}
