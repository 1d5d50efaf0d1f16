package wire

import (
	"github.com/tinylib/msgp/msgp"
)

// The binaries of fixed length in the handshake. They are written by hand because
// what msgp v1.6.5 generates for byte arrays calls ReadExactBytes, which accepts a
// binary that is cut short and fills up with zeros.

// fixedSize is the encoded size of n bytes, n below 256.
func fixedSize(n int) int { return 2 + n }

func readFixed(b, into []byte) ([]byte, error) {
	v, rest, err := msgp.ReadBytesZC(b)
	if err != nil {
		return b, err
	}
	if len(v) != len(into) {
		return b, errLength
	}
	copy(into, v)
	return rest, nil
}

// MarshalMsg appends n as a binary.
func (n *Nonce) MarshalMsg(b []byte) ([]byte, error) { return msgp.AppendBytes(b, n[:]), nil }

// UnmarshalMsg reads n from the front of b.
func (n *Nonce) UnmarshalMsg(b []byte) ([]byte, error) { return readFixed(b, n[:]) }

// Msgsize returns the size of n's encoding.
func (n *Nonce) Msgsize() int { return fixedSize(len(n)) }

// MarshalMsg appends p as a binary.
func (p *Proof) MarshalMsg(b []byte) ([]byte, error) { return msgp.AppendBytes(b, p[:]), nil }

// UnmarshalMsg reads p from the front of b.
func (p *Proof) UnmarshalMsg(b []byte) ([]byte, error) { return readFixed(b, p[:]) }

// Msgsize returns the size of p's encoding.
func (p *Proof) Msgsize() int { return fixedSize(len(p)) }

// MarshalMsg appends d as a binary.
func (d *Digest) MarshalMsg(b []byte) ([]byte, error) { return msgp.AppendBytes(b, d[:]), nil }

// UnmarshalMsg reads d from the front of b.
func (d *Digest) UnmarshalMsg(b []byte) ([]byte, error) { return readFixed(b, d[:]) }

// Msgsize returns the size of d's encoding.
func (d *Digest) Msgsize() int { return fixedSize(len(d)) }
