package causal

import (
	"fmt"
	"math"

	"causalmesh/causal/internal/defect"
)

// Traversals: how versions travel from their head round the ring, and how a
// link resumes after it was lost.

// message handles what a peer says.
func (s *Server) message(from ReplicaID, m *Message, out *Output) error {
	if int(from) >= s.cfg.Replicas || from == s.cfg.Self {
		return fmt.Errorf("%w: message from server %d of %d", ErrPeer, from, s.cfg.Replicas)
	}
	if m.Epoch != s.cfg.Epoch {
		return fmt.Errorf("%w: %w: %d, here %d", ErrPeer, ErrEpoch, m.Epoch, s.cfg.Epoch)
	}
	if s.peerTooFarAhead(m.Time) {
		return fmt.Errorf("%w: %w by %v; check its clock", ErrPeer, ErrClock, m.Time.Sub(s.now))
	}
	if len(m.Everywhere) > s.cfg.Replicas || !m.Everywhere.AtMost(s.received) {
		return fmt.Errorf("%w: it states E=%v, here R=%v", ErrPeer, m.Everywhere, s.received)
	}
	deaf := m.Kind == MessageMissReply && s.defects.Has(defect.InstallUnadopted) ||
		m.Kind == MessageMiss && s.defects.Has(defect.MissUnlearned)
	if !deaf && !s.defects.Has(defect.IntegrateWhenAsked) {
		s.learn(m.Everywhere, out)
	}
	switch m.Kind {
	case MessageRing:
		return s.ringMessage(from, m, out)
	case MessageAck:
		return s.ackMessage(from, m, out)
	case MessageMiss:
		return s.miss(from, m, out)
	case MessageMissReply:
		return s.missReply(from, m, out)
	case MessageFlushed:
		return s.flushedMessage(from, m)
	}
	return fmt.Errorf("%w: unknown message kind %d", ErrPeer, m.Kind)
}

func (s *Server) tooFarAhead(t Time) bool { return t > s.now.Add(s.cfg.Limits.ClockSkew) }

// peerTooFarAhead gives peers twice the room that clients have: a client may push
// one server's clock to the edge, and that must not cut off the server.
func (s *Server) peerTooFarAhead(t Time) bool { return t > s.now.Add(2*s.cfg.Limits.ClockSkew) }

func (s *Server) ringMessage(from ReplicaID, m *Message, out *Output) error {
	if from != s.predecessor() {
		return fmt.Errorf("%w: ring message from server %d, the predecessor is %d", ErrPeer, from, s.predecessor())
	}
	s.counters.RingMessages++
	before := s.received[s.tailOf()]
	news := false
	var err error
	for i := range m.Entries {
		e := &m.Entries[i]
		var fresh bool
		if e.Version != nil {
			fresh, err = s.receive(e.Version)
		} else {
			fresh, err = s.mark(e.Mark)
		}
		news = news || fresh
		if err != nil {
			break // what came before the gap stands
		}
	}
	if t := s.tailOf(); s.cfg.Propagation == TwoRound && s.received[t] > before {
		// Model: EndFirstRound. The mark goes behind all that was accepted so far.
		m := Mark{Origin: t, Counter: s.received[t]}
		s.passMark(m)
		s.took(Transition{Action: ActionEndFirstRound, Dot: m.dot()})
	}
	s.endTraversals(out)
	if news {
		s.acknowledgeRing(out)
	}
	return err
}

// acknowledgeRing tells the predecessor what has arrived, if it wants to know.
func (s *Server) acknowledgeRing(out *Output) {
	if s.ackTo {
		out.Messages = append(out.Messages, Envelope{To: s.predecessor(), Message: Message{
			Kind: MessageAck, Epoch: s.cfg.Epoch, Time: s.hybrid(), Everywhere: s.everywhere,
			Vector: s.received, Marks: s.marked,
		}})
	}
}

// receive takes a version that came by its own traversal. Model: Receive.
func (s *Server) receive(v *Version) (fresh bool, err error) {
	if err := s.checkVersion(v); err != nil {
		return false, err
	}
	i, c := v.Dot.Origin, v.Dot.Counter
	if i == s.cfg.Self {
		return false, fmt.Errorf("%w: sends back dot %v", ErrPeer, v.Dot)
	}
	if c <= s.received[i] {
		s.counters.Duplicates++
		s.took(Transition{Action: ActionReceive, Dot: v.Dot})
		return false, nil
	}
	if c != s.received[i]+1 {
		s.counters.Gaps++
		return false, fmt.Errorf("%w: gap: dot %v after (%d,%d)", ErrPeer, v.Dot, i, s.received[i])
	}
	if !s.defects.Has(defect.TimeOnIntegration) {
		s.clock = max(s.clock, v.Stamp.Time)
	}
	s.enqueue(v)
	s.counters.Received++
	s.took(Transition{Action: ActionReceive, Dot: v.Dot})
	if s.defects.Has(defect.ArrivedOtherwise) {
		s.receiveCarried(v)
	}
	return true, nil
}

