package workload

import (
	"causalmesh/causal/check"
)

// A value is the text of its id, a separator, and filler that follows from the id and
// the value's size, so that a reader can tell a value that was cut, mixed or changed from
// one that was written.
const separator = '|'

// appendValue appends the value of an id, of the given size or, if the id needs
// more, of that.
func appendValue(dst []byte, id check.ValueID, size int) []byte {
	start := len(dst)
	dst = append(id.Append(dst), separator)
	for x := uint64(id) + uint64(size)*0x9e3779b97f4a7c15; len(dst)-start < size; { // an odd number: sizes differ in all bits
		x = x*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		dst = append(dst, 'a'+byte(x>>58)%26)
	}
	return dst
}

// valueID finds the id again. Bytes that are no whole value get the id that check
// has for foreign bytes, which nobody has written.
func valueID(value []byte) check.ValueID {
	for i, b := range value {
		if b != separator {
			continue
		}
		id := check.ValueOf(value[:i])
		if string(appendValue(nil, id, len(value))) == string(value) {
			return id
		}
		break
	}
	return check.ValueOf(append([]byte("spoilt "), value...))
}
