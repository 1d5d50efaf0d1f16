package load

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// desk is a codec with one session that has asked for something.
type desk struct {
	codec   codec
	session *session
	sent    []byte
}

func newDesk(t testing.TB, system string, read bool) *desk {
	t.Helper()
	o, err := ParseArgs([]string{"--target", system + ":unix:none", "--keys", "2", "--value-size", "3"})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{codec: o.system.codec(newRun(&o)), session: &session{chooser: newChooser(&o, 0), conn: &conn{}}}
	copy(d.session.value, "abc")
	d.codec.enlist(d.session)
	d.session.op = op{read: read, rank: 1}
	if d.sent, err = d.codec.request(nil, d.session); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) reply(buf []byte) (answer, error) { return d.codec.reply(d.session.conn, buf) }

// meshReply is a server's answer to what was sent.
func (d *desk) meshReply(change func(*causal.Reply)) []byte {
	var q causal.Request
	if err := wire.DecodeRequest(d.sent[wire.FrameHeaderBytes:], &q); err != nil {
		panic(err)
	}
	r := causal.Reply{ID: q.ID, Op: q.Op, Epoch: 1, Stability: causal.SignedVector{Vector: causal.VectorClock{1}}, Time: 5}
	v := causal.Version{Dot: causal.Dot{Counter: 1}, Stamp: causal.Stamp{Time: 4}, Value: []byte("abc")}
	switch q.Op {
	case causal.OpRead:
		r.Versions = []causal.Version{v}
	case causal.OpWrite:
		v.Value = nil
		r.Written = v
	}
	if change != nil {
		change(&r)
	}
	return wire.AppendReply(nil, &r, q.Known)
}

// TestRequests: the bytes are those of the protocols.
func TestRequests(t *testing.T) {
	value := string(newDesk(t, "redis", true).session.nextValue())
	for _, c := range []struct {
		system string
		read   bool
		want   string
	}{
		{"redis", true, "*2\r\n$3\r\nGET\r\n$12\r\nk00000000001\r\n"},
		{"redis", false, "*3\r\n$3\r\nSET\r\n$12\r\nk00000000001\r\n$3\r\n" + value + "\r\n"},
		{"memcached", true, "mg k00000000001 v\r\n"},
		{"memcached", false, "ms k00000000001 3\r\n" + value + "\r\n"},
	} {
		if got := newDesk(t, c.system, c.read).sent; string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.system, got, c.want)
		}
	}
	d := newDesk(t, "causalmesh", false)
	var q causal.Request
	if err := wire.DecodeRequest(d.sent[wire.FrameHeaderBytes:], &q); err != nil || q.Op != causal.OpWrite ||
		string(q.Keys[0]) != "k00000000001" || string(q.Value) != value {
		t.Errorf("causalmesh: %+v, %v", q, err)
	}
}

// goodReply is what a server may answer to a read, or to a write.
type goodReply struct {
	system      string
	read, found bool
	refused     string // in the error, if the server refuses
	bytes       func(d *desk) []byte
}

func text(s string) func(*desk) []byte { return func(*desk) []byte { return []byte(s) } }

func code(c causal.Code) func(d *desk) []byte {
	return func(d *desk) []byte {
		return d.meshReply(func(r *causal.Reply) { r.Code, r.Detail = c, "for a test" })
	}
}

var goodReplies = []goodReply{
	{"redis", true, true, "", text("$3\r\na\nc\r\n")},
	{"redis", true, true, "", text("$0\r\n\r\n")},
	{"redis", true, false, "", text("$-1\r\n")},
	{"redis", true, false, "LOADING", text("-LOADING Redis is loading\r\n")},
	{"redis", false, false, "", text("+OK\r\n")},
	{"redis", false, false, "OOM", text("-OOM command not allowed\r\n")},
	{"memcached", true, true, "", text("VA 3\r\na\nc\r\n")},
	{"memcached", true, false, "", text("EN\r\n")},
	{"memcached", true, false, "out of memory", text("SERVER_ERROR out of memory\r\n")},
	{"memcached", false, false, "", text("HD\r\n")},
	{"memcached", false, false, "too large", text("SERVER_ERROR object too large for cache\r\n")},
	{"causalmesh", true, true, "", func(d *desk) []byte { return d.meshReply(nil) }},
	{"causalmesh", true, false, "", func(d *desk) []byte {
		return d.meshReply(func(r *causal.Reply) { r.Versions = []causal.Version{{}} })
	}},
	{"causalmesh", false, false, "", func(d *desk) []byte { return d.meshReply(nil) }},
	{"causalmesh", false, false, ErrRefused.Error(), code(causal.CodeOverloaded)},
	{"causalmesh", true, false, ErrRefused.Error(), code(causal.CodeUnavailable)},
	{"causalmesh", true, false, "for a test", code(causal.CodeNotReady)},
	{"causalmesh", true, false, "code 200", code(200)},
}

