package wire

import (
	"math/bits"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// A version is an array that opens with a set of flags. Most versions have no
// deadline, no dependencies, the first incarnation, and the epoch of the message
// that they are in: each flag says that one of these is there, in the order of the
// flags. The length of the array must agree with them.
const (
	flagTombstone uint8 = 1 << iota // no element of its own; there is no value
	flagIncarnation
	flagStampOrigin // the stamp's origin is not the dot's
	flagEpoch       // the epoch is not that of the message
	flagDeadline
	flagDeps
	// flagMark stands alone: the entry of a ring message is a mark.
	flagMark
)

// flagsOptional are the flags that stand for an element.
const flagsOptional = flagIncarnation | flagStampOrigin | flagEpoch | flagDeadline | flagDeps

// versionElements is the number of elements that are always there: flags, origin,
// counter, time.
const versionElements = 4

// form is which of key, value and dependencies a version has in its place.
type form uint8

const (
	formKey form = 1 << iota
	formValue
	formDeps

	// formWhole is a version of a ring message or context.
	formWhole = formKey | formValue | formDeps
	// formMiss is the version of a miss reply: the message has the key.
	formMiss = formValue | formDeps
	// formRead is a version of a reply: it answers a key of the request, and it is
	// stable, so what it depended on is of no use to the session.
	formRead = formValue
	// formWritten is what a write became: the session has its key and value.
	formWritten = formDeps
)

// size is the length of the array.
func (f form) size(flags uint8) int {
	n := versionElements + bits.OnesCount8(flags&flagsOptional)
	if f&formKey != 0 {
		n++
	}
	if f&formValue != 0 && flags&flagTombstone == 0 {
		n++
	}
	return n
}

func flagsOf(v *causal.Version, f form, epoch causal.Epoch) (flags uint8) {
	if v.Tombstone {
		flags |= flagTombstone
	}
	if v.Dot.Incarnation != 0 {
		flags |= flagIncarnation
	}
	if v.Stamp.Origin != v.Dot.Origin {
		flags |= flagStampOrigin
	}
	if v.Epoch != epoch {
		flags |= flagEpoch
	}
	if v.Deadline != 0 {
		flags |= flagDeadline
	}
	if len(v.Deps) > 0 && f&formDeps != 0 {
		flags |= flagDeps
	}
	return flags
}

// appendVersion appends v, which is in a message of the given epoch.
func appendVersion(b []byte, v *causal.Version, f form, epoch causal.Epoch) []byte {
	flags := flagsOf(v, f, epoch)
	b = appendArray(b, f.size(flags))
	b = appendUint(b, flags)
	b = appendUint(b, v.Dot.Origin)
	b = appendUint(b, v.Dot.Counter)
	b = appendUint(b, v.Stamp.Time)
	if flags&flagIncarnation != 0 {
		b = appendUint(b, v.Dot.Incarnation)
	}
	if flags&flagStampOrigin != 0 {
		b = appendUint(b, v.Stamp.Origin)
	}
	if flags&flagEpoch != 0 {
		b = appendUint(b, v.Epoch)
	}
	if flags&flagDeadline != 0 {
		b = appendUint(b, v.Deadline)
	}
	if flags&flagDeps != 0 {
		b = appendDots(b, v.Deps)
	}
	if f&formKey != 0 {
		b = appendBytes(b, v.Key)
	}
	if f&formValue != 0 && !v.Tombstone {
		b = appendBytes(b, v.Value)
	}
	return b
}

// appendVersionOrNil writes nil for an absent version.
func appendVersionOrNil(b []byte, v *causal.Version, f form, epoch causal.Epoch) []byte {
	if v.Absent() {
		return msgp.AppendNil(b)
	}
	return appendVersion(b, v, f, epoch)
}

// version reads a version into v. Its key and value alias the body; dependencies are
// read into the memory of those that v has.
func (c *cursor) version(v *causal.Version, f form, epoch causal.Epoch) {
	n := c.array("version", versionElements+8)
	flags := c.uint8("flags")
	if c.err == nil && flags >= flagMark || flags&flagDeps != 0 && f&formDeps == 0 {
		c.fail("flags", errUnknown)
	}
	c.versionFields(v, f, epoch, n, flags)
}

// versionFields reads what follows the flags; n is the length of the array.
func (c *cursor) versionFields(v *causal.Version, f form, epoch causal.Epoch, n int, flags uint8) {
	if c.err == nil && n != f.size(flags) {
		c.fail("version", errLength)
	}
	deps := v.Deps[:0]
	*v = causal.Version{Epoch: epoch, Tombstone: flags&flagTombstone != 0, Deps: deps}
	v.Dot.Origin = c.replica("origin")
	v.Dot.Counter = causal.Counter(c.uint64("counter"))
	v.Stamp = causal.Stamp{Time: causal.Time(c.uint64("time")), Origin: v.Dot.Origin}
	if c.err == nil && v.Stamp.Time == 0 {
		c.fail("time", errNoStamp)
	}
	if flags&flagIncarnation != 0 {
		v.Dot.Incarnation = causal.Incarnation(c.uint16("incarnation"))
	}
	if flags&flagStampOrigin != 0 {
		v.Stamp.Origin = c.replica("stamp origin")
	}
	if flags&flagEpoch != 0 {
		v.Epoch = causal.Epoch(c.uint64("epoch"))
	}
	if flags&flagDeadline != 0 {
		v.Deadline = causal.Time(c.uint64("deadline"))
	}
	if flags&flagDeps != 0 {
		v.Deps = c.dots("deps", deps)
	}
	if f&formKey != 0 {
		v.Key = c.bytes("key", MaxKeyBytes)
	}
	if f&formValue != 0 && !v.Tombstone {
		v.Value = c.bytes("value", MaxValueBytes)
	}
}

// versionOrNil reads a version into v, or makes it absent.
func (c *cursor) versionOrNil(v *causal.Version, f form, epoch causal.Epoch) {
	if c.null() {
		*v = causal.Version{}
		return
	}
	c.version(v, f, epoch)
}

// detach moves key and value out of the body into one allocation of their own.
func detach(v *causal.Version) {
	k := len(v.Key)
	own := make([]byte, k+len(v.Value))
	copy(own, v.Key)
	copy(own[k:], v.Value)
	v.Key = own[:k:k]
	if v.Value != nil {
		v.Value = own[k:len(own):len(own)]
	}
}
