package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// envelope builds the body of a handshake frame by hand.
func envelope(elements uint32, t Type, magic string, version uint16, fields string) []byte {
	b := msgp.AppendArrayHeader(nil, elements)
	b = msgp.AppendUint8(b, uint8(t))
	b = msgp.AppendString(b, magic)
	b = msgp.AppendUint16(b, version)
	return append(b, fields...)
}

func TestHandshakeErrors(t *testing.T) {
	const emptyMap = "\x80"
	for _, c := range []struct {
		name string
		body []byte
		err  error
	}{
		{"another protocol", []byte("GET / HTTP/1.1\r\n"), ErrMagic},
		{"another magic", envelope(4, TypeHello, "causalmess", 1, emptyMap), ErrMagic},
		{"longer magic", envelope(4, TypeHello, "causalmesh2", 1, emptyMap), ErrMagic},
		{"magic is a number", []byte{0x94, 1, 1, 1, 0x80}, ErrMagic},
		{"next version", envelope(4, TypeHello, Magic, ProtocolVersion+1, emptyMap), ErrVersion},
		{"next version, other fields", envelope(4, TypePeerHello, Magic, ProtocolVersion+1, "\xc0"), ErrVersion},
		{"version 0", envelope(4, TypeHello, Magic, 0, emptyMap), ErrVersion},
		{"version is negative", append(msgp.AppendString([]byte{0x94, 1}, Magic), 0xff, 0x80), ErrMalformed},
		{"no handshake", envelope(4, TypeRequest, Magic, 1, emptyMap), ErrMalformed},
		{"too few elements", envelope(3, TypeHello, Magic, 1, ""), ErrMalformed},
		{"fields are no map", envelope(4, TypeHello, Magic, 1, "\x90"), ErrMalformed},
		{"field of the wrong type", envelope(4, TypeRefusal, Magic, 1, "\x81\xa4code\xa1x"), ErrMalformed},
		{"code does not fit", envelope(4, TypeRefusal, Magic, 1, "\x81\xa4code\xcd\x01\x00"), ErrMalformed},
		{"field twice", envelope(4, TypeRefusal, Magic, 1, "\x82\xa4code\x01\xa4code\x02"), ErrMalformed},
		{"proof too short", envelope(4, TypePeerProof, Magic, 1, "\x81\xa5proof\xc4\x01\x01"), ErrMalformed},
		{"proof too long", envelope(4, TypePeerProof, Magic, 1, "\x81\xa5proof\xc4\x21"+strings.Repeat("x", 33)), ErrMalformed},
		{"vector too long", envelope(4, TypePeerWelcome, Magic, 1,
			"\x81\xa5marks\xdc\x00\x41"+strings.Repeat("\x00", 65)), ErrMalformed},
		{"huge vector", envelope(4, TypePeerWelcome, Magic, 1, "\x81\xa5marks\xdd\xff\xff\xff\xff"), ErrMalformed},
		{"huge map", envelope(4, TypeHello, Magic, 1, "\xdf\xff\xff\xff\xff"), ErrMalformed},
		{"bytes after the end", envelope(4, TypeHello, Magic, 1, emptyMap+"\x00"), ErrMalformed},
		{"more elements than there are", envelope(5, TypeHello, Magic, 1, emptyMap), ErrMalformed},
		{"server outside of its ring", envelope(4, TypeWelcome, Magic, 1, "\x82\xa4node\x03\xa9ring_size\x03"), ErrMalformed},
		{"ring too large", envelope(4, TypeWelcome, Magic, 1, "\x81\xa9ring_size\x41"), ErrMalformed},
		{"too large", make([]byte, MaxHandshakeBytes+1), ErrFrameTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if m, err := DecodeHandshake(c.body); !errors.Is(err, c.err) {
				t.Errorf("got %v, %v, want %v", m, err, c.err)
			}
		})
	}
}

