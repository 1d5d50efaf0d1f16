package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name       string
		buf        string
		body, rest string
		err        error
	}{
		{"nothing", "", "", "", nil},
		{"part of the length", "\x00\x00\x00", "", "\x00\x00\x00", nil},
		{"length alone", "\x00\x00\x00\x02", "", "\x00\x00\x00\x02", nil},
		{"part of the body", "\x00\x00\x00\x02a", "", "\x00\x00\x00\x02a", nil},
		{"one frame", "\x00\x00\x00\x02ab", "ab", "", nil},
		{"one and a part", "\x00\x00\x00\x02ab\x00", "ab", "\x00", nil},
		{"largest", "\x00\x00\x00\x05abcde", "abcde", "", nil},
		{"over the maximum", "\x00\x00\x00\x06", "", "\x00\x00\x00\x06", ErrFrameTooLarge},
		{"far over the maximum", "\xff\xff\xff\xff", "", "\xff\xff\xff\xff", ErrFrameTooLarge},
		{"empty", "\x00\x00\x00\x00\x00", "", "\x00\x00\x00\x00\x00", ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, rest, err := Next([]byte(c.buf), 5)
			if string(body) != c.body || string(rest) != c.rest || !errors.Is(err, c.err) {
				t.Errorf("got %q, %q, %v", body, rest, err)
			}
			if c.body == "" && body != nil {
				t.Error("an incomplete frame has a body that is not nil")
			}
		})
	}
}

// However a stream of frames is cut into receives, the same bodies come out.
func TestNextPiecewise(t *testing.T) {
	var stream []byte
	var want [][]byte
	for _, s := range samples() {
		if !s.isContext() {
			stream = append(stream, s.encode()...)
			want = append(want, s.body())
		}
	}
	for _, piece := range []int{1, 2, 3, 5, 64, 1000, len(stream)} {
		var buf []byte
		var got [][]byte
		for at := 0; at < len(stream); at += piece {
			buf = append(buf, stream[at:min(at+piece, len(stream))]...)
			for {
				body, rest, err := Next(buf, MaxHandshakeBytes)
				if err != nil {
					t.Fatal(err)
				}
				if body == nil {
					break
				}
				got = append(got, bytes.Clone(body))
				buf = rest
			}
		}
		if d := difference(got, want); d != "" || len(buf) > 0 {
			t.Errorf("pieces of %d: %s, %d bytes left", piece, d, len(buf))
		}
	}
}

func TestNextBodyIsClipped(t *testing.T) {
	buf := []byte("\x00\x00\x00\x01a\x00\x00\x00\x01b")
	body, _, err := Next(buf, 5)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(body, 'x')
	if buf[5] != 0 {
		t.Error("an append to the body overwrites the next frame")
	}
}

func TestTypeOf(t *testing.T) {
	for _, s := range samples() {
		if s.isContext() {
			continue
		}
		got, err := TypeOf(s.body())
		if want := Type(s.body()[1]); err != nil || got != want {
			t.Errorf("%s: %v, %v", s.name, got, err)
		}
	}
	for _, body := range []string{"", "\x90", "\x10", "\x91", "\x91\xc0", "\x91\xcd\x01\x10"} {
		if got, err := TypeOf([]byte(body)); !errors.Is(err, ErrMalformed) {
			t.Errorf("% x: %v, %v", body, got, err)
		}
	}
	if got := Type(99).String(); got != "type 99" {
		t.Error(got)
	}
}
