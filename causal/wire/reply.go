package wire

import (
	"slices"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// replyHead is how many elements follow the type in every reply: op, session,
// number, code, epoch, stability, time.
const replyHead = 7

// unchanged reports whether a reply may leave its stability out: the request has
// exactly one signed vector, and it is the same, tag and all. Then both ends hold
// what was left out, and neither has to remember anything.
func unchanged(known []causal.SignedVector, s *causal.SignedVector) bool {
	return len(known) == 1 && known[0].Tag == s.Tag && slices.Equal(known[0].Vector, s.Vector)
}

// AppendReply appends the frame of r to b. known is the Known of the request that
// is being answered; where that is not at hand any more (a reply to a request that
// waited), nil: the stability vector is then written in any case.
//
// Versions are written without key and dependencies: the i-th one answers the
// i-th key of the request.
func AppendReply(b []byte, r *causal.Reply, known []causal.SignedVector) []byte {
	if isCommon(r, known) {
		return appendCommon(b, r)
	}
	return appendReply(b, r, known)
}

func appendReply(b []byte, r *causal.Reply, known []causal.SignedVector) []byte {
	b, start := beginFrame(b)
	tagged := r.WrittenTag != (causal.Tag{})
	b = appendArray(b, 1+replyHead+payloadElements(r, tagged))
	b = appendUint(b, TypeReply)
	b = appendUint(b, r.Op)
	b = appendUint(b, r.ID.Session)
	b = appendUint(b, r.ID.Number)
	b = appendUint(b, r.Code)
	b = appendUint(b, r.Epoch)
	if unchanged(known, &r.Stability) {
		b = msgp.AppendNil(b)
	} else {
		b = appendSignedVector(b, &r.Stability)
	}
	b = appendUint(b, r.Time)
	if r.Code != causal.CodeOK {
		return endFrame(msgp.AppendString(b, cut(r.Detail, MaxDetailBytes)), start)
	}
	switch r.Op {
	case causal.OpRead, causal.OpReadMany:
		b = appendArray(b, len(r.Versions))
		for i := range r.Versions {
			b = appendVersionOrNil(b, &r.Versions[i], formRead, r.Epoch)
		}
	case causal.OpWrite, causal.OpDelete:
		b = appendVersionOrNil(b, &r.Written, formWritten, r.Epoch)
		if tagged {
			b = appendBytes(b, r.WrittenTag[:])
		}
	}
	return endFrame(b, start)
}

// payloadElements returns how many elements follow the head of a reply.
func payloadElements(r *causal.Reply, tagged bool) int {
	switch {
	case r.Code != causal.CodeOK:
		return 1 // detail
	case r.Op == causal.OpRead || r.Op == causal.OpReadMany:
		return 1 // versions
	case r.Op == causal.OpWrite || r.Op == causal.OpDelete:
		if tagged {
			return 2
		}
		return 1 // written
	}
	return 0
}

// DecodeReply reads the body of a reply's frame into r, whose slices it reuses.
// known is the Known of the request: where the reply leaves the stability vector
// out, vector and tag are copied from it. A caller with several requests under way
// learns from ReplyID which one it is.
//
// The values of versions alias body; their keys are nil (see AppendReply). A session
// keeps what it has written, so the dependencies of Written, if there are any, take
// an allocation.
func DecodeReply(body []byte, r *causal.Reply, known []causal.SignedVector) error {
	var c cursor
	n := c.replyID(body, r)
	r.Code = causal.Code(c.uint8("code"))
	r.Epoch = causal.Epoch(c.uint64("epoch"))
	if c.null() {
		if len(known) == 1 {
			r.Stability.Vector = append(r.Stability.Vector[:0], known[0].Vector...)
			r.Stability.Tag = known[0].Tag
		} else {
			c.fail("stability", errNoRequest)
		}
	} else {
		c.signedVector("stability", &r.Stability)
	}
	r.Time = causal.Time(c.uint64("time"))

	tagged := n == replyHead+2
	if c.err == nil && n != replyHead+payloadElements(r, tagged) {
		c.fail("array", errLength)
	}
	r.Detail, r.WrittenTag = "", causal.Tag{}
	r.Versions = r.Versions[:0]
	r.Written = causal.Version{}
	switch {
	case r.Code != causal.CodeOK:
		r.Detail = c.text("detail", MaxDetailBytes)
	case r.Op == causal.OpRead || r.Op == causal.OpReadMany:
		c.replyVersions(r)
	case r.Op == causal.OpWrite || r.Op == causal.OpDelete:
		c.versionOrNil(&r.Written, formWritten, r.Epoch)
		if tagged {
			r.WrittenTag = c.tag("tag")
		}
	case r.Op != causal.OpSync:
		c.fail("op", errUnknown)
	}
	return c.end("reply")
}

func (c *cursor) replyVersions(r *causal.Reply) {
	for n := c.array("versions", MaxBatchKeys); n > 0 && c.err == nil; n-- {
		if len(r.Versions) < cap(r.Versions) {
			r.Versions = r.Versions[:len(r.Versions)+1]
		} else {
			r.Versions = append(r.Versions, causal.Version{})
		}
		c.versionOrNil(&r.Versions[len(r.Versions)-1], formRead, r.Epoch)
	}
}

// ReplyID returns which request the body of a reply's frame answers, without
// reading the rest of it.
func ReplyID(body []byte) (causal.RequestID, error) {
	var (
		c cursor
		r causal.Reply
	)
	if c.replyID(body, &r); c.err != nil {
		return causal.RequestID{}, c.end("reply")
	}
	return r.ID, nil
}

// replyID reads the head of a reply up to the request's ID and returns how many
// elements follow the type in all.
func (c *cursor) replyID(body []byte, r *causal.Reply) int {
	c.b = body
	n := c.open(TypeReply)
	r.Op = causal.Op(c.uint8("op"))
	r.ID.Session = c.uint64("session")
	r.ID.Number = c.uint32("number")
	return n
}

// cut returns the first n bytes of s.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