func TestVersionErrorNamesBothVersions(t *testing.T) {
	_, err := DecodeHandshake(envelope(4, TypeHello, Magic, 77, "\x80"))
	var v *VersionError
	if !errors.As(err, &v) || v.Ours != ProtocolVersion || v.Theirs != 77 {
		t.Fatalf("got %v", err)
	}
	if text := err.Error(); !strings.Contains(text, "ours is 1") || !strings.Contains(text, "theirs is 77") {
		t.Errorf("the text does not name both: %s", text)
	}
}

// A refusal is read whatever version it is from: it is how the older side learns
// what it lacks.
func TestRefusalOfAnotherVersion(t *testing.T) {
	m, err := DecodeHandshake(envelope(4, TypeRefusal, Magic, 2, "\x82\xa4code\x01\xa4text\xa1x"))
	if err != nil {
		t.Fatal(err)
	}
	err = m.(*Refusal).Err()
	var v *VersionError
	if !errors.As(err, &v) || v.Theirs != 2 {
		t.Errorf("got %v", err)
	}
	err = (&Refusal{Code: RefusedNotReady, Text: "joining", Version: ProtocolVersion}).Err()
	var r *RefusedError
	if !errors.Is(err, ErrRefused) || !errors.As(err, &r) || r.Code != RefusedNotReady ||
		!strings.Contains(err.Error(), "not ready: joining") {
		t.Errorf("got %v", err)
	}
}

// What a later minor change may add is ignored: fields, and elements behind them.
func TestHandshakeToleratesAdditions(t *testing.T) {
	body := envelope(6, TypeHello, Magic, ProtocolVersion, "\x83\xa3new\x92\x01\x02\xa6client\xa1c\xa4more\xc0")
	body = append(body, 0x81, 0xa1, 'k', 0x01, 0xc3)
	m, err := DecodeHandshake(body)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*Hello).Client; got != "c" {
		t.Errorf("client is %q", got)
	}
}

func TestAppendHandshakeTooLarge(t *testing.T) {
	before := []byte("before")
	b, err := AppendHandshake(before, &Hello{Client: strings.Repeat("x", MaxHandshakeBytes)})
	if !errors.Is(err, ErrFrameTooLarge) || string(b) != "before" {
		t.Errorf("got %q, %v", b, err)
	}
	b, err = AppendHandshake(before, &PeerWelcome{Marks: make([]causal.Counter, causal.MaxReplicas+1)})
	if err == nil || string(b) != "before" {
		t.Errorf("got %q, %v", b, err)
	}
}

// The largest peer welcome there can be must fit what is read before the handshake.
func TestLargestPeerWelcomeFits(t *testing.T) {
	full := make([]causal.Counter, causal.MaxReplicas)
	for i := range full {
		full[i] = ^causal.Counter(0)
	}
	if _, err := AppendHandshake(nil, &PeerWelcome{Received: full, Marks: full, Everywhere: full}); err != nil {
		t.Error(err)
	}
}