// enqueue puts a copy of the next version of its origin into the I-cache, and the
// version on its way. It returns the copy.
func (s *Server) enqueue(v *Version) *Version {
	i := v.Dot.Origin
	s.received[i] = v.Dot.Counter
	copied := s.icache[i].push(v)
	s.pendingBytes[i] += v.Bytes()
	s.pendingTotal += v.Bytes()
	if i != s.tailOf() {
		s.log.append(logEntry{dot: v.Dot})
	}
	return copied
}

// inFlight returns a version that R covers and S does not.
func (s *Server) inFlight(i ReplicaID, c Counter) *Version {
	return s.icache[i].at(int(c - s.stable[i] - 1))
}

// checkVersion refuses what no server of this cluster can have accepted.
func (s *Server) checkVersion(v *Version) error {
	switch {
	case int(v.Dot.Origin) >= s.cfg.Replicas || v.Dot.IsZero() || v.Dot.Incarnation != s.cfg.Incarnation:
		return fmt.Errorf("%w: impossible dot %v", ErrPeer, v.Dot)
	case v.Epoch != s.cfg.Epoch:
		return fmt.Errorf("%w: version of epoch %d, here %d", ErrPeer, v.Epoch, s.cfg.Epoch)
	case len(v.Key) == 0 || len(v.Key) > s.cfg.Limits.KeyBytes || len(v.Value) > s.cfg.Limits.ValueBytes:
		return fmt.Errorf("%w: key of %d bytes, value of %d bytes", ErrPeer, len(v.Key), len(v.Value))
	case v.Deadline > math.MaxInt64: // no clock gets there, and not every database
		return fmt.Errorf("%w: deadline %d", ErrPeer, v.Deadline)
	case len(v.Deps) > s.cfg.Replicas:
		return fmt.Errorf("%w: %d dependencies", ErrPeer, len(v.Deps))
	case v.Stamp.IsZero() || v.Stamp.Origin != v.Dot.Origin || s.peerTooFarAhead(v.Stamp.Time):
		return fmt.Errorf("%w: %w: stamp %v", ErrPeer, ErrClock, v.Stamp)
	}
	for _, d := range v.Deps {
		if int(d.Origin) >= s.cfg.Replicas {
			return fmt.Errorf("%w: dependency on %v", ErrPeer, d)
		}
	}
	return nil
}

// mark takes one step of a second traversal. Model: PassMark.
func (s *Server) mark(m Mark) (fresh bool, err error) {
	if s.cfg.Propagation != TwoRound || int(m.Origin) >= s.cfg.Replicas {
		return false, fmt.Errorf("%w: mark %v", ErrPeer, m)
	}
	if m.Counter <= s.marked[m.Origin] {
		s.took(Transition{Action: ActionPassMark, Dot: m.dot()})
		return false, nil
	}
	if m.Counter > s.received[m.Origin] {
		s.counters.Gaps++
		return false, fmt.Errorf("%w: gap: mark %v after R=%v", ErrPeer, m, s.received)
	}
	s.marked[m.Origin] = m.Counter
	if m.Origin != s.tailOf() {
		s.passMark(m)
	}
	s.took(Transition{Action: ActionPassMark, Dot: m.dot()})
	return true, nil
}

// passMark sends a mark on, unless word that it has done its work was faster.
func (s *Server) passMark(m Mark) {
	if !s.everywhere.Covers(m.dot()) {
		s.log.append(logEntry{dot: m.dot(), mark: true})
	}
}

func (s *Server) ackMessage(from ReplicaID, m *Message, out *Output) error {
	if from != s.successor() || len(m.Vector) > s.cfg.Replicas || len(m.Marks) > s.cfg.Replicas {
		return fmt.Errorf("%w: acknowledgement of %v from server %d", ErrPeer, m.Vector, from)
	}
	if int(s.cfg.Self) < len(m.Vector) && m.Vector[s.cfg.Self] > s.received[s.cfg.Self] {
		return fmt.Errorf("%w: acknowledges %d of %d writes", ErrPeer, m.Vector[s.cfg.Self], s.received[s.cfg.Self])
	}
	s.log.has, s.log.marks = s.log.has.Join(m.Vector), s.log.marks.Join(m.Marks)
	s.releaseHeld(out)
	return nil
}

