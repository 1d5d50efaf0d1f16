package testcluster

import (
	"net"
	"sync"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// connection is a client's.
type connection struct {
	cluster *Cluster
	node    int
	id      causal.ClientID
	nc      net.Conn
	sending sync.Mutex
}

func (c *Cluster) accept(node int, l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			_ = nc.Close()
			return
		}
		c.lastID++
		conn := &connection{cluster: c, node: node, id: c.lastID, nc: nc}
		c.conns[conn] = true
		c.accepted[node]++
		c.running.Go(conn.serve)
		c.mu.Unlock()
	}
}

func (c *connection) send(frame []byte) {
	c.sending.Lock()
	defer c.sending.Unlock()
	_, _ = c.nc.Write(frame) // a client that is gone misses it
}

// serve handles frames until the connection ends or a fault ends it.
func (c *connection) serve() {
	defer func() {
		_ = c.nc.Close()
		c.cluster.mu.Lock()
		delete(c.cluster.conns, c)
		c.cluster.mu.Unlock()
	}()
	var in []byte
	chunk := make([]byte, 64<<10)
	var request causal.Request
	greeted := false
	for {
		body, rest, err := wire.Next(in, wire.MaxFrameBytes)
		if err != nil {
			return
		}
		if body == nil {
			n, err := c.nc.Read(chunk)
			if err != nil {
				return
			}
			in = append(in, chunk[:n]...)
			continue
		}
		switch {
		case !greeted:
			greeted = c.greet(body)
			if !greeted {
				return
			}
		case wire.DecodeRequest(body, &request) != nil || !c.request(&request):
			return
		}
		in = append(in[:0], rest...)
	}
}

func (c *connection) greet(body []byte) bool {
	m, err := wire.DecodeHandshake(body)
	if _, ok := m.(*wire.Hello); err != nil || !ok {
		return false
	}
	cl := c.cluster
	cl.mu.Lock()
	refusal := cl.refusal
	welcome := &wire.Welcome{
		Node: causal.ReplicaID(c.node), RingSize: uint8(cl.config.Replicas), Epoch: cl.epoch,
		Signed: len(cl.config.Key) > 0, Limits: wire.ClientLimitsOf(cl.config.Limits), Daemon: "testcluster",
	}
	cl.mu.Unlock()
	var answer wire.Handshake = welcome
	if refusal != nil {
		if r := refusal(c.node); r != nil {
			answer = r
		}
	}
	frame, err := wire.AppendHandshake(nil, answer)
	if err != nil {
		return false
	}
	c.send(frame)
	return answer == wire.Handshake(welcome)
}

// request carries out a request and answers it. It reports false if the connection
// must end.
func (c *connection) request(r *causal.Request) bool {
	cl := c.cluster
	cl.mu.Lock()
	fault := cl.fault
	cl.mu.Unlock()
	action := Serve
	if fault != nil {
		action = fault(c.node, r)
	}
	switch action {
	case CloseUnread:
		return false
	case RefuseNotReady:
		c.send(wire.AppendReply(nil, &causal.Reply{ID: r.ID, Op: r.Op, Code: causal.CodeNotReady}, nil))
		return true
	}
	frame := c.step(r)
	switch action {
	case CloseUnanswered:
		return false
	case CloseHalfReply:
		c.send(frame[:len(frame)/2])
		return false
	case Withhold:
		cl.mu.Lock()
		cl.withheld = append(cl.withheld, withheldReply{c, frame})
		cl.more.Broadcast()
		cl.mu.Unlock()
	case Garbage:
		c.send([]byte{0, 0, 0, 3, 0xc1, 0xc1, 0xc1})
	default:
		c.send(frame)
	}
	return true
}

// step carries out a request, with all that follows from it, and returns the frame
// of the reply. Without a database, and with acknowledgements by the head alone,
// every request is answered in its own step.
func (c *connection) step(r *causal.Request) []byte {
	cl := c.cluster
	cl.mu.Lock()
	defer cl.mu.Unlock()
	replies := cl.step(cl.servers[c.node], &causal.Input{Kind: causal.InputRequest, Client: c.id, Request: r})
	frame := wire.AppendReply(nil, &replies[0].Reply, r.Known)
	cl.turn()
	return frame
}
