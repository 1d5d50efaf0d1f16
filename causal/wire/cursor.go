package wire

import (
	"fmt"
	"math"
	"time"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// cursor reads msgpack values off the front of a body. The first failure sticks:
// from then on every read returns a zero value, so that a decoder reads its fields
// in a row and asks once, at the end. Loops over claimed lengths must stop at a
// failure.
type cursor struct {
	b     []byte
	at    int // what of b has been read
	err   error
	field string // which field failed
}

func (c *cursor) fail(field string, err error) {
	if c.err == nil {
		c.b, c.at, c.err, c.field = nil, 0, err, field
	}
}

// rest is what has not been read.
func (c *cursor) rest() []byte { return c.b[c.at:] }

// advance goes on at rest, the end of what had not been read.
func (c *cursor) advance(rest []byte) { c.at = len(c.b) - len(rest) }

// end returns the failure, if any; bytes that are left over are one.
func (c *cursor) end(what string) error {
	if c.err == nil && c.at < len(c.b) {
		c.fail("end", errTrailing)
	}
	if c.err != nil {
		return fmt.Errorf("%w: %s: %s: %w", ErrMalformed, what, c.field, c.err)
	}
	return nil
}

// array reads the header of an array of at most most elements. Since an element
// has at least one byte, a length that the rest cannot hold fails here, before
// anybody makes room for it.
func (c *cursor) array(field string, most int) int {
	if c.at < len(c.b) && c.b[c.at]&^0xf == leadFixlist {
		if n := int(c.b[c.at] & 0xf); n < len(c.b)-c.at && n <= most {
			c.at++
			return n
		}
	}
	return c.longArray(field, most)
}

func (c *cursor) longArray(field string, most int) int {
	if c.err != nil {
		return 0
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(c.rest())
	switch {
	case err != nil:
		c.fail(field, err)
	case uint64(n) > uint64(len(rest)):
		c.fail(field, msgp.ErrShortBytes)
	case uint64(n) > uint64(most):
		c.fail(field, causal.ErrTooLarge)
	default:
		c.advance(rest)
		return int(n)
	}
	return 0
}

// arrayOf reads the header of an array of at least least and at most most elements.
func (c *cursor) arrayOf(field string, least, most int) int {
	n := c.array(field, math.MaxInt)
	if c.err == nil && (n < least || n > most) {
		c.fail(field, errLength)
		return 0
	}
	return n
}

// The readers below read by themselves the forms that nearly all of requests and replies
// consist of; msgp reads the rest. After a failure there are no bytes, so what is in
// their way is not asked for first.

// The first bytes of those forms.
const (
	maxFixint   = 0x7f
	leadUint32  = 0xce
	leadUint64  = 0xcf
	leadBin8    = 0xc4
	leadFixlist = 0x90 // and the length, below 16
)

func (c *cursor) uint64(field string) uint64 {
	if c.at < len(c.b) && c.b[c.at] <= maxFixint {
		c.at++
		return uint64(c.b[c.at-1])
	}
	return c.longUint64(field)
}

func (c *cursor) longUint64(field string) uint64 {
	if v, end := uintAt(c.b, c.at); end <= len(c.b) {
		c.at = end
		return v
	}
	if c.err != nil {
		return 0
	}
	v, rest, err := msgp.ReadUint64Bytes(c.rest())
	if err != nil {
		c.fail(field, err)
		return 0
	}
	c.advance(rest)
	return v
}

func (c *cursor) uint(field string, bits int) uint64 {
	v := c.uint64(field)
	if v>>bits != 0 {
		c.fail(field, msgp.UintOverflow{Value: v, FailedBitsize: bits})
		return 0
	}
	return v
}

func (c *cursor) uint8(field string) uint8   { return uint8(c.uint(field, 8)) }
func (c *cursor) uint16(field string) uint16 { return uint16(c.uint(field, 16)) }
func (c *cursor) uint32(field string) uint32 { return uint32(c.uint(field, 32)) }

func (c *cursor) duration(field string) time.Duration {
	if c.err != nil {
		return 0
	}
	v, rest, err := msgp.ReadInt64Bytes(c.rest())
	if err != nil {
		c.fail(field, err)
		return 0
	}
	c.advance(rest)
	return time.Duration(v)
}

// bytes returns a binary value that aliases the body. Its capacity ends with it,
// so that an append by the caller cannot overwrite what follows.
func (c *cursor) bytes(field string, most int) []byte {
	if b := c.rest(); len(b) > 1 && b[0] == leadBin8 {
		if end := 2 + int(b[1]); end <= len(b) && end-2 <= most {
			c.at += end
			return b[2:end:end]
		}
	}
	return c.longBytes(field, most)
}

func (c *cursor) longBytes(field string, most int) []byte {
	if c.err != nil {
		return nil
	}
	v, rest, err := msgp.ReadBytesZC(c.rest())
	if err != nil {
		c.fail(field, err)
		return nil
	}
	if len(v) > most {
		c.fail(field, causal.ErrTooLarge)
		return nil
	}
	c.advance(rest)
	return v[:len(v):len(v)]
}

func (c *cursor) text(field string, most int) string {
	if c.err != nil {
		return ""
	}
	v, rest, err := msgp.ReadStringZC(c.rest())
	if err != nil {
		c.fail(field, err)
		return ""
	}
	if len(v) > most {
		c.fail(field, causal.ErrTooLarge)
		return ""
	}
	c.advance(rest)
	return string(v)
}

// null consumes a nil if that is what comes next.
func (c *cursor) null() bool {
	if c.at == len(c.b) || !msgp.IsNil(c.rest()) {
		return false
	}
	c.at++
	return true
}

// replica reads the number of a server.
func (c *cursor) replica(field string) causal.ReplicaID {
	v := c.uint64(field)
	if v >= causal.MaxReplicas {
		c.fail(field, causal.ErrTooLarge)
		return 0
	}
	return causal.ReplicaID(v)
}

// open reads the header and the type of a frame and returns how many elements
// follow.
func (c *cursor) open(want Type) int {
	n := c.array("array", math.MaxInt)
	if t := Type(c.uint8("type")); c.err == nil && t != want {
		c.fail("type", errUnknown)
	}
	return n - 1
}
