package daemon

import (
	"errors"
	"fmt"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
)

// outLink is a connection that this node opened: what it has to say to the peer
// goes out here.
type outLink struct {
	p     *peer
	id    ring.ConnID
	hello wire.PeerHello
	open  bool // after the handshake
	since causal.Time
	heard causal.Time // when bytes last arrived, or the connection did
	sent  causal.Time
}

// received implements link.
func (o *outLink) received(data []byte) (used int, err error) {
	n := o.p.n
	o.heard = n.now
	for o.p.out == o {
		body, rest, err := nextFrame(data[used:], o.open)
		if err != nil || body == nil {
			return used, err
		}
		used = len(data) - len(rest)
		if !o.open {
			err = o.answered(body)
		} else {
			err = o.signOfLife(body)
		}
		if err != nil {
			return used, err
		}
	}
	return len(data), nil // the core has dropped the link
}

// signOfLife takes what the called end says once the link is set up.
func (o *outLink) signOfLife(body []byte) error {
	n := o.p.n
	t, err := wire.TypeOf(body)
	if err == nil && t != wire.TypeFlushed {
		err = fmt.Errorf("%w: %v where only signs of life are due", errUnexpected, t)
	}
	if err != nil {
		n.counters.PeersMalformed++
		return err
	}
	return n.stepMessage(o.p, body)
}

// answered takes the answer to the hello.
func (o *outLink) answered(body []byte) error {
	n, p := o.p.n, o.p
	h, err := wire.DecodeHandshake(body)
	if err != nil {
		n.counters.PeersMalformed++
		return err
	}
	switch h := h.(type) {
	case *wire.Refusal:
		return h.Err()
	case *wire.PeerWelcome:
		return o.welcomed(h)
	}
	n.counters.PeersMalformed++
	return fmt.Errorf("node %d: %w in place of a welcome", p.id, errUnexpected)
}

// welcomed completes the link and resynchronises it.
func (o *outLink) welcomed(w *wire.PeerWelcome) error {
	n, p := o.p.n, o.p
	if err := n.checkWelcome(p, &o.hello, w); err != nil {
		return err
	}
	if len(n.key) > 0 {
		proof := wire.PeerProof{Proof: wire.Prove(n.key, wire.RoleCalling, &o.hello, w)}
		if err := n.sendHandshake(o.id, &proof); err != nil {
			return err
		}
	}
	p.boot = w.Boot
	p.note = ""
	o.open, o.since, o.sent = true, n.now, n.now
	n.counters.LinksEstablished++
	n.log.Info("link to node established", "peer", p.id, "address", p.address)
	n.in = causal.Input{
		Now: n.now, Kind: causal.InputLinkUp, Peer: p.id,
		Received: w.Received, Marks: w.Marks, Everywhere: w.Everywhere,
	}
	n.step()
	n.checkJoined()
	return nil
}

// closed implements link.
func (o *outLink) closed(err error) {
	if o.p.out == o {
		o.p.lostOut(err)
	}
}

// late implements link: silence of links is found by peer.tick.
func (o *outLink) late() {}

// inLink is a connection that another node opened, or a stranger.
type inLink struct {
	n       *node
	id      ring.ConnID
	p       *peer // nil until the hello was accepted, and proved under a cluster key
	hello   wire.PeerHello
	welcome *wire.PeerWelcome // sent; its proof is awaited
	heard   causal.Time
	sent    causal.Time
}

// received implements link.
func (i *inLink) received(data []byte) (used int, err error) {
	i.heard = i.n.now
	for i.p == nil || i.p.in == i {
		body, rest, err := nextFrame(data[used:], i.p != nil)
		if err != nil {
			return used, i.malformed(wire.RefusedMalformed, err)
		}
		if body == nil {
			return used, nil
		}
		used = len(data) - len(rest)
		switch {
		case i.p != nil:
			err = i.n.stepMessage(i.p, body)
		case i.welcome != nil:
			err = i.proved(body)
		default:
			err = i.greet(body)
		}
		if err != nil {
			return used, err
		}
	}
	return len(data), nil // the core has dropped the link
}

// malformed tells whoever it is why the connection ends.
func (i *inLink) malformed(code wire.RefusalCode, err error) error {
	i.n.counters.PeersMalformed++
	if i.p == nil {
		sendRefusal(i.n.loop, i.id, code, err)
	}
	return err
}

