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
	err   error
	field string // which field failed
}

func (c *cursor) fail(field string, err error) {
	if c.err == nil {
		c.b, c.err, c.field = nil, err, field
	}
}

// end returns the failure, if any; bytes that are left over are one.
func (c *cursor) end(what string) error {
	if c.err == nil && len(c.b) > 0 {
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
	if c.err != nil {
		return 0
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(c.b)
	switch {
	case err != nil:
		c.fail(field, err)
	case uint64(n) > uint64(len(rest)):
		c.fail(field, msgp.ErrShortBytes)
	case uint64(n) > uint64(most):
		c.fail(field, causal.ErrTooLarge)
	default:
		c.b = rest
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

func (c *cursor) uint64(field string) uint64 {
	if c.err != nil {
		return 0
	}
	v, rest, err := msgp.ReadUint64Bytes(c.b)
	if err != nil {
		c.fail(field, err)
		return 0
	}
	c.b = rest
	return v
}

func (c *cursor) uint(field string, bits int) uint64 {
	v := c.uint64(field)
	if c.err == nil && v>>bits != 0 {
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
	v, rest, err := msgp.ReadInt64Bytes(c.b)
	if err != nil {
		c.fail(field, err)
		return 0
	}
	c.b = rest
	return time.Duration(v)
}

// bytes returns a binary value that aliases the body. Its capacity ends with it,
// so that an append by the caller cannot overwrite what follows.
func (c *cursor) bytes(field string, most int) []byte {
	if c.err != nil {
		return nil
	}
	v, rest, err := msgp.ReadBytesZC(c.b)
	if err != nil {
		c.fail(field, err)
		return nil
	}
	if len(v) > most {
		c.fail(field, causal.ErrTooLarge)
		return nil
	}
	c.b = rest
	return v[:len(v):len(v)]
}

func (c *cursor) text(field string, most int) string {
	if c.err != nil {
		return ""
	}
	v, rest, err := msgp.ReadStringZC(c.b)
	if err != nil {
		c.fail(field, err)
		return ""
	}
	if len(v) > most {
		c.fail(field, causal.ErrTooLarge)
		return ""
	}
	c.b = rest
	return string(v)
}

// null consumes a nil if that is what comes next.
func (c *cursor) null() bool {
	if c.err != nil || !msgp.IsNil(c.b) {
		return false
	}
	c.b = c.b[1:]
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
