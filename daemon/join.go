package daemon

import (
	"context"
	"fmt"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/table"
)

// The epoch: how a cluster begins, and who may belong to it.

// founder is the node that begins the epoch.
const founder causal.ReplicaID = 0

// newEpoch returns an epoch that is higher than all before: the wall clock in
// milliseconds, or one more than the last that the database knows if the clock was
// set back. Milliseconds and not a mere count, because contexts outlive a database
// that somebody empties, and theirs must not come again.
func (n *node) newEpoch(ctx context.Context) (causal.Epoch, error) {
	now := causal.Epoch(time.Now().UnixMilli())
	if n.store == nil {
		return now, nil
	}
	last, err := n.store.LastEpoch(ctx)
	if err != nil {
		return 0, fmt.Errorf("store: last epoch: %w", err)
	}
	return max(last+1, now), nil
}

// begin starts this node's life in an epoch, with an empty I-cache.
func (n *node) begin(epoch causal.Epoch) error {
	t, err := table.New(table.Options{Bytes: int64(n.cfg.tableBytes()), Epoch: epoch})
	if err != nil {
		return fmt.Errorf("%w: max-memory: no room for the table: %w", ErrConfig, err)
	}
	limits := n.cfg.limits()
	limits.LoadTimeout = n.loadTimeout
	s, err := causal.NewServer(causal.Config{
		Self: n.cfg.NodeID, Replicas: n.replicas(), Epoch: epoch,
		Propagation: n.cfg.Propagation, Ack: n.cfg.Ack,
		Store: n.store != nil, MemoryBytes: int(n.cfg.cacheBytes()), Key: n.key, Limits: limits,
		Heartbeat: n.cfg.Heartbeat, FlushDelay: tickBusy, TombstoneGrace: n.cfg.TombstoneGrace,
	}, t)
	if err != nil {
		_ = t.Close() // nobody has seen it
		return fmt.Errorf("%w: the core refuses the settings, lower value-bytes or raise max-memory and pending-bytes: %w", ErrConfig, err)
	}
	n.server, n.epoch, n.table = s, epoch, t
	n.sharedEpoch.Store(uint64(epoch))
	n.log.Info("epoch known", "epoch", uint64(epoch), "founder", n.cfg.NodeID == founder)
	n.checkJoined()
	return nil
}

// checkJoined notes when all links have come up for the first time.
func (n *node) checkJoined() {
	if n.joined || n.server == nil || !n.linked() {
		return
	}
	n.joined = true
	n.tell()
	n.log.Info("joined the ring: clients are served", "epoch", uint64(n.epoch))
	close(n.ready)
}

// linked reports whether the node can do all that its clients may ask for: its
// predecessor reaches it, and it reaches everyone, for its writes and for misses.
func (n *node) linked() bool {
	return n.replicas() == 1 || n.predecessor().accepted() && n.unreached() == nil
}

// unreached is the first of the other nodes that there is no link to, nil if none.
func (n *node) unreached() *peer {
	for _, p := range n.peers {
		if p.id != n.cfg.NodeID && !p.up() {
			return p
		}
	}
	return nil
}

// notReady says why the node is not ready, "" if it is.
func (n *node) notReady() string {
	switch {
	case n.draining:
		return errShuttingDown.Error()
	case n.server == nil:
		return fmt.Sprintf("no epoch yet: waits for its predecessor, node %d", n.predecessor().id)
	case n.server.Status().Fenced:
		return "a later epoch of the cluster owns the database; restart this node"
	case !n.linked() && !n.predecessor().accepted():
		return fmt.Sprintf("epoch %d: no link from the predecessor, node %d", n.epoch, n.predecessor().id)
	case !n.linked():
		p := n.unreached()
		return fmt.Sprintf("epoch %d: no link to node %d: %s", n.epoch, p.id, p.note)
	}
	return ""
}

// refusal is why a hello is not accepted.
type refusal struct {
	code wire.RefusalCode
	text string
}

