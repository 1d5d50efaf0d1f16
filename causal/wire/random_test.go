package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"causalmesh/causal"
)

// random draws messages; small and large numbers alike, since msgpack has an
// encoding for each size.
type random struct{ *rand.Rand }

func (r random) u64() uint64 { return r.Uint64() >> r.IntN(64) }

func (r random) bytes() []byte {
	n := r.IntN(12)
	if r.IntN(20) == 0 {
		n = r.IntN(70_000)
	}
	b := make([]byte, min(n, MaxKeyBytes))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r random) tag() (t causal.Tag) {
	if r.IntN(2) == 0 {
		return t
	}
	for i := range t {
		t[i] = byte(r.Uint32())
	}
	return t
}

func (r random) vector() causal.VectorClock {
	n := r.IntN(5)
	if r.IntN(10) == 0 {
		n = causal.MaxReplicas
	}
	v := make(causal.VectorClock, n)
	for i := range v {
		v[i] = causal.Counter(r.u64())
	}
	return v
}

func (r random) replica() causal.ReplicaID { return causal.ReplicaID(r.IntN(causal.MaxReplicas)) }

func (r random) dot() causal.Dot {
	return causal.Dot{Origin: r.replica(), Incarnation: causal.Incarnation(r.u64()), Counter: causal.Counter(r.u64())}
}

func (r random) known() []causal.SignedVector {
	known := make([]causal.SignedVector, r.IntN(3))
	for i := range known {
		known[i] = causal.SignedVector{Vector: r.vector(), Tag: r.tag()}
	}
	return known
}

// version draws a version as it is in a place of the given form.
func (r random) version(f form, epoch causal.Epoch) causal.Version {
	v := causal.Version{
		Dot: r.dot(), Epoch: epoch, Tombstone: r.IntN(3) == 0,
		Stamp: causal.Stamp{Time: causal.Time(r.u64() | 1)},
	}
	v.Stamp.Origin = v.Dot.Origin
	if r.IntN(4) == 0 {
		v.Stamp.Origin, v.Epoch = r.replica(), causal.Epoch(r.u64())
	}
	if r.IntN(2) == 0 {
		v.Dot.Incarnation, v.Deadline = 0, causal.Time(r.u64())
	}
	if f&formKey != 0 {
		v.Key = r.bytes()
	}
	if f&formValue != 0 && !v.Tombstone {
		v.Value = r.bytes()
	}
	if f&formDeps != 0 {
		for range r.IntN(4) {
			v.Deps = append(v.Deps, r.dot())
		}
	}
	return v
}

func (r random) request() causal.Request {
	q := causal.Request{
		ID:    causal.RequestID{Session: r.u64(), Number: uint32(r.u64())},
		Op:    causal.OpRead + causal.Op(r.IntN(5)),
		Epoch: causal.Epoch(r.u64()), Known: r.known(), Time: causal.Time(r.u64()),
	}
	for range r.IntN(4) {
		q.Keys = append(q.Keys, r.bytes())
	}
	if q.Op == causal.OpWrite || q.Op == causal.OpDelete {
		for range r.IntN(4) {
			q.Own = append(q.Own, causal.SignedDot{Dot: r.dot(), Tag: r.tag()})
		}
	}
	if q.Op == causal.OpWrite {
		q.Value, q.TTL = r.bytes(), time.Duration(r.u64())
	}
	return q
}

func (r random) reply() causal.Reply {
	p := causal.Reply{
		ID:        causal.RequestID{Session: r.u64(), Number: uint32(r.u64())},
		Op:        causal.OpRead + causal.Op(r.IntN(5)),
		Epoch:     causal.Epoch(r.u64()),
		Stability: causal.SignedVector{Vector: r.vector(), Tag: r.tag()},
		Time:      causal.Time(r.u64()),
	}
	if r.IntN(4) == 0 {
		p.Code, p.Detail = causal.Code(1+r.IntN(255)), string(bytes.ToValidUTF8(r.bytes(), nil))
		p.Detail = cut(p.Detail, MaxDetailBytes)
		return p
	}
	switch p.Op {
	case causal.OpRead, causal.OpReadMany:
		for range r.IntN(4) {
			var v causal.Version
			if r.IntN(3) > 0 {
				v = r.version(formRead, p.Epoch)
			}
			p.Versions = append(p.Versions, v)
		}
	case causal.OpWrite, causal.OpDelete:
		p.Written, p.WrittenTag = r.version(formWritten, p.Epoch), r.tag()
	}
	return p
}