// linkUp resynchronises an outgoing link. Model: Resync.
func (s *Server) linkUp(in *Input, out *Output) error {
	p := in.Peer
	if int(p) >= s.cfg.Replicas || p == s.cfg.Self {
		return fmt.Errorf("%w: link to server %d of %d", ErrPeer, p, s.cfg.Replicas)
	}
	n := s.cfg.Replicas
	if len(in.Received) > n || len(in.Marks) > n || len(in.Everywhere) > n {
		return fmt.Errorf("%w: vectors for more than %d servers", ErrPeer, n)
	}
	if err := s.checkState(in); err != nil {
		out.Drop = append(out.Drop, p)
		out.Events = append(out.Events, Event{Kind: EventPeerLostState, Peer: p})
		return err
	}
	s.up[p] = true
	if p == s.successor() {
		if !s.defects.Has(defect.NoResync) {
			s.log.start(in.Received, in.Marks)
		}
		s.log.up = true
		s.sent = make(VectorClock, n) // the first message states E
		s.took(Transition{Action: ActionResync, Peer: p, Vector: in.Received, Marks: in.Marks})
		s.releaseHeld(out)
	}
	s.learn(in.Everywhere, out)
	if p == s.predecessor() {
		s.acknowledgeRing(out) // the last one may have been lost with the link
	}
	return nil
}

// checkState refuses a peer that lacks what E covers: it has lost its state, and
// what everyone had, not everyone has any more. What the peer stated may be a
// while old. Its R of an origin can have grown since, unless the way to it leads
// over this very link: so only the successor is held to E, and not for its own
// writes.
func (s *Server) checkState(in *Input) error {
	self := int(s.cfg.Self)
	lost := !in.Everywhere.AtMost(s.received) || self < len(in.Received) && in.Received[self] > s.received[self]
	if in.Peer == s.successor() {
		for i, c := range s.everywhere {
			if ReplicaID(i) != in.Peer && !in.Received.Covers(Dot{Origin: ReplicaID(i), Counter: c}) {
				lost = true
			}
		}
	}
	if lost {
		return fmt.Errorf("%w: server %d has R=%v E=%v, here R=%v E=%v: one of the two has lost its state",
			ErrPeer, in.Peer, in.Received, in.Everywhere, s.received, s.everywhere)
	}
	return nil
}

func (s *Server) linkDown(p ReplicaID, out *Output) {
	if int(p) >= s.cfg.Replicas {
		return
	}
	s.up[p] = false
	if p == s.successor() {
		s.log.up = false
	}
	s.failLoadsFrom(p, out)
}

// Pull fills m with the next message to the successor: up to RingBatch bytes of
// versions and marks, or bare E if that has news or the link has
// been silent for a heartbeat. It reports false if there is nothing to send. The
// caller pulls whenever the link can take more, after each step or tick, and
// encodes m before it pulls again or takes the next step. Model: Send.
func (s *Server) Pull(now Time, m *Message) bool {
	s.now = max(s.now, now)
	if !s.log.up {
		return false
	}
	*m = Message{Kind: MessageRing, Epoch: s.cfg.Epoch, Everywhere: s.everywhere, Time: s.hybrid(), Entries: m.Entries[:0]}
	bytes := 0
	l := &s.log
	for ; l.next < len(l.entries) && bytes < s.cfg.Limits.RingBatch; l.next++ {
		e := l.entries[l.next]
		if s.everywhere.Covers(e.dot) || l.received(e) {
			continue
		}
		bytes += 16
		if e.mark {
			m.Entries = append(m.Entries, RingEntry{Mark: Mark{Origin: e.dot.Origin, Counter: e.dot.Counter}})
			s.took(Transition{Action: ActionSend, Dot: e.dot})
			continue
		}
		v := s.inFlight(e.dot.Origin, e.dot.Counter)
		m.Entries = append(m.Entries, RingEntry{Version: v})
		s.took(Transition{Action: ActionSend, Version: v, Dot: e.dot})
		bytes += v.Bytes()
	}
	if s.defects.Has(defect.ForgetSent) {
		l.head = l.next
	}
	if len(m.Entries) == 0 && s.sent.Equal(s.everywhere) && s.now < s.sentAt.Add(s.cfg.Heartbeat) {
		return false
	}
	copy(s.sent, s.everywhere)
	s.sentAt = s.now
	return true
}

// Sendable reports whether Pull would find something to send, heartbeats aside.
func (s *Server) Sendable() bool {
	return s.log.up && (s.log.next < len(s.log.entries) || !s.sent.Equal(s.everywhere))
}

// hybrid is the server's hybrid time: no lower than the wall clock, nor than
// anything it has received.
func (s *Server) hybrid() Time { return max(s.clock, s.now) }
