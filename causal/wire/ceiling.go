package wire

import (
	"cmp"
	"fmt"

	"causalmesh/causal"
)

// The ceilings of the format. No decoder accepts more, whatever the limits of the
// server are; CheckLimits tells whether limits stay below them.
const (
	// MaxFrameBytes bounds the body of a frame.
	MaxFrameBytes = 8 << 20
	// MaxHandshakeBytes bounds the body of a frame until the handshake is done: a
	// stranger must not make a server buffer more.
	MaxHandshakeBytes = 4 << 10
	// MaxContextBytes bounds a context's bytes.
	MaxContextBytes = 8 << 20
	// MaxKeyBytes bounds a key.
	MaxKeyBytes = 64 << 10
	// MaxValueBytes bounds a value.
	MaxValueBytes = 4 << 20
	// MaxBatchKeys bounds the keys of a request and the versions of a reply.
	MaxBatchKeys = 4096
	// MaxOwnWrites bounds the writes in flight that a context carries. A request
	// only names the highest of each origin: causal.MaxReplicas.
	MaxOwnWrites = 4096
	// MaxBranches bounds the signed vectors of a request or context.
	MaxBranches = 256
	// MaxDetailBytes bounds the text of a reply that is an error; a longer one is
	// cut when it is written.
	MaxDetailBytes = 1024
)

// The largest encodings, for CheckLimits. Headers count five bytes, integers nine.
const (
	maxHeaderBytes       = 5
	maxIntBytes          = 9
	maxTagBytes          = 2 + len(causal.Tag{})
	maxVectorBytes       = maxHeaderBytes + causal.MaxReplicas*maxIntBytes
	maxSignedVectorBytes = 1 + maxVectorBytes + maxTagBytes
	maxDotBytes          = 1 + 3*maxIntBytes
	maxSignedDotBytes    = maxDotBytes + maxTagBytes
	// maxVersionBytes is a version without its key and value: eight integers, the
	// dependencies, and three headers.
	maxVersionBytes = 8*maxIntBytes + causal.MaxReplicas*maxDotBytes + 4*maxHeaderBytes
	// maxFixedBytes is what a message has beside its lists, keys and values.
	maxFixedBytes = 12*maxIntBytes + 4*maxVectorBytes
)

// CheckLimits returns an error if a server or client with these limits could
// produce a message that no decoder accepts. Zero fields stand for the defaults.
func CheckLimits(l causal.Limits) error {
	d := causal.DefaultLimits
	key, value := cmp.Or(l.KeyBytes, d.KeyBytes), cmp.Or(l.ValueBytes, d.ValueBytes)
	context := cmp.Or(l.ContextBytes, d.ContextBytes)
	keys, batch := cmp.Or(l.BatchKeys, d.BatchKeys), cmp.Or(l.BatchBytes, d.BatchBytes)
	own, branches := cmp.Or(l.OwnWrites, d.OwnWrites), cmp.Or(l.Branches, d.Branches)
	ring := cmp.Or(l.RingBatch, d.RingBatch)

	oneVersion := key + value + maxVersionBytes
	known := branches*maxSignedVectorBytes + causal.MaxReplicas*maxSignedDotBytes
	for _, c := range []struct {
		name      string
		have, max int
	}{
		{"key bytes", key, MaxKeyBytes},
		{"value bytes", value, MaxValueBytes},
		{"batch keys", keys, MaxBatchKeys},
		{"own writes", own, MaxOwnWrites},
		{"branches", branches, MaxBranches},
		{"bytes of a read of batch keys", maxFixedBytes + known + keys*(key+maxHeaderBytes), MaxFrameBytes},
		{"bytes of a write", maxFixedBytes + known + oneVersion, MaxFrameBytes},
		{"bytes of a batch's reply", maxFixedBytes + max(batch, key+value) + keys*maxVersionBytes, MaxFrameBytes},
		{"bytes of a ring message", maxFixedBytes + ring + oneVersion, MaxFrameBytes},
		{"bytes of a context", maxFixedBytes + known + context + own*(maxVersionBytes+maxTagBytes), MaxContextBytes},
	} {
		if c.have > c.max || c.have < 0 {
			return fmt.Errorf("%w: %s: %d, at most %d", ErrLimits, c.name, c.have, c.max)
		}
	}
	return nil
}
