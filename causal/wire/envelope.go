package wire

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// Magic opens every handshake message behind its type, so that a stray client of
// another protocol is told apart from a client of another version.
const Magic = "causalmesh"

// envelopeElements: type, magic, version, fields. More may follow and are ignored.
// The envelope is the same in all versions, for ever: it is how two versions find
// out that they differ.
const envelopeElements = 4

// Handshake is one of the handshake's messages: *Hello, *Welcome, *Refusal,
// *PeerHello, *PeerWelcome, *PeerProof.
type Handshake interface {
	msgp.Marshaler
	msgp.Unmarshaler
	handshakeType() Type
}

func (*Hello) handshakeType() Type       { return TypeHello }
func (*Welcome) handshakeType() Type     { return TypeWelcome }
func (*Refusal) handshakeType() Type     { return TypeRefusal }
func (*PeerHello) handshakeType() Type   { return TypePeerHello }
func (*PeerWelcome) handshakeType() Type { return TypePeerWelcome }
func (*PeerProof) handshakeType() Type   { return TypePeerProof }

func newHandshake(t Type) Handshake {
	switch t {
	case TypeHello:
		return new(Hello)
	case TypeWelcome:
		return new(Welcome)
	case TypeRefusal:
		return new(Refusal)
	case TypePeerHello:
		return new(PeerHello)
	case TypePeerWelcome:
		return new(PeerWelcome)
	case TypePeerProof:
		return new(PeerProof)
	}
	return nil
}

// AppendHandshake appends the frame of m to b. It fails only if m is larger than
// MaxHandshakeBytes or has a vector that is longer than causal.MaxReplicas.
func AppendHandshake(b []byte, m Handshake) ([]byte, error) {
	before := b
	b, start := beginFrame(b)
	b = msgp.AppendArrayHeader(b, envelopeElements)
	b = msgp.AppendUint8(b, uint8(m.handshakeType()))
	b = msgp.AppendString(b, Magic)
	b = msgp.AppendUint16(b, ProtocolVersion)
	b, err := m.MarshalMsg(b)
	if err != nil {
		return before, fmt.Errorf("%v: %w", m.handshakeType(), err)
	}
	if len(b)-start > MaxHandshakeBytes {
		return before, fmt.Errorf("%v: %w: %d bytes, at most %d",
			m.handshakeType(), ErrFrameTooLarge, len(b)-start, MaxHandshakeBytes)
	}
	return endFrame(b, start), nil
}

// DecodeHandshake reads the body of a handshake frame. The caller looks at the
// type of what it returns: a client expects *Welcome or *Refusal. Elements and
// fields that this version does not know are ignored. A message of another version
// gives a VersionError, but for Refusal, which says why itself.
func DecodeHandshake(body []byte) (Handshake, error) {
	if len(body) > MaxHandshakeBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrFrameTooLarge, len(body), MaxHandshakeBytes)
	}
	c := cursor{b: body}
	n := c.array("array", len(body))
	t := Type(c.uint8("type"))
	m := newHandshake(t)
	if c.err == nil && (m == nil || n < envelopeElements) {
		return nil, fmt.Errorf("%w: %v with %d elements is no handshake", ErrMalformed, t, n)
	}
	magic := c.text("magic", len(Magic))
	if c.err != nil || magic != Magic {
		return nil, fmt.Errorf("%w: no %q behind the type", ErrMagic, Magic)
	}
	version := c.uint16("version")
	if err := c.err; err != nil {
		return nil, fmt.Errorf("%w: %v: version: %w", ErrMalformed, t, err)
	}
	refusal, isRefusal := m.(*Refusal)
	if version != ProtocolVersion && !isRefusal {
		return nil, fmt.Errorf("%v: %w", t, &VersionError{Ours: ProtocolVersion, Theirs: version})
	}
	rest, err := m.UnmarshalMsg(c.rest())
	for n -= envelopeElements; n > 0 && err == nil; n-- {
		rest, err = msgp.Skip(rest)
	}
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v: %w", ErrMalformed, t, err)
	}
	if isRefusal {
		refusal.Version = version
	}
	if err := checkRing(m); err != nil {
		return nil, err
	}
	return m, nil
}

// checkRing refuses servers and rings that cannot be.
func checkRing(m Handshake) error {
	var size uint8
	var nodes [2]causal.ReplicaID
	switch m := m.(type) {
	case *Welcome:
		size, nodes[0] = m.RingSize, m.Node
	case *PeerHello:
		size, nodes = m.RingSize, [2]causal.ReplicaID{m.From, m.To}
	default:
		return nil
	}
	if size > causal.MaxReplicas || uint8(nodes[0]) >= size || uint8(nodes[1]) >= size {
		return fmt.Errorf("%w: %v: servers %v of a ring of %d", ErrMalformed, m.handshakeType(), nodes, size)
	}
	return nil
}
