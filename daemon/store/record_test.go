package store

import (
	"errors"
	"testing"

	"causalmesh/causal"
)

// FuzzReport: whatever is in the database, reading it gives a version that the core
// can take, which is written as it was read, or an error.
func FuzzReport(f *testing.F) {
	f.Add("v", "", "000000000000000100", "0000000000000000", "0.0.0", "")
	f.Add("", "1", "17979cfe362a00013f", "ffffffffffffffff", "63.65535.18446744073709551615", "7fffffffffffffff")
	f.Add("v", "2", "", "", "", "")
	f.Add("v", "", "00000000000000010g", "+000000000000001", "1.-2.+3", "0x00000000000000")
	f.Add("v", "", "0000000000000001-1", "0000_00000000000", "1..", "é")
	f.Fuzz(func(t *testing.T, value, gone, s, e, d, x string) {
		r := report{value, gone, s, e, d, x}
		v, err := r.found([]byte("k"))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%q: %v is not ErrMalformed", r, err)
			}
			if !sameVersion(v, causal.Version{}) {
				t.Fatalf("%q: a version beside an error", r)
			}
		} else {
			if v.Absent() || v.Stamp.Time > maxTime || v.Deadline > maxTime || v.Stamp.Origin >= causal.MaxReplicas || v.Dot.Origin >= causal.MaxReplicas {
				t.Fatalf("%q: out of range: %s", r, show(v))
			}
			again := report{value, gone, encodeStamp(v.Stamp), encodeWord(uint64(v.Epoch)), encodeDot(v.Dot), encodeDeadline(v.Deadline)}
			w, err := again.found([]byte("k"))
			if err != nil || !sameVersion(v, w) {
				t.Fatalf("%q: read as %s, written and read as %s, %v", r, show(v), show(w), err)
			}
			if again[2] != s || again[3] != e {
				t.Fatalf("%q: fixed-width fields became %q", r, again)
			}
		}
		if v, err := r.foreign([]byte("k")); err == nil && (v.Absent() || !v.Dot.IsZero() || v.Epoch != 0 || v.Deadline != 0) {
			t.Fatalf("%q: foreign %s", r, show(v))
		}
	})
}

func TestEncode(t *testing.T) {
	stamp := causal.Stamp{Time: 0xab, Origin: 63}
	for got, want := range map[string]string{
		encodeStamp(stamp):               "00000000000000ab3f",
		encodeStamp(causal.ForeignStamp): "000000000000000100",
		encodeWord(1<<64 - 1):            "ffffffffffffffff",
		encodeDeadline(0):                "",
		encodeDeadline(16):               "0000000000000010",
		encodeDot(causal.Dot{Origin: 1, Incarnation: 2, Counter: 3}): "1.2.3",
		digest(&causal.Version{}):                                    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		digest(&causal.Version{Tombstone: true, Value: []byte("x")}): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestStrangeReplies: what no script says is an error, not a panic.
func TestStrangeReplies(t *testing.T) {
	s := &Store{}
	for _, fields := range [][]string{
		nil, {}, {""}, {"found"}, {"superseded"}, {"foreign", "v"}, {"unreadable"}, {"unreadable", "why"}, {"unreadable", "a", "b"},
		{"?", "v", "", "000000000000000100", "0000000000000000", "0.0.0", ""},
		{"found", "v", "", "000000000000000100", "0000000000000000", "0.0.0"},
		{"found", "v", "", "000000000000000100", "0000000000000000", "0.0.0", "", ""},
	} {
		var load causal.LoadResult
		if err := s.finishLoad(&load, reply{fields: fields}); !errors.Is(err, ErrMalformed) || load.Status != causal.LoadFailed {
			t.Errorf("load, %q: %v", fields, err)
		}
		var flush causal.FlushResult
		if err := s.finishFlush(&flush, reply{fields: fields}); !errors.Is(err, ErrMalformed) || flush.Status != causal.FlushFailed {
			t.Errorf("flush, %q: %v", fields, err)
		}
	}
}
