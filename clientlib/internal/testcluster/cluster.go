package testcluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// Action is what becomes of a request.
type Action uint8

// The actions of a Fault.
const (
	Serve           Action = iota
	CloseUnread            // close the connection; the request is not carried out
	CloseUnanswered        // carry it out, send no reply, close
	CloseHalfReply         // carry it out, send half of the reply, close
	Withhold               // carry it out, and keep the reply until SendWithheld
	RefuseNotReady         // answer "not ready" without carrying it out
	Garbage                // carry it out, and answer bytes that mean nothing
)

// Fault decides what becomes of a request at a server. It is called when the
// request has arrived, with no lock held; it must not keep r.
type Fault func(node int, r *causal.Request) Action

// Config describes a cluster.
type Config struct {
	Replicas int // default 1
	Key      []byte
	Limits   causal.Limits
}

// Cluster is a ring of servers.
type Cluster struct {
	config    Config
	dir       string
	listeners []net.Listener
	running   sync.WaitGroup

	mu       sync.Mutex
	servers  []*causal.Server
	epoch    causal.Epoch
	held     bool
	closed   bool
	ahead    time.Duration // of the wall clock
	fault    Fault
	refusal  func(node int) *wire.Refusal
	conns    map[*connection]bool
	accepted []int
	withheld []withheldReply
	more     *sync.Cond // withheld has grown
	lastID   causal.ClientID
}

type withheldReply struct {
	conn  *connection
	frame []byte
}

// Start starts a cluster in epoch 1. The caller closes it.
func Start(config Config) (*Cluster, error) {
	config.Replicas = max(1, config.Replicas)
	dir, err := os.MkdirTemp("", "testcluster")
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		config: config, dir: dir, conns: map[*connection]bool{}, accepted: make([]int, config.Replicas),
	}
	c.more = sync.NewCond(&c.mu)
	if err := c.Restart(1); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for node := range config.Replicas {
		l, err := net.Listen("unix", c.path(node))
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.listeners = append(c.listeners, l)
		c.running.Go(func() { c.accept(node, l) })
	}
	return c, nil
}

// Close stops all servers and waits for their goroutines.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for _, l := range c.listeners {
		_ = l.Close()
	}
	for node := range c.config.Replicas {
		c.Disconnect(node)
	}
	c.running.Wait()
	return os.RemoveAll(c.dir)
}

func (c *Cluster) path(node int) string { return filepath.Join(c.dir, fmt.Sprint(node)) }

// Target is a server's address for clientlib.Dial.
func (c *Cluster) Target(node int) string { return "unix:" + c.path(node) }

// Restart loses the state of all servers and begins an epoch. Connections are
// dropped.
func (c *Cluster) Restart(epoch causal.Epoch) error {
	servers := make([]*causal.Server, c.config.Replicas)
	for i := range servers {
		var err error
		servers[i], err = causal.NewServer(causal.Config{
			Self: causal.ReplicaID(i), Replicas: len(servers), Epoch: epoch,
			Key: c.config.Key, Limits: c.config.Limits,
		}, causal.NewHeapTable())
		if err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers, c.epoch = servers, epoch
	for i, s := range servers {
		if next := servers[(i+1)%len(servers)]; next != s {
			zero := make(causal.VectorClock, len(servers))
			c.step(s, &causal.Input{Kind: causal.InputLinkUp, Peer: causal.ReplicaID((i + 1) % len(servers)),
				Received: zero, Marks: zero, Everywhere: zero})
		}
	}
	for conn := range c.conns {
		_ = conn.nc.Close()
	}
	return nil
}

// Disconnect drops all connections of a server.
func (c *Cluster) Disconnect(node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		if conn.node == node {
			_ = conn.nc.Close()
		}
	}
}

// Hold keeps the ring still: what is written stays in flight.
func (c *Cluster) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

// Release lets the ring go on and bring everything round.
func (c *Cluster) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	c.turn()
}

// Pass brings what one server has to its successor, no further, in a ring that is
// held.
func (c *Cluster) Pass(node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass(node)
}

// Advance moves the servers' clocks ahead.
func (c *Cluster) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// SetFault sets what becomes of requests from now on; nil serves all.
func (c *Cluster) SetFault(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// SetRefusal sets which connections are refused from now on: those for which f
// returns a refusal. nil welcomes all.
func (c *Cluster) SetRefusal(f func(node int) *wire.Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = f
}

// WaitWithheld waits until n requests were carried out and their replies withheld.
func (c *Cluster) WaitWithheld(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.withheld) < n {
		c.more.Wait()
	}
}

// SendWithheld sends the replies that were withheld.
func (c *Cluster) SendWithheld() {
	c.mu.Lock()
	list := c.withheld
	c.withheld = nil
	c.mu.Unlock()
	for _, w := range list {
		w.conn.send(w.frame)
	}
}

// Status describes a server.
func (c *Cluster) Status(node int) causal.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers[node].Status()
}

// Accepted is how many connections a server has accepted.
func (c *Cluster) Accepted(node int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted[node]
}

func (c *Cluster) now() causal.Time { return causal.TimeOf(time.Now().Add(c.ahead)) }

// step carries out one input and returns the replies. It is called with c.mu held.
func (c *Cluster) step(s *causal.Server, in *causal.Input) []causal.ClientReply {
	var out causal.Output
	in.Now = c.now()
	if err := s.Step(in, &out); err != nil {
		panic(fmt.Sprintf("testcluster: %v", err)) // servers of one program understand each other
	}
	return out.Replies
}

// turn brings messages round the ring until there are none. It is called with c.mu
// held.
func (c *Cluster) turn() {
	for again := !c.held; again; {
		again = false
		for node := range c.servers {
			again = c.pass(node) || again
		}
	}
}

// pass hands over what a server has for its successor, and reports whether it had
// anything. It is called with c.mu held.
func (c *Cluster) pass(node int) (had bool) {
	var m causal.Message
	for c.servers[node].Pull(c.now(), &m) {
		had = true
		c.step(c.servers[(node+1)%len(c.servers)], &causal.Input{
			Kind: causal.InputMessage, Peer: causal.ReplicaID(node), Message: &m,
		})
	}
	return had
}
