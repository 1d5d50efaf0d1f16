package load

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// indexBits is how much of a session's id says where its strand is. The rest is
// random, so that no server mistakes it for a session of another run.
const indexBits = 20

// strand is one session of the protocol: causalmesh's half of a session here, or a
// branch of it.
type strand struct {
	id   uint64
	core *causal.Session
	key  []byte
	keys [1][]byte
	// The request under way, nil if there is none, and where it was sent.
	request *causal.Request
	op      causal.Op
	on      *conn
	session *session
}

// workflow is what a session knows of causality.
type workflow struct {
	main strand
	// branches write before a read, if own writes are to be in flight. See fanout.go.
	branches []strand
	left     int     // branches that write
	failed   error   // why one of them could not
	joint    *strand // what they are joined into
	joined   bool    // they have been: the next request is that of the read
}

// mesh speaks causalmesh's protocol; replies name their request.
type mesh struct {
	run     *run
	limits  causal.Limits
	strands []*strand // by index
	last    causal.Reply
}

func newMesh(r *run) codec { return &mesh{run: r} }

// errInFlight: a session waits until own writes have come round the ring.
var errInFlight = errors.New("own writes are still in flight")

// greet shakes hands.
func (m *mesh) greet(nc net.Conn) (valueBytes int, err error) {
	hello, err := wire.AppendHandshake(nil, &wire.Hello{Client: clientName})
	if err != nil {
		return 0, err
	}
	if _, err := nc.Write(hello); err != nil {
		return 0, err
	}
	body, err := readFrame(nc)
	if err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	answer, err := wire.DecodeHandshake(body)
	if err != nil {
		return 0, fmt.Errorf("%w: handshake: %w", errUnexpected, err)
	}
	switch w := answer.(type) {
	case *wire.Welcome:
		m.limits = w.Limits.Limits(causal.DefaultLimits)
		if err := wire.CheckLimits(m.limits); err != nil {
			return 0, fmt.Errorf("%w: welcome: %w", errUnexpected, err)
		}
		if m.run.o.OwnWrites > m.limits.OwnWrites {
			return 0, fmt.Errorf("%w: --own-writes: %d, but the server takes at most %d", ErrUsage, m.run.o.OwnWrites, m.limits.OwnWrites)
		}
		return m.limits.ValueBytes, nil
	case *wire.Refusal:
		return 0, w.Err()
	}
	return 0, fmt.Errorf("%w: a %T in answer to the hello", errUnexpected, answer)
}

// readFrame reads one frame of the handshake and nothing behind it.
func readFrame(nc net.Conn) ([]byte, error) {
	buf := make([]byte, wire.FrameHeaderBytes, wire.FrameHeaderBytes+wire.MaxHandshakeBytes)
	if _, err := io.ReadFull(nc, buf); err != nil {
		return nil, err
	}
	for {
		body, _, err := wire.Next(buf, wire.MaxHandshakeBytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnexpected, err)
		}
		if body != nil {
			return body, nil
		}
		// The header is valid, so the rest fits; a byte at a time is simple and rare.
		buf = buf[:len(buf)+1]
		if _, err := io.ReadFull(nc, buf[len(buf)-1:]); err != nil {
			return nil, err
		}
	}
}

func (m *mesh) enlist(s *session) {
	s.flow = &workflow{branches: make([]strand, m.run.o.OwnWrites)}
	m.add(&s.flow.main, s)
	for i := range s.flow.branches {
		m.add(&s.flow.branches[i], s)
	}
	s.flow.joint = &s.flow.main
	if m.run.o.Unjoined {
		s.flow.joint = &s.flow.branches[0]
	}
}

func (m *mesh) add(t *strand, s *session) {
	t.id = rand.Uint64()<<indexBits | uint64(len(m.strands))
	t.session = s
	t.core = causal.NewSession(t.id, m.limits)
	m.strands = append(m.strands, t)
}

// renew makes t a session without a past.
func (m *mesh) renew(t *strand) {
	index := t.id & (1<<indexBits - 1)
	t.id = rand.Uint64()<<indexBits | index
	t.core = causal.NewSession(t.id, m.limits)
}

