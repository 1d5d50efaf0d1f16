package wire

import (
	"encoding/binary"
	"slices"

	"causalmesh/causal"
)

// Nearly every frame on a busy connection is the read of one key, or the answer to it.
// Both are spelled out here, without a cursor: its memory costs more than what it reads.
// Whatever is not exactly of that form is left to the general way, errors too, so there
// is nothing here that decides what is right: what is read here the cursor reads alike, and
// what is written here comes out the same, byte by byte (TestCommon).

const (
	leadUint8  = 0xcc
	leadUint16 = 0xcd
	leadNil    = 0xc0

	// fixedLead is the array of a read: eight elements.
	fixedLead = leadFixlist | 1 + 7
	tagBytes  = len(causal.Tag{})
)

// uintAt reads an integer at b[at]. The end is past len(b) if there is none.
func uintAt(b []byte, at int) (v uint64, end int) {
	if at >= len(b) {
		return 0, len(b) + 1
	}
	b = b[at:]
	switch lead := b[0]; {
	case lead <= maxFixint:
		return uint64(lead), at + 1
	case lead == leadUint64 && len(b) > 8:
		return binary.BigEndian.Uint64(b[1:]), at + 9
	case lead == leadUint32 && len(b) > 4:
		return uint64(binary.BigEndian.Uint32(b[1:])), at + 5
	case lead == leadUint16 && len(b) > 2:
		return uint64(binary.BigEndian.Uint16(b[1:])), at + 3
	case lead == leadUint8 && len(b) > 1:
		return uint64(b[1]), at + 2
	}
	return 0, at + len(b) + 1
}

// decodeCommon reads a read of one key by a session that knows one vector. If it is
// anything else r is in no particular state, and it reports false.
func decodeCommon(b []byte, r *causal.Request) bool {
	const head = 3 // array, type, operation
	if len(b) < head || b[0] != fixedLead || b[1] != byte(TypeRequest) || b[2] != byte(causal.OpRead) {
		return false
	}
	session, at := uintAt(b, head)
	number, at := uintAt(b, at)
	epoch, at := uintAt(b, at)
	// One vector, with or without a tag.
	if number>>32 != 0 || len(b) < at+3 || b[at] != leadFixlist|1 || b[at+1]-leadFixlist-1 > 1 || b[at+2]&^0xf != leadFixlist {
		return false
	}
	tagged, n := b[at+1] == leadFixlist|2, int(b[at+2]&0xf)
	at += 3
	if cap(r.Known) == 0 {
		r.Known = make([]causal.SignedVector, 1)
	}
	r.Known = r.Known[:1]
	k := &r.Known[0]
	k.Vector = slices.Grow(k.Vector[:0], n)[:n]
	for i := range k.Vector {
		var c uint64
		c, at = uintAt(b, at)
		k.Vector[i] = causal.Counter(c)
	}
	k.Tag = causal.Tag{}
	if tagged {
		if len(b) < at+2+tagBytes || b[at] != leadBin8 || int(b[at+1]) != tagBytes {
			return false
		}
		if at += 2 + copy(k.Tag[:], b[at+2:]); k.Tag == (causal.Tag{}) {
			return false
		}
	}
	time, at := uintAt(b, at)
	// One key, and nothing behind it.
	if len(b) < at+3 || b[at] != leadFixlist|1 || b[at+1] != leadBin8 || len(b) != at+3+int(b[at+2]) {
		return false
	}
	r.Op, r.ID = causal.OpRead, causal.RequestID{Session: session, Number: uint32(number)}
	r.Epoch, r.Time = causal.Epoch(epoch), causal.Time(time)
	r.Keys = append(r.Keys[:0], b[at+3:len(b):len(b)])
	r.Own, r.Value, r.TTL, r.Carried = r.Own[:0], nil, 0, nil
	return true
}

// putUint writes v at b[at], which has room for nine bytes, and returns the end.
func putUint(b []byte, at int, v uint64) int {
	switch {
	case v <= maxFixint:
		b[at] = byte(v)
		return at + 1
	case v>>32 != 0:
		b[at] = leadUint64
		binary.BigEndian.PutUint64(b[at+1:], v)
		return at + 9
	case v>>16 != 0:
		b[at] = leadUint32
		binary.BigEndian.PutUint32(b[at+1:], uint32(v))
		return at + 5
	case v>>8 != 0:
		b[at] = leadUint16
		binary.BigEndian.PutUint16(b[at+1:], uint16(v))
		return at + 3
	}
	b[at], b[at+1] = leadUint8, byte(v)
	return at + 2
}

// commonValue is the largest value of a common reply.
const commonValue = 255

// isCommon reports whether a reply is that to a read which found a small value that any
// other session would have found too, and told nothing new.
func isCommon(r *causal.Reply, known []causal.SignedVector) bool {
	if r.Op != causal.OpRead || r.Code != causal.CodeOK || len(r.Versions) != 1 || r.WrittenTag != (causal.Tag{}) {
		return false
	}
	v := &r.Versions[0]
	return !v.Absent() && len(v.Value) <= commonValue && flagsOf(v, formRead, r.Epoch) == 0 && unchanged(known, &r.Stability)
}

// appendCommon appends the frame of a reply that isCommon.
func appendCommon(b []byte, r *causal.Reply) []byte {
	const most = FrameHeaderBytes + 8 + 7*maxIntBytes + 2 // all but the value
	v := &r.Versions[0]
	b = slices.Grow(b, most+len(v.Value))
	start := len(b)
	f := b[start : start+most+len(v.Value)]
	at := FrameHeaderBytes + copy(f[FrameHeaderBytes:], []byte{leadFixlist | 1 + replyHead + 1, byte(TypeReply), byte(r.Op)})
	at = putUint(f, at, r.ID.Session)
	at = putUint(f, at, uint64(r.ID.Number))
	f[at] = byte(r.Code)
	at = putUint(f, at+1, uint64(r.Epoch))
	f[at] = leadNil
	at = putUint(f, at+1, uint64(r.Time))
	at += copy(f[at:], []byte{leadFixlist | 1, leadFixlist | versionElements + 1, 0})
	at = putUint(f, at, uint64(v.Dot.Origin))
	at = putUint(f, at, uint64(v.Dot.Counter))
	at = putUint(f, at, uint64(v.Stamp.Time))
	at += copy(f[at:], []byte{leadBin8, byte(len(v.Value))})
	at += copy(f[at:], v.Value)
	binary.BigEndian.PutUint32(f, uint32(at-FrameHeaderBytes))
	return b[:start+at]
}
