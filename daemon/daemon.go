package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/store"
	"causalmesh/ring"
)

// Addresses are where a node listens; empty where it does not.
type Addresses struct {
	Unix, TCP, Peer, Admin string
}

// Node is one node in this process.
type Node struct {
	n         *node
	admin     *admin
	addresses Addresses
}

// New checks the settings and opens the listeners. The caller then calls Run, once.
func New(c Config, log *slog.Logger) (*Node, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	key, err := c.readKey()
	if err != nil {
		return nil, err
	}
	loops, err := newLoops(&c, log)
	if err != nil {
		return nil, err
	}
	n := newNode(c, key, log.With("node", c.NodeID), loops)
	if err := n.checkProbes(); err != nil {
		n.stopLoops(0)
		return nil, err
	}
	d := &Node{n: n}
	for _, l := range []struct {
		id               ring.ListenerID
		network, address string
		bound            *string
	}{
		{listenUnix, "unix", c.ListenUnix, &d.addresses.Unix},
		{listenTCP, "tcp", c.ListenTCP, &d.addresses.TCP},
		{listenPeer, "tcp", c.peerListener(), &d.addresses.Peer},
	} {
		if l.address == "" {
			continue
		}
		if *l.bound, err = n.loop.Listen(l.id, l.network, l.address); err == nil && len(loops) > 1 && l.id != listenPeer {
			err = n.loop.Deal(l.id, loops)
		}
		if err != nil {
			n.stopLoops(0) // closes the listeners
			return nil, fmt.Errorf("listen for %s: %w", listenerNames[l.id], err)
		}
	}
	if c.Admin != "" {
		if d.admin, err = newAdmin(c.Admin, n); err != nil {
			n.stopLoops(0)
			return nil, fmt.Errorf("listen for admin: %w", err)
		}
		d.addresses.Admin = d.admin.address()
	}
	return d, nil
}

// Addresses returns where the node listens, ports that the kernel chose included.
func (d *Node) Addresses() Addresses { return d.addresses }

// Ready is closed when the node has joined its ring for the first time: from then
// on it serves clients.
func (d *Node) Ready() <-chan struct{} { return d.n.ready }

// Status describes the node, as the admin endpoint does.
func (d *Node) Status(ctx context.Context) (Status, error) { return d.n.askStatus(ctx) }

// Halt ends Run at once, as the end of the process would: nothing is drained.
func (d *Node) Halt() {
	d.n.halted.Store(true)
	d.n.stopLoops(0)
}

// Run serves until ctx ends, and then drains: it refuses writes, and goes on until
// all that it holds is stable, and flushed if it is this node's to flush, or
// drain-timeout is over.
func (d *Node) Run(ctx context.Context) error {
	n := d.n
	defer close(n.ended)
	if err := n.open(ctx); err != nil {
		n.stopLoops(0)
		if d.admin != nil {
			d.admin.close()
		}
		return err
	}
	n.tell()
	n.announce(d.addresses)
	if n.cfg.IO == ioUring {
		defer n.letWatch()()
	}
	if d.admin != nil {
		d.admin.serve()
		defer d.admin.close()
	}
	stop := context.AfterFunc(ctx, func() { n.post(n.drain) })
	defer stop()
	err := n.runLoops()
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	switch {
	case err != nil:
		return err
	case n.outcome != nil:
		return n.outcome
	case n.halted.Load():
		return ErrStopped
	}
	return nil
}

// open connects the database and, at the founder, starts the epoch.
func (n *node) open(ctx context.Context) error {
	if n.cfg.hasStore() {
		s, err := store.New(store.Config{
			URL:        n.cfg.Store,
			Epoch:      func() causal.Epoch { return causal.Epoch(n.sharedEpoch.Load()) },
			Logger:     n.log,
			Timeout:    n.loadTimeout / 2, // below the core's, so that the store's error ends the operation
			Grace:      n.cfg.TombstoneGrace,
			KeyBytes:   int(n.cfg.KeyBytes),
			ValueBytes: int(n.cfg.ValueBytes),
		}, n.deliver)
		if err != nil {
			return fault("store", "%v", err)
		}
		n.store = s
		if err := s.Check(ctx); err != nil {
			return errors.Join(fmt.Errorf("store: %w", err), s.Close())
		}
	}
	if n.cfg.NodeID != founder {
		return nil
	}
	epoch, err := n.newEpoch(ctx)
	if err == nil {
		err = n.begin(epoch)
	}
	if err != nil && n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	return err
}

// announce logs what the node is and what it does without.
func (n *node) announce(a Addresses) {
	n.log.Info("causalmeshd starts", "version", Version(), "peers", n.cfg.Peers, "addresses", a,
		"store", n.storeName(), "propagation", n.cfg.Propagation.String(), "ack", n.cfg.Ack.String(),
		"io", n.cfg.IO, "loops", n.cfg.Loops, "boot", hex64(uint64(n.boot)), "config", fmt.Sprintf("%x", n.digest))
	if len(n.key) == 0 {
		n.log.Warn("no cluster key: other nodes and clients are trusted; set cluster-key to change that")
	}
}

// storeName is the store's URL without a password.
func (n *node) storeName() string {
	if !n.cfg.hasStore() {
		return storeMem
	}
	o, err := store.ParseURL(n.cfg.Store)
	if err != nil {
		return "?"
	}
	return fmt.Sprintf("%s %s/%d", o.Network, o.Addr, o.DB)
}

// drainQuiet is how long nothing may have arrived before a node that drains ends,
// so that the last writes of the others can still pass through it.
const drainQuiet = 250 * time.Millisecond

// drain makes the node come to rest and end.
func (n *node) drain() {
	if n.draining {
		return
	}
	n.draining = true
	n.tell()
	n.log.Info("draining: writes are refused", "at_most", n.cfg.DrainTimeout)
	if n.server == nil {
		n.loop.Stop(0)
		return
	}
	n.server.Drain()
	n.drainEnd = n.now.Add(n.cfg.DrainTimeout)
	n.quietSince = n.now
	n.quietAt = n.server.Received().Clone()
}

// checkDrained ends a draining node that has come to rest, or has no time left.
func (n *node) checkDrained() {
	if !n.draining || n.server == nil || n.stopping {
		return
	}
	if r := n.server.Received(); !r.Equal(n.quietAt) {
		n.quietAt, n.quietSince = r.Clone(), n.now
	}
	over := n.now >= n.drainEnd
	if !over && n.now < n.quietSince.Add(n.drainQuiet) {
		return
	}
	s := n.server.Status()
	rest := s.Pending == 0 && s.Dirty == 0 && s.Held == 0
	if !rest && !over && !s.Fenced {
		return
	}
	n.stopping = true
	n.tell()
	if rest {
		n.log.Info("drained: everything is stable", "flushed", n.store != nil)
	} else {
		n.outcome = fmt.Errorf("%w: not stable: %d versions; not flushed: %d keys", ErrLeftBehind, s.Pending, s.Dirty)
		n.log.Error("not drained in time; raise drain-timeout, or end all nodes at the same time", "versions_not_stable", s.Pending, "keys_not_flushed", s.Dirty,
			"received", s.Received, "stable", s.Stable, "fenced", s.Fenced)
	}
	n.loop.Stop(stopGrace)
}

// stopGrace is how long the last replies may take to leave.
const stopGrace = time.Second

// Version is the version of the program and of what it speaks.
func Version() string {
	return fmt.Sprintf("%s (wire protocol %d)", buildVersion(), wire.ProtocolVersion)
}
