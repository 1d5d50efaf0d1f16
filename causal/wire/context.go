package wire

import (
	"fmt"
	"slices"

	"causalmesh/causal"
)

// ContextVersion is the first element of a context's bytes. A context may outlive
// a connection, in a queue or a function's argument, so it has a version of its own.
const ContextVersion = 1

// contextElements: version, epoch, time, known, own.
const contextElements = 5

// AppendContext appends the bytes of a context to b. There is no frame around
// them: they travel inside what functions hand to each other.
func AppendContext(b []byte, x *causal.Context) []byte {
	b = appendArray(b, contextElements)
	b = appendUint(b, uint64(ContextVersion))
	b = appendUint(b, x.Epoch)
	b = appendUint(b, x.Time)
	b = appendKnown(b, x.Known)
	b = appendArray(b, len(x.Own))
	for i := range x.Own {
		own := &x.Own[i]
		if own.Tag == (causal.Tag{}) {
			b = appendVersion(appendArray(b, 1), &own.Version, formWhole, x.Epoch)
			continue
		}
		b = appendVersion(appendArray(b, 2), &own.Version, formWhole, x.Epoch)
		b = appendBytes(b, own.Tag[:])
	}
	return b
}

// DecodeContext reads the bytes of a context, all of them. What it returns shares
// nothing with b. A context of another format gives a VersionError.
func DecodeContext(b []byte) (causal.Context, error) {
	if len(b) > MaxContextBytes {
		return causal.Context{}, fmt.Errorf("%w: context: %d bytes, at most %d: %w",
			ErrMalformed, len(b), MaxContextBytes, causal.ErrTooLarge)
	}
	var x causal.Context
	c := cursor{b: b}
	n := c.array("array", len(b))
	if v := c.uint16("version"); c.err == nil && v != ContextVersion {
		return x, fmt.Errorf("context: %w", &VersionError{Ours: ContextVersion, Theirs: v})
	}
	if c.err == nil && n != contextElements {
		c.fail("array", errLength)
	}
	x.Epoch = causal.Epoch(c.uint64("epoch"))
	x.Time = causal.Time(c.uint64("time"))
	x.Known = c.known(nil)
	for n := c.array("own", MaxOwnWrites); n > 0 && c.err == nil; n-- {
		size := c.arrayOf("own", 1, 2)
		var own causal.OwnWrite
		c.version(&own.Version, formWhole, x.Epoch)
		if size == 2 {
			own.Tag = c.tag("own tag")
		}
		if c.err == nil {
			detach(&own.Version)
			x.Own = append(x.Own, own)
		}
	}
	if err := c.end("context"); err != nil {
		return causal.Context{}, err
	}
	x.Own = slices.Clip(x.Own)
	return x, nil
}
