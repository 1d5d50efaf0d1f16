// Package wire turns the messages of a cluster into bytes and back: what clients
// and servers say to each other, what servers say to each other, and the context
// that a session hands on to the next function.
//
// On a connection everything is a frame: a length of four bytes, then one msgpack
// array whose first element is the [Type]. A connection begins with a handshake
// ([Hello] or [PeerHello], answered by [Welcome], [PeerWelcome] or [Refusal]);
// then come requests and replies ([AppendRequest], [DecodeReply]), or the messages
// of the ring ([AppendMessage]). Any number of frames may be under way; a reply
// names its request and may overtake others. docs/wire.md gives every byte.
//
// # Ownership
//
// The package is pure functions: no I/O, no clock, no goroutines, no state. All of
// them may be called from anywhere at once, each call with its own arguments.
// Append functions append to the buffer that they are given. Decode functions
// reuse the slices of the struct that they are given, so a caller keeps one struct
// per loop and the hot path allocates nothing:
//
//   - [DecodeRequest], [DecodeReply], [DecodeMessage]: keys and values alias the body,
//     and live as long as the receive buffer does;
//   - [DecodeContext] and [DecodeHandshake]: everything is copied.
//
// # What it refuses
//
// Foreign bytes give errors, never panics, and memory is taken only for bytes that
// are there, whatever length they claim. Everything is bounded by the ceilings of
// this package (MaxFrameBytes, MaxKeyBytes, …). The ceilings are what the format
// can carry; the limits that an operator sets are below them ([CheckLimits]), and
// the server's state machine applies those. Whether a message makes sense is the
// state machine's to judge, too: this package only knows shapes.
//
// It does not encrypt, and it does not sign frames: where the network is not
// trusted, run it inside something that is.
package wire