func TestProof(t *testing.T) {
	hello, welcome := samplePeers()
	if !welcome.Proof.Verify(sampleKey, RoleCalled, hello, welcome) {
		t.Fatal("a good proof does not verify")
	}
	if welcome.Proof.Verify(sampleKey, RoleCalling, hello, welcome) {
		t.Error("a proof sent back verifies")
	}
	if welcome.Proof.Verify([]byte("another key"), RoleCalled, hello, welcome) {
		t.Error("a proof under another key verifies")
	}
	if (Prove(nil, RoleCalled, hello, welcome)).Verify(nil, RoleCalled, hello, welcome) {
		t.Error("no key verifies")
	}
	for name, change := range map[string]func(h *PeerHello, w *PeerWelcome){
		"from":              func(h *PeerHello, w *PeerWelcome) { h.From++ },
		"to":                func(h *PeerHello, w *PeerWelcome) { h.To++ },
		"ring size":         func(h *PeerHello, w *PeerWelcome) { h.RingSize++ },
		"digest":            func(h *PeerHello, w *PeerWelcome) { h.Digest[15]++ },
		"epoch":             func(h *PeerHello, w *PeerWelcome) { h.Epoch++ },
		"incarnation":       func(h *PeerHello, w *PeerWelcome) { h.Incarnation++ },
		"boot":              func(h *PeerHello, w *PeerWelcome) { h.Boot++ },
		"expected boot":     func(h *PeerHello, w *PeerWelcome) { h.Expected++ },
		"acks":              func(h *PeerHello, w *PeerWelcome) { h.Acks = !h.Acks },
		"nonce":             func(h *PeerHello, w *PeerWelcome) { h.Nonce[0]++ },
		"their epoch":       func(h *PeerHello, w *PeerWelcome) { w.Epoch++ },
		"their incarnation": func(h *PeerHello, w *PeerWelcome) { w.Incarnation++ },
		"their boot":        func(h *PeerHello, w *PeerWelcome) { w.Boot++ },
		"received":          func(h *PeerHello, w *PeerWelcome) { w.Received[2]++ },
		"moved between vectors": func(h *PeerHello, w *PeerWelcome) {
			w.Received, w.Marks = w.Received[:2], w.Received[2:]
		},
		"everywhere":  func(h *PeerHello, w *PeerWelcome) { w.Everywhere = w.Everywhere[:2] },
		"their nonce": func(h *PeerHello, w *PeerWelcome) { w.Nonce[0]++ },
		"proof":       func(h *PeerHello, w *PeerWelcome) { w.Proof[31]++ },
	} {
		h, w := samplePeers()
		change(h, w)
		if w.Proof.Verify(sampleKey, RoleCalled, h, w) {
			t.Errorf("%s changed, and the proof still verifies", name)
		}
	}
	hello.Nonce = Nonce{}
	if Prove(sampleKey, RoleCalled, hello, welcome).Verify(sampleKey, RoleCalled, hello, welcome) {
		t.Error("a proof without a nonce verifies")
	}
}

// The proof, put together by hand from the table in docs/wire.md.
func TestProofIsAsDocumented(t *testing.T) {
	text := "causalmesh peer proof 1\x00" +
		"\x01" + "\x00" + "\x01" + "\x03" + "\x01" + // role, from, to, ring size, acks
		"\x00\x00\x00\x00\x00\x00\x00\x01" + // protocol version
		"\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f" +
		"\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf" +
		"\x00\x00\x00\x00\x00\x00\x00\x03" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x02\x03\x04\x05\x06\x07\x08" +
		"\x11\x12\x13\x14\x15\x16\x17\x18" + // expected
		"\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xcb\xcc\xcd\xce\xcf" +
		"\x00\x00\x00\x00\x00\x00\x00\x03" + "\x00\x00\x00\x00\x00\x00\x00\x04" + "\x11\x12\x13\x14\x15\x16\x17\x18" +
		"\x00\x00\x00\x00\x00\x00\x00\x03" + // received: 6, 301, 2
		"\x00\x00\x00\x00\x00\x00\x00\x06" + "\x00\x00\x00\x00\x00\x00\x01\x2d" + "\x00\x00\x00\x00\x00\x00\x00\x02" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" + // marks: none
		"\x00\x00\x00\x00\x00\x00\x00\x03" + // stability: 5, 300, 0
		"\x00\x00\x00\x00\x00\x00\x00\x05" + "\x00\x00\x00\x00\x00\x00\x01\x2c" + "\x00\x00\x00\x00\x00\x00\x00\x00"
	mac := hmac.New(sha256.New, sampleKey)
	mac.Write([]byte(text))
	hello, welcome := samplePeers()
	if got := Prove(sampleKey, RoleCalled, hello, welcome); string(mac.Sum(nil)) != string(got[:]) {
		t.Errorf("got %x", got)
	}
}

func TestClientLimitsRoundTrip(t *testing.T) {
	var base causal.Limits
	got := ClientLimitsOf(causal.DefaultLimits).Limits(base)
	if got.KeyBytes != causal.DefaultLimits.KeyBytes || got.Branches != causal.DefaultLimits.Branches {
		t.Errorf("got %+v", got)
	}
	if ClientLimitsOf(causal.Limits{}) != ClientLimitsOf(causal.DefaultLimits) {
		t.Error("zero fields do not stand for the defaults")
	}
}
