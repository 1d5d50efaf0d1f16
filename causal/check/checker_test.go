package check

import (
	"strings"
	"testing"

	"causalmesh/causal"
)

// The keys of hand-written histories.
const (
	keyX KeyID = iota
	keyY
	keyZ
)

func tinyHistory() *History { return &History{Keys: []string{"x", "y", "z"}} }

// stampAt is a stamp of server 0, clear of ForeignStamp, and dotAt the dot of the
// write that has it.
func stampAt(t causal.Time) causal.Stamp { return causal.Stamp{Time: 100 + t} }

func dotAt(t causal.Time) causal.Dot { return causal.Dot{Counter: causal.Counter(t)} }

// put writes a value that is numbered as its stamp.
func put(p *Process, k KeyID, t causal.Time) {
	p.Write(k, ValueID(t), Acknowledged, dotAt(t), stampAt(t))
}

// found is the item of a read that returned what put wrote.
func found(k KeyID, t causal.Time) Item {
	return Item{Key: k, Seen: SeenValue, Value: ValueID(t), Dot: dotAt(t), Stamp: stampAt(t)}
}

func missing(k KeyID) Item { return Item{Key: k} }

func deleted(k KeyID, t causal.Time) Item {
	return Item{Key: k, Seen: SeenTombstone, Dot: dotAt(t), Stamp: stampAt(t)}
}

func expired(k KeyID, t causal.Time) Item {
	it := deleted(k, t)
	it.Seen = SeenExpired
	return it
}

func final(servers ...[]Item) []ServerState {
	var states []ServerState
	for i, items := range servers {
		states = append(states, ServerState{Server: causal.ReplicaID(i), Items: items})
	}
	return states
}

// verdict is what a checker must say about a history: nothing, or one violation.
type verdict struct {
	kind Kind
	at   Place
	says string // part of the message
}

type tinyCase struct {
	name  string
	build func(h *History)
	want  *verdict // nil: legal
}

