package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"causalmesh/causal"
)

var update = flag.Bool("update", false, "write testdata/vectors.json from the encoder")

// A vector is one message in three forms: the Go value in samples(), the bytes,
// and the msgpack values that docs/wire.md promises. The last two are in
// testdata/vectors.json, for other implementations.
type vector struct {
	Name string `json:"name"`
	// Bytes in hexadecimal: a whole frame, or a context.
	Bytes string `json:"bytes"`
	// Value is the array in the frame. A binary is {"bin": hexadecimal}.
	Value any `json:"value"`
}

const vectorFile = "testdata/vectors.json"

func readVectors(t testing.TB) map[string]vector {
	t.Helper()
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // 64 bits do not fit a float
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	byName := map[string]vector{}
	for _, v := range list {
		byName[v.Name] = v
	}
	return byName
}

// sample is a Go value with its encoder and decoder.
type sample struct {
	name   string
	want   any
	encode func() []byte
	// decode takes a body, and gives what must be the same as want.
	decode func(body []byte) (any, error)
}

func requestSample(name string, r causal.Request) sample {
	return sample{name, &r,
		func() []byte { return AppendRequest(nil, &r) },
		func(body []byte) (any, error) {
			var got causal.Request
			return &got, DecodeRequest(body, &got)
		}}
}

func replySample(name string, r causal.Reply, known []causal.SignedVector) sample {
	return sample{name, &r,
		func() []byte { return AppendReply(nil, &r, known) },
		func(body []byte) (any, error) {
			var got causal.Reply
			return &got, DecodeReply(body, &got, known)
		}}
}

func messageSample(name string, m causal.Message) sample {
	return sample{name, &m,
		func() []byte { return AppendMessage(nil, &m) },
		func(body []byte) (any, error) {
			var got causal.Message
			return &got, DecodeMessage(body, &got)
		}}
}

func handshakeSample(name string, m Handshake) sample {
	return sample{name, m,
		func() []byte {
			b, err := AppendHandshake(nil, m)
			if err != nil {
				panic(err)
			}
			return b
		},
		func(body []byte) (any, error) { return DecodeHandshake(body) }}
}

// contextPrefix marks samples that are contexts: bytes without a frame.
const contextPrefix = "context"

func contextSample(name string, x causal.Context) sample {
	return sample{name, &x,
		func() []byte { return AppendContext(nil, &x) },
		func(b []byte) (any, error) {
			got, err := DecodeContext(b)
			return &got, err
		}}
}

func (s *sample) isContext() bool { return bytes.HasPrefix([]byte(s.name), []byte(contextPrefix)) }

// body returns the bytes without the frame's length.
func (s *sample) body() []byte {
	if s.isContext() {
		return s.encode()
	}
	return s.encode()[FrameHeaderBytes:]
}

func sampleTag(first byte) (t causal.Tag) {
	for i := range t {
		t[i] = first + byte(i)
	}
	return t
}

const sampleTime causal.Time = 1_700_000_000_000_000_000

