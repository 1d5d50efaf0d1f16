package wire

import (
	"fmt"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// ProtocolVersion is the version of everything on a connection but for the
// handshake's envelope, which never changes. Both ends must have the same.
const ProtocolVersion uint16 = 1

// Type is the first element of every frame's array.
type Type uint8

// The types of frames. Handshake types are below TypeRequest.
const (
	TypeHello Type = 1 + iota
	TypeWelcome
	TypeRefusal
	TypePeerHello
	TypePeerWelcome
	TypePeerProof
)

// Clients and servers.
const (
	TypeRequest Type = 16 + iota
	TypeReply
)

// Between servers: one for each causal.MessageKind, in its order.
const (
	TypeRing Type = 32 + iota
	TypeAck
	TypeMiss
	TypeMissReply
	TypeFlushed
)

var typeNames = map[Type]string{
	TypeHello:       "hello",
	TypeWelcome:     "welcome",
	TypeRefusal:     "refusal",
	TypePeerHello:   "peer hello",
	TypePeerWelcome: "peer welcome",
	TypePeerProof:   "peer proof",
	TypeRequest:     "request",
	TypeReply:       "reply",
	TypeRing:        "ring",
	TypeAck:         "ack",
	TypeMiss:        "miss",
	TypeMissReply:   "miss reply",
	TypeFlushed:     "flushed",
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "type " + strconv.Itoa(int(t))
}

// typeOfKind returns the frame type of a message between servers.
func typeOfKind(k causal.MessageKind) Type { return TypeRing + Type(k-causal.MessageRing) }

// kind returns the kind of message that t carries, 0 if t is not between servers.
func (t Type) kind() causal.MessageKind {
	if t < TypeRing || t > TypeFlushed {
		return 0
	}
	return causal.MessageRing + causal.MessageKind(t-TypeRing)
}

// TypeOf returns the type of a frame's body without reading the rest, so that a
// loop can choose the decoder.
func TypeOf(body []byte) (Type, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(body)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: empty array", ErrMalformed)
	}
	t, _, err := msgp.ReadUint8Bytes(rest)
	if err != nil {
		return 0, fmt.Errorf("%w: type: %w", ErrMalformed, err)
	}
	return Type(t), nil
}