// greet answers a hello.
func (i *inLink) greet(body []byte) error {
	n := i.n
	h, err := wire.DecodeHandshake(body)
	if err != nil {
		return i.malformed(refusalOf(err), err)
	}
	hello, ok := h.(*wire.PeerHello)
	if !ok {
		return i.malformed(wire.RefusedMalformed, fmt.Errorf("%w: this address is for other nodes", errUnexpected))
	}
	i.hello = *hello
	if r := n.judge(hello); r != nil {
		return i.refuse(r)
	}
	if len(n.key) == 0 {
		if err := i.believe(); err != nil {
			return err
		}
	}
	w, err := n.welcome(hello)
	if err == nil {
		err = n.sendHandshake(i.id, &w)
	}
	if err != nil {
		return err
	}
	if len(n.key) > 0 {
		i.welcome = &w
		return nil
	}
	i.accept()
	return nil
}

// proved takes the caller's proof. What was judged may have changed since.
func (i *inLink) proved(body []byte) error {
	n := i.n
	h, err := wire.DecodeHandshake(body)
	if err != nil {
		return i.malformed(refusalOf(err), err)
	}
	proof, ok := h.(*wire.PeerProof)
	if !ok || !proof.Proof.Verify(n.key, wire.RoleCalling, &i.hello, i.welcome) {
		n.counters.PeersUnproven++
		return i.refuse(refused(wire.RefusedProof, "%v", errProof))
	}
	if r := n.judge(&i.hello); r != nil {
		return i.refuse(r)
	}
	if err := i.believe(); err != nil {
		return err
	}
	if i.outdated() {
		n.peers[i.hello.From].endIn(errReplaced)
		return errOutdated
	}
	i.accept()
	return nil
}

// outdated reports whether more has come over the link that is to be replaced since
// the welcome stated what this node has. To the caller, who may hear of that from
// others first, this node would seem to have lost its state. It calls again.
func (i *inLink) outdated() bool {
	n := i.n
	if n.server == nil {
		return false
	}
	stated := causal.VectorClock(i.welcome.Received).Clone()
	own := causal.Dot{Origin: n.cfg.NodeID, Counter: n.server.Received()[n.cfg.NodeID]}
	return !n.server.Received().AtMost(stated.Add(own)) // own writes come over no link
}

// refuse turns a hello down. The caller's next attempts are not logged again.
func (i *inLink) refuse(r *refusal) error {
	n := i.n
	n.counters.PeersRefused++
	reason := errors.New(r.text)
	if from := int(i.hello.From); from < len(n.peers) && n.peers[from].refused != r.text {
		n.peers[from].refused = r.text
		n.log.Warn("link from node refused", "peer", from, "reason", r.text)
	}
	sendRefusal(n.loop, i.id, r.code, reason)
	return fmt.Errorf("%w: %w", errRefused, reason)
}

// believe takes from an accepted hello what this node did not know.
func (i *inLink) believe() error {
	n := i.n
	if n.epoch == 0 {
		if err := n.begin(i.hello.Epoch); err != nil {
			return err
		}
	}
	n.peers[i.hello.From].boot = i.hello.Boot
	return nil
}

// accept makes the connection the link from its peer, in place of an older one.
func (i *inLink) accept() {
	n, p := i.n, i.n.peers[i.hello.From]
	p.endIn(errReplaced)
	i.p, p.in, i.heard, i.sent, p.refused = p, i, n.now, n.now, ""
	n.log.Info("link from node accepted", "peer", p.id)
	if p == n.predecessor() {
		n.in = causal.Input{Now: n.now, Kind: causal.InputPredecessor, WantsAcks: i.hello.Acks}
		n.step()
	}
	// It is there: no need to wait with the link in the other direction.
	p.dialAt, p.pause = min(p.dialAt, n.now), 0
	n.checkJoined()
}

// closed implements link.
func (i *inLink) closed(err error) {
	if i.p != nil && i.p.in == i {
		i.p.in = nil
		i.n.log.Warn("link from node lost", "peer", i.p.id, "reason", err)
	}
}

// late implements link.
func (i *inLink) late() {
	if i.p == nil {
		i.n.counters.NoHandshake++
		i.n.hangUp(i.id)
	}
}