func samples() []sample {
	id := causal.RequestID{Session: 0x1122334455667788, Number: 7}
	known := []causal.SignedVector{{Vector: causal.VectorClock{5, 300, 0}}}
	dot := causal.Dot{Origin: 1, Counter: 301}
	stamp := causal.Stamp{Time: sampleTime, Origin: 1}
	whole := causal.Version{Key: []byte("cart:42"), Value: []byte("apple"), Dot: dot, Stamp: stamp, Epoch: 3}
	full := causal.Version{
		Key: []byte("k"), Value: []byte{}, Epoch: 2, Deadline: sampleTime + 9,
		Dot:   causal.Dot{Origin: 2, Incarnation: 4, Counter: 70_000},
		Stamp: causal.Stamp{Time: sampleTime + 1, Origin: 0},
		Deps:  []causal.Dot{{Origin: 0, Counter: 6}, {Origin: 1, Incarnation: 1, Counter: 301}},
	}
	gone := causal.Version{Key: []byte("k2"), Tombstone: true, Epoch: 3,
		Dot: causal.Dot{Origin: 0, Counter: 6}, Stamp: causal.Stamp{Time: sampleTime + 2}}
	foreign := causal.Version{Value: []byte("plain"), Stamp: causal.ForeignStamp}

	read := causal.Request{ID: id, Op: causal.OpRead, Epoch: 3, Known: known, Time: sampleTime,
		Keys: [][]byte{[]byte("cart:42")}}
	readMany := read
	readMany.Op, readMany.Keys = causal.OpReadMany, [][]byte{[]byte("a"), {}, []byte("c")}
	readMany.Known = []causal.SignedVector{
		{Vector: causal.VectorClock{5, 300, 0}, Tag: sampleTag(0x10)},
		{Vector: causal.VectorClock{4, 301, 0}, Tag: sampleTag(0x30)},
	}
	write := read
	write.Op, write.Value, write.TTL = causal.OpWrite, []byte("apple"), 1_000_000_000
	write.Own = []causal.SignedDot{{Dot: causal.Dot{Origin: 0, Counter: 6}},
		{Dot: causal.Dot{Origin: 2, Incarnation: 4, Counter: 70_000}, Tag: sampleTag(0x50)}}
	del := read
	del.Op = causal.OpDelete
	sync := causal.Request{ID: causal.RequestID{Session: 1, Number: 1}, Op: causal.OpSync}

	answer := func(op causal.Op) causal.Reply {
		return causal.Reply{ID: id, Op: op, Epoch: 3, Stability: known[0], Time: sampleTime + 5}
	}
	value := func(v causal.Version) causal.Version { v.Key, v.Deps = nil, nil; return v }
	readReply := answer(causal.OpRead)
	readReply.Versions = []causal.Version{value(whole)}
	manyReply := answer(causal.OpReadMany)
	manyReply.Stability.Tag = sampleTag(0x10)
	manyReply.Versions = []causal.Version{value(full), {}, value(gone), foreign}
	written := answer(causal.OpWrite)
	written.Written, written.WrittenTag = full, sampleTag(0x70)
	written.Written.Key, written.Written.Value = nil, nil
	deleted := answer(causal.OpDelete)
	deleted.Written = gone
	deleted.Written.Key = nil
	failed := answer(causal.OpWrite)
	failed.Code, failed.Detail = causal.CodeOverloaded, "I-cache is full"

	message := func(k causal.MessageKind) causal.Message {
		return causal.Message{Kind: k, Epoch: 3, Everywhere: causal.VectorClock{5, 300, 0}, Time: sampleTime + 3}
	}
	ring := message(causal.MessageRing)
	ring.Entries = []causal.RingEntry{{Version: &whole}}
	mixed := message(causal.MessageRing)
	mixed.Entries = []causal.RingEntry{{Version: &full}, {Mark: causal.Mark{Origin: 2, Counter: 12}}, {Version: &gone}}
	ack := message(causal.MessageAck)
	ack.Vector, ack.Marks = causal.VectorClock{6, 301, 2}, causal.VectorClock{1 << 40}
	miss := message(causal.MessageMiss)
	miss.Load, miss.Key = 99, []byte("k")
	missReply := message(causal.MessageMissReply)
	missReply.Load, missReply.Key, missReply.Version = 99, []byte("k"), full
	missFailed := message(causal.MessageMissReply)
	missFailed.Load, missFailed.Key, missFailed.Code = 99, []byte("k"), causal.CodeUnavailable
	flushed := message(causal.MessageFlushed)
	flushed.Vector = causal.VectorClock{5, 299, 0}

	peerHello, peerWelcome := samplePeers()
	return []sample{
		handshakeSample("hello", &Hello{Client: "checkout"}),
		handshakeSample("welcome", &Welcome{Node: 1, RingSize: 3, Epoch: 3, Incarnation: 4, Signed: true,
			Limits: ClientLimitsOf(causal.DefaultLimits), Daemon: "v0.1.0"}),
		handshakeSample("refusal", &Refusal{Code: RefusedOverloaded, Text: "1024 connections", Version: ProtocolVersion}),
		handshakeSample("peer hello", peerHello),
		handshakeSample("peer welcome", peerWelcome),
		handshakeSample("peer proof", &PeerProof{Proof: Prove(sampleKey, RoleCalling, peerHello, peerWelcome)}),
		requestSample("read request", read),
		requestSample("read many request", readMany),
		requestSample("write request", write),
		requestSample("delete request", del),
		requestSample("sync request", sync),
		replySample("read reply", readReply, known),
		replySample("read reply to a waiting request", readReply, nil),
		replySample("read many reply", manyReply, nil),
		replySample("write reply", written, known),
		replySample("delete reply", deleted, known),
		replySample("sync reply", answer(causal.OpSync), nil),
		replySample("error reply", failed, known),
		messageSample("ring message", ring),
		messageSample("ring message with a mark", mixed),
		messageSample("heartbeat", message(causal.MessageRing)),
		messageSample("ack", ack),
		messageSample("miss", miss),
		messageSample("miss reply", missReply),
		messageSample("failed miss reply", missFailed),
		messageSample("flushed", flushed),
		contextSample("context", causal.Context{Epoch: 3, Known: known, Time: sampleTime,
			Own: []causal.OwnWrite{{Version: whole}, {Version: gone, Tag: sampleTag(0x50)}}}),
		contextSample("context of a new session", causal.Context{}),
	}
}

