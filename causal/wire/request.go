package wire

import (
	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// requestElements returns how many elements follow the type in a request, 0 for an
// operation that does not exist.
func requestElements(op causal.Op) int {
	switch op {
	case causal.OpRead, causal.OpReadMany, causal.OpSync:
		return 7 // op, session, number, epoch, known, time, keys
	case causal.OpDelete:
		return 8 // and own
	case causal.OpWrite:
		return 10 // and own, value, ttl
	}
	return 0
}

// AppendRequest appends the frame of r to b. Own is written for writes and deletes
// only, Value and TTL for writes only; Carried never is. r.Op must be one of the
// operations: the decoder refuses others.
func AppendRequest(b []byte, r *causal.Request) []byte {
	b, start := beginFrame(b)
	b = appendArray(b, 1+requestElements(r.Op))
	b = appendUint(b, TypeRequest)
	b = appendUint(b, r.Op)
	b = appendUint(b, r.ID.Session)
	b = appendUint(b, r.ID.Number)
	b = appendUint(b, r.Epoch)
	b = appendKnown(b, r.Known)
	b = appendUint(b, r.Time)
	b = appendArray(b, len(r.Keys))
	for _, key := range r.Keys {
		b = appendBytes(b, key)
	}
	switch r.Op {
	case causal.OpDelete:
		b = appendSignedDots(b, r.Own)
	case causal.OpWrite:
		b = appendSignedDots(b, r.Own)
		b = appendBytes(b, r.Value)
		b = msgp.AppendInt64(b, int64(r.TTL))
	}
	return endFrame(b, start)
}

// DecodeRequest reads the body of a request's frame into r, whose slices it reuses.
// Keys and value alias body. After an error r is in no particular state.
//
// It does not judge the request: whether a read has one key and a time to live is
// positive is for the state machine to say, which has an answer for it.
func DecodeRequest(body []byte, r *causal.Request) error {
	if decodeCommon(body, r) {
		return nil
	}
	return decodeRequest(body, r)
}

func decodeRequest(body []byte, r *causal.Request) error {
	c := cursor{b: body}
	n := c.open(TypeRequest)
	r.Op = causal.Op(c.uint8("op"))
	if want := requestElements(r.Op); c.err == nil && want == 0 {
		c.fail("op", errUnknown)
	} else if c.err == nil && n != want {
		c.fail("array", errLength)
	}
	r.ID.Session = c.uint64("session")
	r.ID.Number = c.uint32("number")
	r.Epoch = causal.Epoch(c.uint64("epoch"))
	r.Known = c.known(r.Known)
	r.Time = causal.Time(c.uint64("time"))
	r.Keys = r.Keys[:0]
	for n := c.array("keys", MaxBatchKeys); n > 0 && c.err == nil; n-- {
		r.Keys = append(r.Keys, c.bytes("key", MaxKeyBytes))
	}
	r.Own, r.Value, r.TTL, r.Carried = r.Own[:0], nil, 0, nil
	switch r.Op {
	case causal.OpDelete:
		r.Own = c.signedDots("own", r.Own)
	case causal.OpWrite:
		r.Own = c.signedDots("own", r.Own)
		r.Value = c.bytes("value", MaxValueBytes)
		r.TTL = c.duration("ttl")
	}
	return c.end("request")
}
