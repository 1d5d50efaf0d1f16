package wire

import (
	"fmt"
	"testing"

	"causalmesh/causal"
)

// The frames of the hot path: requests and replies of one key, three servers.
func hotRequest(op causal.Op) *causal.Request {
	r := &causal.Request{
		ID: causal.RequestID{Session: 1 << 60, Number: 7}, Op: op, Epoch: 3, Time: sampleTime,
		Known: []causal.SignedVector{{Vector: causal.VectorClock{100_000, 90_000, 80_000}, Tag: sampleTag(1)}},
		Keys:  [][]byte{[]byte("cart:42")},
	}
	if op == causal.OpWrite {
		r.Value = []byte("8 bytes.")
		r.Own = []causal.SignedDot{{Dot: causal.Dot{Origin: 1, Counter: 90_001}, Tag: sampleTag(2)}}
	}
	return r
}

func hotReply(op causal.Op) *causal.Reply {
	r := &causal.Reply{
		ID: causal.RequestID{Session: 1 << 60, Number: 7}, Op: op, Epoch: 3, Time: sampleTime,
		Stability: causal.SignedVector{Vector: causal.VectorClock{100_000, 90_000, 80_001}, Tag: sampleTag(3)},
	}
	v := causal.Version{Value: []byte("8 bytes."), Dot: causal.Dot{Origin: 2, Counter: 80_000},
		Stamp: causal.Stamp{Time: sampleTime, Origin: 2}, Epoch: 3}
	if op == causal.OpRead {
		r.Versions = []causal.Version{v}
		return r
	}
	v.Value = nil
	r.Written, r.WrittenTag = v, sampleTag(4)
	return r
}

func ringMessage(versions int) *causal.Message {
	m := &causal.Message{Kind: causal.MessageRing, Epoch: 3, Time: sampleTime,
		Everywhere: causal.VectorClock{100_000, 90_000, 80_000}}
	for i := range versions {
		m.Entries = append(m.Entries, causal.RingEntry{Version: &causal.Version{
			Key: []byte("cart:42"), Value: []byte("8 bytes."), Epoch: 3,
			Dot:   causal.Dot{Origin: 1, Counter: causal.Counter(90_001 + i)},
			Stamp: causal.Stamp{Time: sampleTime, Origin: 1},
		}})
	}
	return m
}

func mustBeNil(tb testing.TB, err error) {
	if err != nil {
		tb.Helper() // not before: it costs more than what is measured
		tb.Fatal(err)
	}
}

// hotPaths are encoders and decoders in their steady state, with how many
// allocations each may make.
func hotPaths(tb testing.TB) []struct {
	name   string
	allocs float64
	bytes  int
	run    func()
} {
	type path = struct {
		name   string
		allocs float64
		bytes  int
		run    func()
	}
	var paths []path
	for _, op := range []causal.Op{causal.OpRead, causal.OpWrite} {
		request, reply := hotRequest(op), hotReply(op)
		requestFrame, replyFrame := AppendRequest(nil, request), AppendReply(nil, reply, request.Known)
		var gotRequest causal.Request
		var gotReply causal.Reply
		var buf []byte
		paths = append(paths,
			path{fmt.Sprintf("encode %v request", op), 0, len(requestFrame), func() { buf = AppendRequest(buf[:0], request) }},
			path{fmt.Sprintf("decode %v request", op), 0, len(requestFrame), func() {
				body, _, err := Next(requestFrame, MaxFrameBytes)
				mustBeNil(tb, err)
				mustBeNil(tb, DecodeRequest(body, &gotRequest))
			}},
			path{fmt.Sprintf("encode %v reply", op), 0, len(replyFrame), func() { buf = AppendReply(buf[:0], reply, request.Known) }},
			path{fmt.Sprintf("decode %v reply", op), 0, len(replyFrame), func() {
				body, _, err := Next(replyFrame, MaxFrameBytes)
				mustBeNil(tb, err)
				_, err = ReplyID(body)
				mustBeNil(tb, err)
				mustBeNil(tb, DecodeReply(body, &gotReply, request.Known))
			}})
	}
	same := hotReply(causal.OpRead)
	same.Stability = hotRequest(causal.OpRead).Known[0]
	known := []causal.SignedVector{same.Stability}
	sameFrame := AppendReply(nil, same, known)
	var gotSame causal.Reply
	dependent := hotReply(causal.OpWrite)
	dependent.Written.Deps = []causal.Dot{{Origin: 1, Counter: 90_001}}
	dependentFrame := AppendReply(nil, dependent, nil)
	var gotDependent causal.Reply
	const versions = 32
	message, heartbeat := ringMessage(versions), ringMessage(0)
	ringFrame, heartbeatFrame := AppendMessage(nil, message), AppendMessage(nil, heartbeat)
	var gotRing, gotHeartbeat causal.Message
	var buf []byte
	return append(paths,
		path{"encode read reply, stability unchanged", 0, len(sameFrame), func() { buf = AppendReply(buf[:0], same, known) }},
		path{"decode read reply, stability unchanged", 0, len(sameFrame), func() {
			mustBeNil(tb, DecodeReply(sameFrame[FrameHeaderBytes:], &gotSame, known))
		}},
		path{"decode write reply with dependencies", 1, len(dependentFrame), func() {
			mustBeNil(tb, DecodeReply(dependentFrame[FrameHeaderBytes:], &gotDependent, nil))
		}},
		path{"encode ring message of 32", 0, len(ringFrame), func() { buf = AppendMessage(buf[:0], message) }},
		path{"decode ring message of 32", 0, len(ringFrame), func() {
			mustBeNil(tb, DecodeMessage(ringFrame[FrameHeaderBytes:], &gotRing))
		}},
		path{"decode heartbeat", 0, len(heartbeatFrame), func() {
			mustBeNil(tb, DecodeMessage(heartbeatFrame[FrameHeaderBytes:], &gotHeartbeat))
		}})
}

