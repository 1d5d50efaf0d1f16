package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon/loopback"
	"causalmesh/daemon/netcut"
)

const (
	// startTries bounds how often Start chooses ports anew.
	startTries = 3
	// pollEvery is the pause between two looks at what is not there yet.
	pollEvery = 5 * time.Millisecond
	// stopWithin is how long a node may take to drain, beyond its drain-timeout.
	stopWithin = 20 * time.Second
	// drainTimeout is the nodes' own, if the flags name no other.
	drainTimeout = 10 * time.Second
	// addressesPerNode: admin, for other nodes, for clients.
	addressesPerNode = 3
)

// Config says what to run.
type Config struct {
	// Binary is the path of causalmeshd.
	Binary string
	// Dir is where sockets and logs go. It exists and its path is short: a Unix
	// socket's path has at most 107 bytes.
	Dir   string
	Nodes int
	// Store is a database URL, or "mem".
	Store string
	// Cuttable puts a proxy in front of each node.
	Cuttable bool
	// ClientTCP makes each node listen for clients on TCP, too, behind a proxy.
	ClientTCP bool
	// Under is a command that runs each node's; it becomes the node: taskset, say.
	Under []string
	// Flags are further flags of causalmeshd, the same for all nodes.
	Flags []string
}

// Ring is a ring of nodes that run.
type Ring struct {
	Nodes []*Node
}

// Start starts the nodes and waits until all are ready or ctx ends. The processes
// outlive ctx: end them with Close.
func Start(ctx context.Context, c Config) (*Ring, error) {
	if info, err := os.Stat(c.Binary); err != nil || info.IsDir() {
		return nil, fmt.Errorf("%w at %s; build it with: make build", ErrBinary, c.Binary)
	}
	for try := 1; ; try++ {
		r, err := start(ctx, c)
		if err == nil {
			return r, nil
		}
		r.Kill()
		if try == startTries || ctx.Err() != nil || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
	}
}

// start is one attempt. What it returns has to be ended, error or not.
func start(ctx context.Context, c Config) (*Ring, error) {
	r := &Ring{}
	addresses, err := loopback.Addresses(addressesPerNode * c.Nodes)
	if err != nil {
		return r, err
	}
	peers := make([]string, c.Nodes)
	for i := range c.Nodes {
		own := addresses[addressesPerNode*i:]
		n := &Node{
			ID: causal.ReplicaID(i), Admin: own[0], listen: own[1],
			Socket: filepath.Join(c.Dir, fmt.Sprintf("node%d.sock", i)),
			Log:    filepath.Join(c.Dir, fmt.Sprintf("node%d.log", i)),
		}
		r.Nodes = append(r.Nodes, n) // before anything is opened that has to be closed
		peers[i] = n.listen
		if c.Cuttable {
			if n.Incoming, err = netcut.Listen(n.listen); err != nil {
				return r, err
			}
			peers[i] = n.Incoming.Addr()
		}
		if c.ClientTCP {
			if n.Clients, err = netcut.Listen(own[2]); err != nil {
				return r, err
			}
			n.listenTCP = own[2]
		}
	}
	for _, n := range r.Nodes {
		if err := n.launch(c, peers); err != nil {
			return r, err
		}
	}
	return r, r.awaitReady(ctx)
}

// awaitReady waits for all nodes at once: one that has ended is what the others wait for in vain.
func (r *Ring) awaitReady(ctx context.Context) (first error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error)
	for _, n := range r.Nodes {
		go func() { errs <- n.awaitReady(ctx) }()
	}
	for range r.Nodes {
		if err := <-errs; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// Close ends the nodes, all at once so that they drain together, and waits. An error
// says that a node left acknowledged writes behind, or ended in another bad way.
func (r *Ring) Close() error {
	ended := make(chan error)
	for _, n := range r.Nodes {
		go func() { ended <- n.stop() }()
	}
	var errs []error
	for range r.Nodes {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// Kill ends the nodes at once, and waits.
func (r *Ring) Kill() {
	for _, n := range r.Nodes {
		n.Kill()
	}
}

// Alive returns ErrEnded if a node has ended.
func (r *Ring) Alive() error {
	for _, n := range r.Nodes {
		select {
		case <-n.process.Ended():
			return fmt.Errorf("%w: node %d, %v: %s", ErrEnded, n.ID, n.process.Err(), n.logEnd())
		default:
		}
	}
	return nil
}