// TestReplies feeds each reply byte by byte, and with something behind it.
func TestReplies(t *testing.T) {
	for _, g := range goodReplies {
		d := newDesk(t, g.system, g.read)
		whole := g.bytes(d)
		name := fmt.Sprintf("%s, read %v: %q", g.system, g.read, whole)
		for n := range whole {
			if a, err := d.reply(whole[:n]); err != nil || a.size != 0 || a.session != nil {
				t.Fatalf("%s: after %d bytes %+v, %v", name, n, a, err)
			}
		}
		a, err := d.reply(append(bytes.Clone(whole), "more"...))
		if err != nil || a.size != len(whole) || a.session != d.session || a.found != g.found || a.step != stepEnded {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if (a.err != nil) != (g.refused != "") || a.err != nil && !strings.Contains(a.err.Error(), g.refused) {
			t.Errorf("%s: refused with %v, want %q", name, a.err, g.refused)
		}
		// The same once more: nothing is under way.
		if _, err := d.reply(whole); !errors.Is(err, errUnexpected) {
			t.Errorf("%s: taken for an answer a second time: %v", name, err)
		}
	}
}

// TestHostileReplies: what no server says ends the load, and the error shows it.
func TestHostileReplies(t *testing.T) {
	for _, c := range []struct {
		system string
		read   bool
		bytes  func(*desk) []byte
		shows  string
	}{
		{"redis", true, text("+OK\r\n"), `"+OK\r\n" in place of a bulk string`},
		{"redis", true, text(":1\r\n"), "in place of a bulk string"},
		{"redis", true, text("\r\n"), "in place of a bulk string"},
		{"redis", true, text("$\r\n"), "in place of a length"},
		{"redis", true, text("$-2\r\n"), "in place of a length"},
		{"redis", true, text("$03\r\nabc\r\n"), "in place of a length"},
		{"redis", true, text("$99999999999999999999\r\n"), "in place of a length of at most 67108864"},
		{"redis", true, text("$67108865\r\n"), "in place of a length"},
		{"redis", true, text("$3\r\nabcdef"), "in place of the end of a value"},
		{"redis", true, text("$3\n"), "a line that ends with CR LF"},
		{"redis", true, text("\n"), "a line that ends with CR LF"},
		{"redis", true, text(strings.Repeat("x", maxLineBytes)), "a line that ends with CR LF"},
		{"redis", false, text("$3\r\nabc\r\n"), "in place of +OK"},
		{"memcached", true, text("VA -1\r\n"), "in place of a length"},
		{"memcached", true, text("VA 67108865\r\n"), "in place of a length"},
		{"memcached", true, text("VA 1 t0\r\n"), "in place of a length"},
		{"memcached", true, text("VA 1\r\nabc"), "in place of the end of a value"},
		{"memcached", true, text("HD\r\n"), "in place of VA or EN"},
		{"memcached", true, text("CLIENT_ERROR bad\r\n"), "CLIENT_ERROR bad"},
		{"memcached", false, text("NS\r\n"), "in place of HD"},
		{"memcached", false, text("ERROR\r\n"), `"ERROR\r\n" in place of HD`},
		{"causalmesh", true, text("\x00\x00\x00\x00"), "empty frame"},
		{"causalmesh", true, text("\xff\xff\xff\xff"), "in place of a reply"},
		{"causalmesh", true, text("\x00\x00\x00\x01x"), "protocol"},
		{"causalmesh", true, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.ID.Number++ })
		}, "a reply to request 2 of session"},
		{"causalmesh", true, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.ID.Session ^= 1 << 40 })
		}, "which is not under way here"},
		{"causalmesh", true, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.ID.Session |= 1<<indexBits - 1 })
		}, "which is not under way here"},
		{"causalmesh", true, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.Versions = nil })
		}, "0 values for 1 keys"},
		{"causalmesh", true, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.Op = causal.OpSync })
		}, "reply to sync"},
		{"causalmesh", true, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.Epoch = 0 })
		}, "without an epoch"},
		{"causalmesh", false, func(d *desk) []byte {
			return d.meshReply(func(r *causal.Reply) { r.Written = causal.Version{} })
		}, "a write that became nothing"},
	} {
		d := newDesk(t, c.system, c.read)
		sent := c.bytes(d)
		a, err := d.reply(sent)
		if !errors.Is(err, errUnexpected) || !strings.Contains(err.Error(), c.shows) {
			t.Errorf("%s, read %v, %.80q: %+v, %v; want %q", c.system, c.read, sent, a, err, c.shows)
		}
	}
}

// TestReplyOnAnotherConnection: a request is answered where it was made.
func TestReplyOnAnotherConnection(t *testing.T) {
	d := newDesk(t, "causalmesh", true)
	if _, err := d.codec.reply(&conn{}, d.meshReply(nil)); !errors.Is(err, errUnexpected) {
		t.Errorf("%v", err)
	}
}

// TestLostPast: a session whose past is gone is replaced.
func TestLostPast(t *testing.T) {
	for _, lost := range []causal.Code{causal.CodeEpoch, causal.CodeFutureContext} {
		d := newDesk(t, "causalmesh", true)
		before := d.session.flow.main.id
		if a, err := d.reply(code(lost)(d)); err != nil || a.err == nil {
			t.Fatalf("%+v, %v", a, err)
		}
		if after := d.session.flow.main.id; after == before {
			t.Errorf("%v: the session goes on", lost)
		}
		var err error
		if d.sent, err = d.codec.request(nil, d.session); err != nil {
			t.Fatal(err)
		}
		if a, err := d.reply(d.meshReply(nil)); err != nil || !a.found {
			t.Errorf("%v: then %+v, %v", lost, a, err)
		}
	}
}

// FuzzReplies: whatever comes is an answer, incomplete, or an error.
func FuzzReplies(f *testing.F) {
	names := []string{"redis", "memcached", "causalmesh"}
	for i, name := range names {
		for _, g := range goodReplies {
			if g.system == name {
				f.Add(uint8(i), g.read, g.bytes(newDesk(f, name, g.read)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, read bool, came []byte) {
		d := newDesk(t, names[int(which)%len(names)], read)
		a, err := d.reply(came)
		switch {
		case err != nil && (a.session != nil || a.size != 0):
			t.Errorf("%+v with %v", a, err)
		case a.size > len(came):
			t.Errorf("%d of %d bytes", a.size, len(came))
		case a.session != nil && a.size == 0:
			t.Error("an answer in no bytes")
		}
	})
}
