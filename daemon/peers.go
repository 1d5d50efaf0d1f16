package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
)

// peer is another node, as this one sees it: one link to it and one from it.
type peer struct {
	n       *node
	id      causal.ReplicaID
	address string
	boot    wire.BootID // in this epoch; 0: never met
	out     *outLink    // nil: not connected
	in      *inLink     // nil: not accepted
	dialing bool
	dialAt  causal.Time   // not before
	pause   time.Duration // before the next dial but one
	note    string        // what became of the last attempt
	refused string        // the last hello of this peer, "" if it was accepted
}

// The pause between attempts to connect doubles from the first to the last; half of
// it is at random, so that nodes that lost each other do not stay in step.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
	// joinPause is the longest while the other node says that it has not joined yet.
	joinPause = 100 * time.Millisecond
)

func (p *peer) up() bool       { return p.out != nil && p.out.open }
func (p *peer) accepted() bool { return p.in != nil }

// tick dials, notices silence, and breaks it.
func (p *peer) tick() {
	n := p.n
	if p.id == n.cfg.NodeID {
		return
	}
	if o := p.out; o != nil {
		if n.now >= o.heard.Add(n.cfg.LinkTimeout) {
			n.counters.LinksSilent++
			p.endOut(fmt.Errorf("link to node %d: %w", p.id, errSilent))
		} else if o.open && n.now >= o.sent.Add(n.cfg.Heartbeat) && p != n.successor() {
			p.sendSignOfLife(o.id, &o.sent) // to the successor, the core has one
		}
	} else if !p.dialing && n.now >= p.dialAt && !n.stopping {
		p.dialing = true
		n.loop.Dial(uint64(p.id), "tcp", p.address, n.cfg.LinkTimeout)
	}
	if i := p.in; i != nil {
		if n.now >= i.heard.Add(n.cfg.LinkTimeout) {
			n.counters.LinksSilent++
			p.endIn(fmt.Errorf("link from node %d: %w", p.id, errSilent))
		} else if n.now >= i.sent.Add(n.cfg.Heartbeat) {
			p.sendSignOfLife(i.id, &i.sent)
		}
	}
}

// sendSignOfLife says something true that asks for nothing: E. An announcement of
// what is flushed, with nothing in it, has the place for that.
func (p *peer) sendSignOfLife(c ring.ConnID, sent *causal.Time) {
	n := p.n
	if out := n.loop.Out(c); out != nil {
		*sent = n.now
		out.Bytes = wire.AppendMessage(out.Bytes, &causal.Message{
			Kind: causal.MessageFlushed, Epoch: n.epoch, Everywhere: n.server.Everywhere(), Time: n.now,
		})
	}
}

// send says something to the peer, if there is a link to it.
func (p *peer) send(m *causal.Message) {
	if !p.up() {
		return
	}
	if out := p.n.loop.Out(p.out.id); out != nil {
		if m.Kind == causal.MessageMissReply && p.n.loop.Queued(p.out.id) > withholdAbove {
			p.n.counters.Withheld++
			m.Code, m.Version = causal.CodeOverloaded, causal.Version{}
		}
		out.Bytes = wire.AppendMessage(out.Bytes, m)
		out.Answers[kindPeer]++
		p.out.sent = p.n.now
	}
}

// drop closes both links.
func (p *peer) drop(reason error) {
	p.endOut(reason)
	p.endIn(reason)
}

// endOut closes the link to the peer, if there is one, and has it dialed again.
func (p *peer) endOut(reason error) {
	if o := p.out; o != nil {
		p.n.hangUp(o.id)
		p.lostOut(reason)
	}
}

// lostOut notes that the link to the peer is gone.
func (p *peer) lostOut(reason error) {
	o := p.out
	p.out = nil
	if o.open {
		p.n.backlog.lost = append(p.n.backlog.lost, p.id)
		if p.n.now >= o.since.Add(lastPause) {
			p.pause = 0 // it was a good link
		}
	}
	p.retry(reason)
}

// retry sets the time of the next attempt.
func (p *peer) retry(reason error) {
	p.pause = min(max(2*p.pause, firstPause), lastPause)
	var r *wire.RefusedError
	if errors.As(reason, &r) && r.Code == wire.RefusedNotReady {
		p.pause = min(p.pause, joinPause)
	}
	p.dialAt = p.n.now.Add(p.pause/2 + mathrand.N(p.pause/2))
	if reason == nil {
		reason = io.EOF
	}
	if note := reason.Error(); note != p.note {
		p.note = note
		p.n.log.Warn("no link to node", "peer", p.id, "address", p.address, "reason", note)
	}
}

// endIn closes the link from the peer, if there is one.
func (p *peer) endIn(reason error) {
	if i := p.in; i != nil {
		p.in = nil
		p.n.hangUp(i.id)
		p.n.log.Warn("link from node closed", "peer", p.id, "reason", reason)
	}
}

// connected takes the outcome of a dial.
func (p *peer) connected(c ring.ConnID, err error) {
	p.dialing = false
	if err != nil {
		p.retry(err)
		return
	}
	hello, err := p.n.hello(p)
	if err == nil {
		err = p.n.sendHandshake(c, &hello)
	}
	if err != nil {
		p.n.loop.Close(c)
		p.retry(err)
		return
	}
	p.out = &outLink{p: p, id: c, hello: hello, heard: p.n.now}
	p.n.links[c] = p.out
}

func (n *node) sendHandshake(c ring.ConnID, m wire.Handshake) error {
	out := n.loop.Out(c)
	if out == nil {
		return io.ErrClosedPipe
	}
	b, err := wire.AppendHandshake(out.Bytes, m)
	if err == nil {
		out.Bytes = b
	}
	return err
}

// drawNonce fills in a fresh nonce where there is a cluster key to prove.
func (n *node) drawNonce(nonce *wire.Nonce) error {
	if len(n.key) == 0 {
		return nil
	}
	_, err := rand.Read(nonce[:])
	return err
}

// nextFrame splits off a frame of a link, which is longer after the handshake.
func nextFrame(data []byte, open bool) (body, rest []byte, err error) {
	most := wire.MaxFrameBytes
	if !open {
		most = wire.MaxHandshakeBytes
	}
	return wire.Next(data, most)
}

// stepMessage hands a peer's message to the core.
func (n *node) stepMessage(p *peer, body []byte) error {
	if err := wire.DecodeMessage(body, &n.message); err != nil {
		n.counters.PeersMalformed++
		return err
	}
	n.in = causal.Input{Now: n.now, Kind: causal.InputMessage, Peer: p.id, Message: &n.message}
	n.step()
	return nil
}