func TestAllocations(t *testing.T) {
	for _, p := range hotPaths(t) {
		if got := testing.AllocsPerRun(100, p.run); got != p.allocs {
			t.Errorf("%s: %v allocations, want %v", p.name, got, p.allocs)
		}
	}
}

func BenchmarkHotPaths(b *testing.B) {
	for _, p := range hotPaths(b) {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(p.bytes))
			for b.Loop() {
				p.run()
			}
		})
	}
}

func BenchmarkContext(b *testing.B) {
	x := causal.Context{Epoch: 3, Time: sampleTime, Known: hotRequest(causal.OpRead).Known}
	for _, e := range ringMessage(8).Entries {
		x.Own = append(x.Own, causal.OwnWrite{Version: *e.Version, Tag: sampleTag(5)})
	}
	text := AppendContext(nil, &x)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			text = AppendContext(text[:0], &x)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := DecodeContext(text)
			mustBeNil(b, err)
		}
	})
}

// An unchanged vector is left out only if the request has just that vector, tag
// and all.
func TestStabilityIsLeftOut(t *testing.T) {
	r := hotReply(causal.OpRead)
	same := causal.SignedVector{Vector: r.Stability.Vector.Clone(), Tag: r.Stability.Tag}
	otherTag := causal.SignedVector{Vector: same.Vector, Tag: sampleTag(99)}
	longer := causal.SignedVector{Vector: append(same.Vector.Clone(), 0), Tag: same.Tag}
	full := len(AppendReply(nil, r, nil))
	for _, c := range []struct {
		name  string
		known []causal.SignedVector
		left  bool
	}{
		{"same", []causal.SignedVector{same}, true},
		{"none", nil, false},
		{"another tag", []causal.SignedVector{otherTag}, false},
		{"a zero longer", []causal.SignedVector{longer}, false},
		{"two branches", []causal.SignedVector{same, same}, false},
	} {
		frame := AppendReply(nil, r, c.known)
		if left := len(frame) < full; left != c.left {
			t.Errorf("%s: left out: %v", c.name, left)
		}
		var got causal.Reply
		if err := DecodeReply(frame[FrameHeaderBytes:], &got, c.known); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := difference(&got, r); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// What is kept must not change when the buffer does; what aliases it must not run
// into what follows.
func TestOwnership(t *testing.T) {
	overwrite := func(b []byte) {
		for i := range b {
			b[i] = 0xee
		}
	}
	for _, s := range samples() {
		if x, ok := s.want.(*causal.Context); ok {
			b := s.encode()
			got, err := DecodeContext(b)
			mustBeNil(t, err)
			overwrite(b)
			if d := difference(&got, x); d != "" {
				t.Errorf("%s changes with its buffer: %s", s.name, d)
			}
		}
	}

	dependent := func(counter causal.Counter) *causal.Reply {
		r := hotReply(causal.OpWrite)
		r.Written.Deps = []causal.Dot{{Origin: 1, Counter: counter}}
		return r
	}
	var reply causal.Reply
	mustBeNil(t, DecodeReply(AppendReply(nil, dependent(1), nil)[FrameHeaderBytes:], &reply, nil))
	kept := reply.Written // as a session does
	mustBeNil(t, DecodeReply(AppendReply(nil, dependent(2), nil)[FrameHeaderBytes:], &reply, nil))
	if kept.Deps[0].Counter != 1 {
		t.Error("a write's dependencies change with the next reply")
	}

	request := AppendRequest(nil, hotRequest(causal.OpWrite))[FrameHeaderBytes:]
	var r causal.Request
	mustBeNil(t, DecodeRequest(request, &r))
	_ = append(r.Keys[0], "overrun"...)
	mustBeNil(t, DecodeRequest(request, &r))
	if d := difference(&r, hotRequest(causal.OpWrite)); d != "" {
		t.Errorf("an append to a key overwrites the body: %s", d)
	}
}

// A message that is reused brings nothing of an earlier one along, and does not hold on
// to the memory of a huge one.
func TestMessageIsReused(t *testing.T) {
	var m causal.Message
	for _, want := range []*causal.Message{ringMessage(8), ringMessage(0), ringMessage(2), ringMessage(9)} {
		mustBeNil(t, DecodeMessage(AppendMessage(nil, want)[FrameHeaderBytes:], &m))
		if d := difference(&m, want); d != "" {
			t.Errorf("message of %d entries: %s", len(want.Entries), d)
		}
	}
	mustBeNil(t, DecodeMessage(AppendMessage(nil, ringMessage(2*keepEntries))[FrameHeaderBytes:], &m))
	mustBeNil(t, DecodeMessage(AppendMessage(nil, ringMessage(1))[FrameHeaderBytes:], &m))
	if n := cap(m.Entries); n > keepEntries {
		t.Errorf("room for %d entries is kept, at most %d should be", n, keepEntries)
	}
}