func (r random) message() causal.Message {
	m := causal.Message{
		Kind:  causal.MessageRing + causal.MessageKind(r.IntN(5)),
		Epoch: causal.Epoch(r.u64()), Everywhere: r.vector(), Time: causal.Time(r.u64()),
	}
	switch m.Kind {
	case causal.MessageRing:
		for range r.IntN(5) {
			e := causal.RingEntry{Mark: causal.Mark{Origin: r.replica(), Counter: causal.Counter(r.u64())}}
			if r.IntN(3) > 0 {
				v := r.version(formWhole, m.Epoch)
				e = causal.RingEntry{Version: &v}
			}
			m.Entries = append(m.Entries, e)
		}
	case causal.MessageAck:
		m.Vector, m.Marks = r.vector(), r.vector()
	case causal.MessageFlushed:
		m.Vector = r.vector()
	case causal.MessageMiss:
		m.Load, m.Key = causal.LoadID(r.u64()), r.bytes()
	case causal.MessageMissReply:
		m.Load, m.Key, m.Code = causal.LoadID(r.u64()), r.bytes(), causal.Code(r.u64())
		if r.IntN(2) == 0 {
			m.Version = r.version(formMiss, m.Epoch)
			m.Version.Key = m.Key
		}
	}
	return m
}

func (r random) context() causal.Context {
	x := causal.Context{Epoch: causal.Epoch(r.u64()), Known: r.known(), Time: causal.Time(r.u64())}
	for range r.IntN(4) {
		x.Own = append(x.Own, causal.OwnWrite{Version: r.version(formWhole, x.Epoch), Tag: r.tag()})
	}
	return x
}

// Whatever is encoded is decoded as it was, into structs that still hold what was
// decoded before; and a body that is short of a byte or has one more is refused.
func TestRandomRoundTrips(t *testing.T) {
	const rounds = 3000
	var (
		request causal.Request
		reply   causal.Reply
		message causal.Message
	)
	for seed := range uint64(rounds) {
		r := random{rand.New(rand.NewPCG(seed, 0))}
		check := func(what string, frame []byte, got, want any, decode func(body []byte) error) {
			t.Helper()
			body, rest, err := Next(frame, MaxFrameBytes)
			if err != nil || body == nil || len(rest) > 0 {
				t.Fatalf("seed %d: %s: frame: %v", seed, what, err)
			}
			if err := decode(body[:len(body)-1]); err == nil {
				t.Fatalf("seed %d: %s: a byte is missing, and it decodes", seed, what)
			}
			if err := decode(append(body, 0xc0)); err == nil {
				t.Fatalf("seed %d: %s: a byte too many, and it decodes", seed, what)
			}
			if err := decode(body); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, what, err)
			}
			if d := difference(got, want); d != "" {
				t.Fatalf("seed %d: %s: %s", seed, what, d)
			}
		}
		q := r.request()
		check("request", AppendRequest(nil, &q), &request, &q,
			func(body []byte) error { return DecodeRequest(body, &request) })
		p := r.reply()
		var known []causal.SignedVector
		if r.IntN(2) == 0 {
			known = []causal.SignedVector{p.Stability}
		}
		check("reply", AppendReply(nil, &p, known), &reply, &p,
			func(body []byte) error { return DecodeReply(body, &reply, known) })
		m := r.message()
		check("message", AppendMessage(nil, &m), &message, &m,
			func(body []byte) error { return DecodeMessage(body, &message) })
		x := r.context()
		var gotContext causal.Context
		b := endFrame(AppendContext(make([]byte, FrameHeaderBytes), &x), FrameHeaderBytes)
		check("context", b, &gotContext, &x,
			func(body []byte) (err error) { gotContext, err = DecodeContext(body); return err })
	}
}