var tinyCases = []tinyCase{
	{"empty", func(h *History) {}, nil},

	{"value written twice", func(h *History) {
		p := h.Start("a", 1)
		p.Write(keyX, 7, Acknowledged, dotAt(1), stampAt(1))
		p.Write(keyY, 7, Acknowledged, dotAt(2), stampAt(2))
	}, &verdict{KindMalformed, Place{0, 1, keyY}, "writes value v7 again"}},
	{"unknown key", func(h *History) { h.Start("a", 1).Read(missing(9)) },
		&verdict{KindMalformed, Place{0, 0, -1}, "key 9 of 3"}},
	{"parent without that many operations", func(h *History) {
		h.Start("a", 1)
		h.Start("b", 1, Position{Process: 0, Ops: 1})
	}, &verdict{KindMalformed, Place{1, -1, -1}, "does not have them"}},

	{"read what was written", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		h.Start("b", 1).Read(found(keyX, 1))
	}, nil},
	{"read from nowhere", func(h *History) { h.Start("b", 1).Read(found(keyX, 1)) },
		&verdict{KindNowhere, Place{0, 0, keyX}, "never written"}},
	{"tombstone from nowhere", func(h *History) { h.Start("b", 1).Read(deleted(keyX, 1)) },
		&verdict{KindNowhere, Place{0, 0, keyX}, "no write of the key"}},
	{"tombstone of a write that has a value", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		h.Start("b", 1).Read(deleted(keyX, 1))
	}, &verdict{KindNowhere, Place{1, 0, keyX}, "which has a value"}},
	{"expired", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		h.Start("b", 1).Read(expired(keyX, 1))
	}, nil},
	{"tombstone of an unknown delete", func(h *History) {
		h.Start("a", 1).Delete(keyX, Unknown, causal.Dot{}, causal.Stamp{})
		h.Start("b", 1).Read(deleted(keyX, 1))
	}, nil},
	{"two tombstones of one unknown delete", func(h *History) {
		h.Start("a", 1).Delete(keyX, Unknown, causal.Dot{}, causal.Stamp{})
		b := h.Start("b", 1)
		b.Read(deleted(keyX, 1))
		b.Read(found(keyX, 2))
		b.Read(deleted(keyX, 3))
		put(h.Start("c", 1), keyX, 2)
	}, &verdict{KindNowhere, Place{1, 0, keyX}, "no write of the key"}},
	{"refused write", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Refused, causal.Dot{}, causal.Stamp{})
		h.Start("b", 1).Read(missing(keyX))
	}, nil},
	{"read of a refused write", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Refused, causal.Dot{}, causal.Stamp{})
		h.Start("b", 1).Read(found(keyX, 1))
	}, &verdict{KindRefused, Place{1, 0, keyX}, "was refused"}},
	{"another key's value", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		h.Start("b", 1).Read(found(keyY, 1))
	}, &verdict{KindWrongKey, Place{1, 0, keyY}, `that is v1 of "x"`}},
	{"another key's tombstone", func(h *History) {
		h.Start("a", 1).Delete(keyX, Acknowledged, dotAt(1), stampAt(1))
		h.Start("b", 1).Read(deleted(keyY, 1))
	}, &verdict{KindWrongKey, Place{1, 0, keyY}, "that is a delete"}},

	{"read of one's own future", func(h *History) {
		p := h.Start("a", 1)
		p.Read(found(keyX, 1))
		put(p, keyX, 1)
	}, &verdict{KindCycle, Place{0, 0, -1}, "causally after itself"}},
	{"two read each other's future", func(h *History) {
		a, b := h.Start("a", 1), h.Start("b", 1)
		a.Read(found(keyY, 2))
		put(a, keyX, 1)
		b.Read(found(keyX, 1))
		put(b, keyY, 2)
	}, &verdict{KindCycle, Place{0, 0, -1}, "a op 0: read of \"y\" comes after b op 1"}},
	{"stamp below one's own write", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyX, 2)
		put(p, keyY, 1)
	}, &verdict{KindStampOrder, Place{0, 1, keyY}, "not above its past"}},
	{"stamp below what was read", func(h *History) {
		put(h.Start("a", 1), keyX, 2)
		p := h.Start("b", 1)
		p.Read(found(keyX, 2))
		put(p, keyY, 1)
	}, &verdict{KindStampOrder, Place{1, 1, keyY}, "v2 of \"x\""}},
	{"concurrent writes in any order of stamps", func(h *History) {
		put(h.Start("a", 1), keyX, 2)
		put(h.Start("b", 1), keyY, 1)
	}, nil},
	{"two writes with one stamp", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Acknowledged, dotAt(1), stampAt(5))
		h.Start("b", 1).Write(keyY, 2, Acknowledged, dotAt(2), stampAt(5))
	}, &verdict{KindStampClash, Place{1, 0, keyY}, "the same stamp"}},
	{"one write with two stamps", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		it := found(keyX, 1)
		it.Stamp = stampAt(2)
		h.Start("b", 1).Read(it)
	}, &verdict{KindStampClash, Place{1, 0, keyX}, "found stamp 102@0"}},
	{"two writes with one dot", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Acknowledged, dotAt(5), stampAt(1))
		h.Start("b", 1).Write(keyY, 2, Acknowledged, dotAt(5), stampAt(2))
	}, &verdict{KindDotClash, Place{1, 0, keyY}, "the same dot"}},
	{"dots begin anew with an epoch", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Acknowledged, dotAt(5), stampAt(1))
		h.Start("b", 2).Write(keyY, 2, Acknowledged, dotAt(5), stampAt(2))
	}, nil},

	{"own write unseen", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyX, 1)
		p.Read(missing(keyX))
	}, &verdict{KindStale, Place{0, 1, keyX}, "found nothing"}},
	{"own write beaten", func(h *History) {
		put(h.Start("b", 1), keyX, 2)
		p := h.Start("a", 1)
		put(p, keyX, 1)
		p.Read(found(keyX, 2))
	}, nil},
	{"reads go back", func(h *History) {
		w := h.Start("w", 1)
		put(w, keyX, 1)
		put(w, keyX, 2)
		p := h.Start("a", 1)
		p.Read(found(keyX, 2))
		p.Read(found(keyX, 1))
	}, &verdict{KindStale, Place{1, 1, keyX}, "w op 1"}},
	{"effect without cause", func(h *History) {
		a, b, c := h.Start("a", 1), h.Start("b", 1), h.Start("c", 1)
		put(a, keyX, 1)
		b.Read(found(keyX, 1))
		put(b, keyY, 2)
		c.Read(found(keyY, 2))
		c.Read(missing(keyX))
	}, &verdict{KindStale, Place{2, 1, keyX},
		`c op 1: read of "x" ← c op 0: read of "y" ← b op 1: write of "y" ← b op 0: read of "x" ← a op 0: write of "x"`}},
	{"cause without effect", func(h *History) {
		a, b, c := h.Start("a", 1), h.Start("b", 1), h.Start("c", 1)
		put(a, keyX, 1)
		b.Read(found(keyX, 1))
		put(b, keyY, 2)
		c.Read(missing(keyY))
		c.Read(found(keyX, 1))
		c.Read(missing(keyY))
	}, nil},
	{"delete undone", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyX, 1)
		p.Delete(keyX, Acknowledged, dotAt(2), stampAt(2))
		p.Read(deleted(keyX, 2))
		p.Read(found(keyX, 1))
	}, &verdict{KindStale, Place{0, 3, keyX}, "a delete"}},
	{"branch forgets its parent", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyX, 1)
		h.Start("a/1", 1, p.Position()).Read(missing(keyX))
	}, &verdict{KindStale, Place{1, 0, keyX}, "a/1 (start)"}},
	{"branches do not see each other", func(h *History) {
		p := h.Start("a", 1)
		b := h.Start("a/1", 1, p.Position())
		c := h.Start("a/2", 1, p.Position())
		put(b, keyX, 1)
		c.Read(missing(keyX))
	}, nil},
	{"join forgets a branch", func(h *History) {
		p := h.Start("a", 1)
		b := h.Start("a/1", 1, p.Position())
		put(b, keyX, 1)
		p.Join(b.Position())
		p.Read(missing(keyX))
	}, &verdict{KindStale, Place{0, 1, keyX}, "v1"}},
	{"second join forgets a branch", func(h *History) {
		p, b, c := h.Start("a", 1), h.Start("a/1", 1), h.Start("a/2", 1)
		put(b, keyX, 1)
		put(c, keyY, 2)
		p.Join(b.Position())
		p.Join(c.Position())
		p.Read(missing(keyY))
	}, &verdict{KindStale, Place{0, 2, keyY}, "v2"}},
	{"unknown write need not be seen by its session", func(h *History) {
		p := h.Start("a", 1)
		p.Write(keyX, 1, Unknown, causal.Dot{}, causal.Stamp{})
		p.Read(missing(keyX))
		h.Start("b", 1).Read(found(keyX, 1))
	}, nil},
	{"unknown write, once read, carries its past", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyY, 1)
		p.Write(keyX, 2, Unknown, causal.Dot{}, causal.Stamp{})
		r := h.Start("b", 1)
		r.Read(found(keyX, 2))
		r.Read(missing(keyY))
	}, &verdict{KindStale, Place{1, 1, keyY}, "v1"}},
	{"unknown write, once read, stays", func(h *History) {
		h.Start("a", 1).Write(keyX, 2, Unknown, causal.Dot{}, causal.Stamp{})
		r := h.Start("b", 1)
		r.Read(found(keyX, 2))
		h.Start("c", 1, r.Position()).Read(missing(keyX))
	}, &verdict{KindStale, Place{2, 0, keyX}, "unknown outcome"}},

	{"foreign value", func(h *History) {
		h.Foreign = []Foreign{{keyX, 9}}
		h.Start("a", 1).Read(Item{Key: keyX, Seen: SeenValue, Value: 9, Stamp: causal.ForeignStamp})
	}, nil},
	{"foreign value vanishes", func(h *History) {
		h.Foreign = []Foreign{{keyX, 9}}
		p := h.Start("a", 1)
		p.Read(Item{Key: keyX, Seen: SeenValue, Value: 9, Stamp: causal.ForeignStamp})
		p.Read(missing(keyX))
	}, &verdict{KindStale, Place{0, 1, keyX}, "foreign"}},
	{"foreign value imported twice", func(h *History) {
		h.Foreign = []Foreign{{keyX, 9}}
		p := h.Start("a", 1)
		p.Read(Item{Key: keyX, Seen: SeenValue, Value: 9, Stamp: stampAt(10)})
		p.Read(Item{Key: keyX, Seen: SeenValue, Value: 9, Stamp: stampAt(20)})
	}, nil},
	{"foreign delete", func(h *History) {
		h.Foreign = []Foreign{{keyX, 9}, {keyX, 0}}
		p := h.Start("a", 1)
		p.Read(Item{Key: keyX, Seen: SeenValue, Value: 9, Stamp: causal.ForeignStamp})
		p.Read(deleted(keyX, 10))
	}, nil},

	{"torn read-many", func(h *History) {
		a, b := h.Start("a", 1), h.Start("b", 1)
		put(a, keyX, 1)
		b.Read(found(keyX, 1))
		put(b, keyY, 2)
		h.Start("c", 1).ReadMany(missing(keyX), found(keyY, 2))
	}, &verdict{KindTorn, Place{2, 0, keyX}, "same read-many"}},
	{"read-many of two versions of a key", func(h *History) {
		h.Foreign = []Foreign{{keyX, 8}, {keyX, 9}}
		h.Start("a", 1).ReadMany(
			Item{Key: keyX, Seen: SeenValue, Value: 8, Stamp: stampAt(1)},
			Item{Key: keyX, Seen: SeenValue, Value: 9, Stamp: stampAt(2)})
	}, &verdict{KindTorn, Place{0, 0, keyX}, "found v8"}},
	{"two reads may be torn where a read-many may not", func(h *History) {
		a, b := h.Start("a", 1), h.Start("b", 1)
		put(a, keyX, 1)
		b.Read(found(keyX, 1))
		put(b, keyY, 2)
		c := h.Start("c", 1)
		c.Read(missing(keyX))
		c.Read(found(keyY, 2))
	}, nil},
	{"stale read-many", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyX, 1)
		p.ReadMany(missing(keyX), missing(keyY))
	}, &verdict{KindStale, Place{0, 1, keyX}, "v1"}},

	{"converged", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		put(h.Start("b", 1), keyX, 2)
		h.Final = final([]Item{found(keyX, 2)}, []Item{found(keyX, 2)})
	}, nil},
	{"diverged", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Unknown, causal.Dot{}, stampAt(1))
		h.Final = final([]Item{found(keyX, 1)}, nil)
	}, &verdict{KindDiverged, Place{-1, -1, keyX}, "server 1 has nothing"}},
	{"lost", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		h.Final = final(nil, nil)
	}, &verdict{KindLost, Place{-1, -1, keyX}, "below v1"}},
	{"lower one wins", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		put(h.Start("b", 1), keyX, 2)
		h.Final = final([]Item{found(keyX, 1)})
	}, &verdict{KindLost, Place{-1, -1, keyX}, "below v2"}},
	{"unknown write lost", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Unknown, causal.Dot{}, causal.Stamp{})
		h.Final = final(nil)
	}, nil},
	{"unknown write lost after it was read", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Unknown, causal.Dot{}, causal.Stamp{})
		h.Start("b", 1).Read(found(keyX, 1))
		h.Final = final(nil)
	}, &verdict{KindLost, Place{-1, -1, keyX}, "below v1"}},
	{"acknowledged without a stamp and lost", func(h *History) {
		h.Start("a", 1).Write(keyX, 1, Acknowledged, causal.Dot{}, causal.Stamp{})
		h.Final = final(nil)
	}, &verdict{KindLost, Place{-1, -1, keyX}, "below v1"}},
	{"crash of all loses an epoch", func(h *History) {
		put(h.Start("a", 1), keyX, 1)
		h.Start("b", 2)
		h.Final = final(nil)
	}, nil},
	{"clean restart loses nothing", func(h *History) {
		h.CleanRestarts = true
		put(h.Start("a", 1), keyX, 1)
		h.Start("b", 2)
		h.Final = final(nil)
	}, &verdict{KindLost, Place{-1, -1, keyX}, "below v1"}},
	{"crash of all loses the past of what survives", func(h *History) {
		p := h.Start("a", 1)
		put(p, keyX, 1)
		put(p, keyY, 2)
		b := h.Start("b", 2)
		b.Read(found(keyY, 2))
		b.Read(missing(keyX))
	}, nil},
	{"clean restart keeps the past", func(h *History) {
		h.CleanRestarts = true
		p := h.Start("a", 1)
		put(p, keyX, 1)
		put(p, keyY, 2)
		b := h.Start("b", 2)
		b.Read(found(keyY, 2))
		b.Read(missing(keyX))
	}, &verdict{KindStale, Place{1, 1, keyX}, "v1"}},
	{"I-cache not empty", func(h *History) { h.Final = []ServerState{{Server: 2, Pending: 3}} },
		&verdict{KindPending, Place{-1, -1, -1}, "server 2 still has 3"}},
}

