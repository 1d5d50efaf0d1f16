package wire

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"causalmesh/causal"
)

// seed adds the body of every sample, whatever its type: the others are good
// starting points for what must be refused.
func seed(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.body())
	}
	f.Add([]byte{})
	f.Add([]byte("\x98\x10\x01\x01\x01\x00\xdd\xff\xff\xff\xff"))
}

// The most memory that a decoder may hold per byte of the body: an absent version
// in a reply is one byte and takes a whole struct, and while a slice grows append
// may hold twice of that. The rest is for slices that are short.
const (
	versionSize      = int(unsafe.Sizeof(causal.Version{}))
	footprintPerByte = 2 * versionSize
	footprintAtLeast = 4 << 10
)

func checkFootprint(t *testing.T, body []byte, held int) {
	t.Helper()
	if most := footprintAtLeast + footprintPerByte*len(body); held > most {
		t.Errorf("%d bytes of input hold %d bytes of memory, at most %d", len(body), held, most)
	}
}

// stable checks that a body which decodes is encoded into bytes that decode to
// the same again, and then into the same bytes.
func stable[T any](t *testing.T, body []byte,
	decode func(body []byte, x *T) error, encode func(x *T) []byte, footprint func(x *T) int) {
	t.Helper()
	var first, second T
	err := decode(body, &first)
	checkFootprint(t, body, footprint(&first))
	if err != nil {
		return
	}
	encoded := encode(&first)
	if encoded == nil {
		return
	}
	if err := decode(encoded, &second); err != nil {
		t.Fatalf("its own encoding is refused: %v", err)
	}
	if d := difference(&second, &first); d != "" {
		t.Fatalf("changed by encoding: %s", d)
	}
	if again := encode(&second); !bytes.Equal(again, encoded) {
		t.Fatalf("two encodings of one value:\n%x\n%x", encoded, again)
	}
}

func knownFootprint(known []causal.SignedVector) int {
	n := 48 * cap(known)
	for _, v := range known {
		n += 8 * cap(v.Vector)
	}
	return n
}

func FuzzDecodeRequest(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		checkCommon(t, body)
		stable(t, body, DecodeRequest,
			func(r *causal.Request) []byte { return AppendRequest(nil, r)[FrameHeaderBytes:] },
			func(r *causal.Request) int { return knownFootprint(r.Known) + 24*cap(r.Keys) + 32*cap(r.Own) })
	})
}

func FuzzDecodeReply(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		known := hotRequest(causal.OpRead).Known
		stable(t, body,
			func(body []byte, r *causal.Reply) error { return DecodeReply(body, r, known) },
			func(r *causal.Reply) []byte { return AppendReply(nil, r, known)[FrameHeaderBytes:] },
			func(r *causal.Reply) int {
				return 8*cap(r.Stability.Vector) + versionSize*cap(r.Versions) + 16*cap(r.Written.Deps) + len(r.Detail)
			})
		if _, err := ReplyID(body); err != nil {
			var r causal.Reply
			if DecodeReply(body, &r, known) == nil {
				t.Errorf("decodes, but has no ID: %v", err)
			}
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		stable(t, body, DecodeMessage,
			func(m *causal.Message) []byte { return AppendMessage(nil, m)[FrameHeaderBytes:] },
			func(m *causal.Message) int {
				n := 8*(cap(m.Everywhere)+cap(m.Vector)+cap(m.Marks)) + 24*cap(m.Entries)
				for _, e := range m.Entries {
					if e.Version != nil {
						n += versionSize + cap(e.Version.Key) + cap(e.Version.Value) + 16*cap(e.Version.Deps)
					}
				}
				return n
			})
	})
}

func FuzzDecodeContext(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		stable(t, body,
			func(b []byte, x *causal.Context) (err error) { *x, err = DecodeContext(b); return err },
			func(x *causal.Context) []byte { return AppendContext(nil, x) },
			func(x *causal.Context) int {
				n := knownFootprint(x.Known) + (versionSize+16)*cap(x.Own)
				for _, o := range x.Own {
					n += cap(o.Version.Key) + cap(o.Version.Value) + 16*cap(o.Version.Deps)
				}
				return n
			})
	})
}

func FuzzDecodeHandshake(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		stable(t, body,
			func(b []byte, m *Handshake) (err error) { *m, err = DecodeHandshake(b); return err },
			func(m *Handshake) []byte {
				if r, ok := (*m).(*Refusal); ok {
					r.Version = ProtocolVersion // the encoder writes its own
				}
				b, err := AppendHandshake(nil, *m)
				if errors.Is(err, ErrFrameTooLarge) {
					return nil // fields that were left out now take their place
				}
				if err != nil {
					t.Fatal(err)
				}
				return b[FrameHeaderBytes:]
			},
			func(m *Handshake) int {
				if w, ok := (*m).(*PeerWelcome); ok {
					return 8 * (cap(w.Received) + cap(w.Marks) + cap(w.Everywhere))
				}
				return 0
			})
	})
}

// Frames come apart without a panic, in order, and put together again they are
// what came in.
func FuzzNext(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02ab\x00\x00\x00\x01c\x00\x00"), uint16(5))
	f.Add([]byte("\x00\x00\x00\x00"), uint16(5))
	f.Add([]byte("\xff\xff\xff\xff"), uint16(65535))
	f.Fuzz(func(t *testing.T, stream []byte, maxBody uint16) {
		var again []byte
		rest := stream
		for {
			body, next, err := Next(rest, int(maxBody))
			if err != nil || body == nil {
				rest = next
				break
			}
			if len(body) == 0 || len(body) > int(maxBody) {
				t.Fatalf("a body of %d bytes", len(body))
			}
			var start int
			again, start = beginFrame(again)
			again = endFrame(append(again, body...), start)
			rest = next
		}
		if again = append(again, rest...); !bytes.Equal(again, stream) {
			t.Fatalf("put together again:\n%x\n%x", again, stream)
		}
	})
}
