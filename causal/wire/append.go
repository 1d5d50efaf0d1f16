package wire

import (
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// The counterparts of the cursor: what nearly all of requests and replies consist of is
// written here, in msgp's own encoding, and the rest by msgp.

func appendUint[T ~uint8 | ~uint16 | ~uint32 | ~uint64](b []byte, v T) []byte {
	if uint64(v) <= maxFixint {
		return append(b, byte(v))
	}
	return appendLongUint(b, uint64(v))
}

func appendLongUint(b []byte, v uint64) []byte {
	n := len(b)
	b = slices.Grow(b, maxIntBytes)
	return b[:putUint(b[:n+maxIntBytes], n, v)]
}

func appendArray(b []byte, n int) []byte {
	if n < 16 {
		return append(b, leadFixlist|byte(n))
	}
	return msgp.AppendArrayHeader(b, uint32(n))
}

func appendBytes(b, v []byte) []byte {
	if len(v) < 256 {
		return append(append(b, leadBin8, byte(len(v))), v...)
	}
	return msgp.AppendBytes(b, v)
}