func refused(code wire.RefusalCode, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// judge decides on the hello of another node; nil accepts it. Nothing is changed:
// under a cluster key the hello is believed only after the proof, and then judged
// again.
func (n *node) judge(h *wire.PeerHello) *refusal {
	self := n.cfg.NodeID
	switch {
	case int(h.RingSize) != n.replicas() || h.To != self || h.From == self:
		return refused(wire.RefusedConfig, "node %d of %d was called as node %d of %d by node %d; check peers and node-id",
			self, n.replicas(), h.To, h.RingSize, h.From)
	case h.Digest != n.digest:
		return refused(wire.RefusedConfig, "the settings of nodes %d and %d differ: %s", h.From, self, digestHelp)
	case len(n.key) > 0 && h.Nonce == (wire.Nonce{}):
		return refused(wire.RefusedProof, "node %d has a cluster key and node %d has none; give all nodes the same cluster-key", self, h.From)
	case len(n.key) == 0 && h.Nonce != (wire.Nonce{}):
		return refused(wire.RefusedProof, "node %d has a cluster key and node %d has none; give all nodes the same cluster-key", h.From, self)
	case h.Epoch == 0:
		return refused(wire.RefusedNotReady, "node %d has no epoch yet", h.From)
	case n.epoch != 0 && h.Epoch != n.epoch:
		return refused(wire.RefusedEpoch, "node %d is in epoch %d, node %d in epoch %d: one of them was restarted and has lost its state; restart all nodes of the cluster",
			h.From, h.Epoch, self, n.epoch)
	case h.Expected != 0 && h.Expected != n.boot:
		return refused(wire.RefusedEpoch, "node %d %v", self, errRestarted)
	case n.epoch == 0 && n.predecessor().id != h.From:
		return refused(wire.RefusedNotReady, "node %d has not joined yet; it waits for node %d", self, n.predecessor().id)
	case n.peers[h.From].boot != 0 && n.peers[h.From].boot != h.Boot:
		return refused(wire.RefusedEpoch, "node %d %v", h.From, errRestarted)
	}
	return nil
}

// hello is what this node opens a link with.
func (n *node) hello(p *peer) (wire.PeerHello, error) {
	h := wire.PeerHello{
		From: n.cfg.NodeID, To: p.id, RingSize: uint8(n.replicas()), Digest: n.digest,
		Epoch: n.epoch, Boot: n.boot, Expected: p.boot,
		Acks: n.cfg.Ack == causal.AckReplicated && p == n.successor(),
	}
	return h, n.drawNonce(&h.Nonce)
}

// welcome is what this node answers a hello with that it accepts.
func (n *node) welcome(h *wire.PeerHello) (wire.PeerWelcome, error) {
	w := wire.PeerWelcome{Epoch: h.Epoch, Boot: n.boot}
	if n.server != nil {
		w.Received, w.Marks, w.Everywhere = n.server.Received().Clone(), n.server.Marks().Clone(), n.server.Everywhere().Clone()
	}
	if err := n.drawNonce(&w.Nonce); err != nil {
		return w, err
	}
	if len(n.key) > 0 {
		w.Proof = wire.Prove(n.key, wire.RoleCalled, h, &w)
	}
	return w, nil
}

// checkWelcome decides whether a welcome comes from the node that was called.
func (n *node) checkWelcome(p *peer, h *wire.PeerHello, w *wire.PeerWelcome) error {
	switch {
	case len(n.key) > 0 && !w.Proof.Verify(n.key, wire.RoleCalled, h, w):
		n.counters.PeersUnproven++
		return fmt.Errorf("node %d: %w", p.id, errProof)
	case w.Epoch != n.epoch:
		return fmt.Errorf("node %d: %w: %d, here %d", p.id, errNotEpoch, w.Epoch, n.epoch)
	case p.boot != 0 && w.Boot != p.boot:
		return fmt.Errorf("node %d %w", p.id, errRestarted)
	}
	return nil
}
