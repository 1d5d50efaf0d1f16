package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"causalmesh/bpf"
	"causalmesh/causal"
	"causalmesh/tools/internal/admin"
)

// Live reads nodes over and over. It is for one goroutine.
type Live struct {
	root  string
	nodes []liveNode
}

// Reading is what one node tells. What it does not know is zero.
type Reading struct {
	Address string
	Node    string // stays known when the node does not answer any more
	PID     int
	Epoch   causal.Epoch
	Ring    int // its nodes
	// State is "" if nothing answers.
	State NodeState
	Why   string // it is not ready
	// Restarted is when the node was first seen in another life than before.
	Restarted time.Time
	// Silent is when the node was first seen not to answer.
	Silent time.Time
	// Rate is requests per second by the daemon's own count, which has those in shared
	// memory, too. It is negative if it is not known yet.
	Rate float64
	// All is what the kernel has counted since the probes are on, nil if it does not, and
	// then Err says why. Part is what of that is to be shown, nil in the first reading.
	All, Part *bpf.Snapshot
	Seconds   float64 // of Part
	Err       error
}

// NodeState is what a node says of itself.
type NodeState string

// The states of a node that answers.
const (
	NodeReady    NodeState = "ready"
	NodeNotReady NodeState = "not ready"
	NodeDraining NodeState = "ending"
)

// NewLive names the nodes to read, by the addresses of their admin endpoints.
func NewLive(root string, addresses []string) *Live {
	l := &Live{root: root}
	for _, address := range addresses {
		l.nodes = append(l.nodes, liveNode{address: address})
	}
	return l
}

// Read reads all nodes at once; ctx bounds how long. What one of them cannot tell is
// in its own reading. A part begins at the reading before, or, with onward, where the
// part before began.
func (l *Live) Read(ctx context.Context, onward bool) []Reading {
	readings := make([]Reading, len(l.nodes))
	var all sync.WaitGroup
	for i := range l.nodes {
		all.Go(func() { readings[i] = l.nodes[i].read(ctx, l.root, onward) })
	}
	all.Wait()
	return readings
}

// liveNode is a node, and what it has told before.
type liveNode struct {
	address    string
	node, boot string
	restarted  time.Time
	silent     time.Time

	requests count
	// The probes are opened anew each time. That they were taken off, or on again, or are of
	// another life shows by their mark.
	mark       bpf.About
	from, last *bpf.Snapshot
}

// count is one of the daemon's counters at some time.
type count struct {
	at time.Time
	n  uint64
}

func (n *liveNode) read(ctx context.Context, root string, onward bool) Reading {
	answer := admin.Ask(ctx, []string{n.address})[0]
	now := time.Now()
	s, ok := answer.Parsed()
	r := Reading{Address: n.address, Rate: -1}
	if !ok {
		if n.silent.IsZero() {
			n.silent = now
		}
		n.requests, n.from, n.last = count{}, nil, nil
		r.Node, r.Silent, r.Restarted, r.Err = n.node, n.silent, n.restarted, errors.New(answer.Error)
		return r
	}
	n.silent = time.Time{}
	if n.boot != s.Boot {
		if n.boot != "" {
			n.restarted = now
		}
		n.boot, n.requests, n.from, n.last = s.Boot, count{}, nil, nil
	}
	if s.Server != nil {
		n.node = strconv.Itoa(int(s.Server.Node))
		r.Ring = len(s.Server.Received)
	}
	r.Node, r.PID, r.Epoch, r.Restarted = n.node, s.Process.PID, s.Epoch, n.restarted
	r.State, r.Why = NodeReady, s.NotReady
	switch {
	case s.Draining:
		r.State = NodeDraining
	case !s.Ready:
		r.State = NodeNotReady
	}
	if before := n.requests; !before.at.IsZero() && s.Daemon.Requests >= before.n {
		r.Rate = float64(s.Daemon.Requests-before.n) / now.Sub(before.at).Seconds()
	}
	n.requests = count{now, s.Daemon.Requests}
	if r.Err = n.measure(&r, root, answer.Status, onward); r.Err != nil {
		n.from, n.last = nil, nil
	}
	return r
}

// measure reads the node's probes.
func (n *liveNode) measure(r *Reading, root string, status []byte, onward bool) error {
	t, err := targetOf(status)
	if err != nil {
		return err
	}
	p, err := bpf.OpenFor(root, t)
	switch {
	case errors.Is(err, bpf.ErrOff):
		return fmt.Errorf("%w: %s", bpf.ErrOff, Command(root, n.address))
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; run this as root", err)
	case err != nil:
		return err
	}
	defer p.Close()
	mark, err := p.About()
	if err != nil {
		return err
	}
	now, err := p.Snapshot()
	if err != nil {
		return err
	}
	if n.mark != mark {
		n.mark, n.from, n.last = mark, nil, nil
	}
	if !onward || n.from == nil {
		n.from = n.last
	}
	n.last, r.All = now, now
	if n.from != nil {
		r.Part, r.Seconds = now.Since(n.from), (now.At - n.from.At).Seconds()
	}
	return nil
}

// Command is what turns a node's probes on.
func Command(root, address string) string {
	text := "meshctl probe on --admin " + address
	if root != bpf.Root {
		text += " --pins " + root
	}
	return text
}