var sampleKey = []byte("the cluster key of the examples")

func samplePeers() (*PeerHello, *PeerWelcome) {
	hello := &PeerHello{From: 0, To: 1, RingSize: 3, Digest: Digest(sampleTag(0x90)), Epoch: 3,
		Boot: 0x0102030405060708, Expected: 0x1112131415161718, Acks: true, Nonce: Nonce(sampleTag(0xa0))}
	welcome := &PeerWelcome{Epoch: 3, Incarnation: 4, Boot: 0x1112131415161718,
		Received: []causal.Counter{6, 301, 2}, Marks: []causal.Counter{}, Everywhere: []causal.Counter{5, 300, 0},
		Nonce: Nonce(sampleTag(0xc0))}
	welcome.Proof = Prove(sampleKey, RoleCalled, hello, welcome)
	return hello, welcome
}

// plain turns what the other library decoded into what JSON would give.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for k := range v {
			m[k] = plain(v[k])
		}
		return m
	case []byte:
		return map[string]any{"bin": hex.EncodeToString(v)}
	case nil, string, bool:
		return v
	default: // an integer of any width
		return json.Number(fmt.Sprint(v))
	}
}

// generic decodes with the other library.
func generic(t testing.TB, body []byte) any {
	t.Helper()
	r := bytes.NewReader(body)
	v, err := msgpack.NewDecoder(r).DecodeInterface()
	if err != nil {
		t.Fatalf("other library: %v", err)
	}
	if r.Len() != 0 {
		t.Fatalf("other library leaves %d bytes", r.Len())
	}
	return plain(v)
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	vectors := readVectors(t)
	if len(vectors) != len(samples()) {
		t.Errorf("%d vectors for %d samples", len(vectors), len(samples()))
	}
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			v, ok := vectors[s.name]
			if !ok {
				t.Fatalf("not in %s: run go test -run TestVectors -update", vectorFile)
			}
			want, err := hex.DecodeString(v.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.encode(); !bytes.Equal(got, want) {
				t.Errorf("encoder:\n got %x\nwant %x", got, want)
			}
			body := want
			if !s.isContext() {
				var rest []byte
				body, rest, err = Next(want, MaxFrameBytes)
				if err != nil || body == nil || len(rest) > 0 {
					t.Fatalf("frame: body %x, rest %x, %v", body, rest, err)
				}
			}
			got, err := s.decode(body)
			if err != nil {
				t.Fatal(err)
			}
			if d := difference(got, s.want); d != "" {
				t.Errorf("decoder: %s", d)
			}
			if d := difference(generic(t, body), v.Value); d != "" {
				t.Errorf("other library: %s", d)
			}
		})
	}
}

func writeVectors(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, s := range samples() {
		line, err := json.Marshal(vector{s.name, hex.EncodeToString(s.encode()), generic(t, s.body())})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			out.WriteString(",\n")
		}
		out.Write(line)
	}
	out.WriteString("\n]\n")
	if err := os.WriteFile(vectorFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