func (m *mesh) request(b []byte, s *session) ([]byte, error) {
	f := s.flow
	if len(f.branches) > 0 && s.op.read && !f.joined {
		return m.fanOut(b, s)
	}
	own := len(f.main.core.Context().Own)
	if s.op.read {
		s.flight.atBegin = int64(own)
		return m.begin(b, &f.main, s.conn, causal.OpRead, s.op.rank, nil)
	}
	b, err := m.begin(b, &f.main, s.conn, causal.OpWrite, s.op.rank, s.nextValue())
	if errors.Is(err, causal.ErrOverloaded) && own > 0 {
		// Too many writes are in flight; ask which are stable, as the client library does.
		return m.sync(b, &f.main)
	}
	return b, err
}

// begin appends a request of t.
func (m *mesh) begin(b []byte, t *strand, on *conn, op causal.Op, rank int, value []byte) ([]byte, error) {
	t.key = append(t.key[:0], m.run.keys.key(rank)...)
	t.keys[0] = t.key
	return t.send(b, on, op, t.keys[:], value)
}

// sync asks which of t's writes have become stable.
func (m *mesh) sync(b []byte, t *strand) ([]byte, error) {
	t.session.flight.prepared++
	return t.send(b, t.session.conn, causal.OpSync, nil, nil)
}

func (t *strand) send(b []byte, on *conn, op causal.Op, keys [][]byte, value []byte) ([]byte, error) {
	r, err := t.core.Begin(op, keys, value, 0)
	if err != nil {
		return b, err
	}
	t.request, t.op, t.on = r, op, on
	return wire.AppendRequest(b, r), nil
}

func (m *mesh) reply(c *conn, buf []byte) (a answer, err error) {
	body, rest, err := wire.Next(buf, wire.MaxFrameBytes)
	if err != nil {
		return a, fmt.Errorf("%w: %w: %w", errUnexpected, err, unexpected(buf, "a reply"))
	}
	if body == nil {
		return a, nil
	}
	size := len(buf) - len(rest)
	t, err := m.asked(c, body)
	if err == nil {
		err = wire.DecodeReply(body, &m.last, t.request.Known)
	}
	if err != nil {
		return a, fmt.Errorf("%w: %w", errUnexpected, err)
	}
	t.request = nil
	versions, failure := m.finish(t)
	if errors.Is(failure, causal.ErrProtocol) {
		return a, fmt.Errorf("%w: %w", errUnexpected, failure)
	}
	a = m.step(t, versions, failure)
	a.size = size
	return a, nil
}

// asked returns the strand whose request a reply on c answers.
func (m *mesh) asked(c *conn, body []byte) (*strand, error) {
	id, err := wire.ReplyID(body)
	if err != nil {
		return nil, err
	}
	if i := int(id.Session & (1<<indexBits - 1)); i < len(m.strands) {
		if t := m.strands[i]; t.request != nil && t.on == c && t.request.ID == id {
			return t, nil
		}
	}
	return nil, fmt.Errorf("a reply to request %d of session %#x, which is not under way here", id.Number, id.Session)
}

// finish takes in the reply, and translates an error. A session whose past the servers
// have lost can do nothing any more: a new one takes its place.
func (m *mesh) finish(t *strand) ([]causal.Version, error) {
	r := &m.last
	switch write := t.op == causal.OpWrite; {
	case r.Code != causal.CodeOK:
	case r.Epoch == 0:
		return nil, fmt.Errorf("%w: reply without an epoch", causal.ErrProtocol)
	case write && (r.Written.Absent() || r.Written.Dot.IsZero()):
		return nil, fmt.Errorf("%w: a write that became nothing", causal.ErrProtocol)
	}
	versions, err := t.core.Finish(r)
	switch {
	case isRefusal(err):
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, causal.ErrEpoch), errors.Is(err, causal.ErrFutureContext):
		m.renew(t)
		if main := &t.session.flow.main; main != t {
			m.renew(main)
		}
	}
	return versions, err
}

// step says what a reply to t means for its session.
func (m *mesh) step(t *strand, versions []causal.Version, failure error) answer {
	f := t.session.flow
	a := answer{session: t.session, err: failure}
	switch {
	case t.op == causal.OpSync && failure == nil:
		a.step, a.err = stepAgain, errInFlight
	case t.op == causal.OpSync:
	case t != &f.main:
		return m.written(t.session, failure)
	case failure != nil:
		f.joined = false
	case t.op == causal.OpRead:
		f.joined = false
		a.found = !versions[0].Absent() && !versions[0].Tombstone
		t.session.flight.atEnd = int64(len(f.main.core.Context().Own))
	}
	return a
}