func TestTiny(t *testing.T) {
	var c Checker // one for all: nothing of a history may stay for the next
	for _, tc := range tinyCases {
		t.Run(tc.name, func(t *testing.T) {
			h := tinyHistory()
			tc.build(h)
			r := c.Check(h)
			if tc.want == nil {
				if !r.OK() {
					t.Fatalf("legal, but: %v", r.Err())
				}
				return
			}
			if r.Counts[tc.want.kind] == 0 {
				t.Fatalf("want %v, got %s", tc.want.kind, r.String())
			}
			for _, v := range r.Violations {
				if v.Kind == tc.want.kind && v.Place == tc.want.at && strings.Contains(v.Message, tc.want.says) {
					return
				}
			}
			t.Fatalf("want %v at %+v that says %q, got %+v", tc.want.kind, tc.want.at, tc.want.says, r.Violations)
		})
	}
}

func TestEveryKindHasACase(t *testing.T) {
	var met [kinds]bool
	for _, tc := range tinyCases {
		if tc.want != nil {
			met[tc.want.kind] = true
		}
	}
	for k, ok := range met {
		if !ok {
			t.Errorf("no case for %v", Kind(k))
		}
	}
}

func TestLimit(t *testing.T) {
	h := tinyHistory()
	p := h.Start("a", 1)
	for range 50 {
		p.Read(found(keyX, 1))
	}
	for _, tc := range []struct{ limit, described int }{{0, DefaultLimit}, {3, 3}, {100, 50}, {-1, 0}} {
		c := Checker{Limit: tc.limit}
		r := c.Check(h)
		if r.Counts[KindNowhere] != 50 || len(r.Violations) != tc.described {
			t.Errorf("limit %d: counted %d, described %d", tc.limit, r.Counts[KindNowhere], len(r.Violations))
		}
	}
}

func TestValueOf(t *testing.T) {
	for _, id := range []ValueID{1, 7, 1 << 40, foreignBit - 1} {
		if got := ValueOf(id.Append(nil)); got != id {
			t.Errorf("%v comes back as %v", id, got)
		}
	}
	for _, foreign := range []string{"", "v", "v0", "v07", "v7 ", "w7", "v9223372036854775808", "v99999999999999999999"} {
		if got := ValueOf([]byte(foreign)); got&foreignBit == 0 {
			t.Errorf("%q is taken for %v", foreign, got)
		}
	}
}
