package causal

import (
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"
	"time"
)

// smallClock generates clocks that are often equal, ordered or of other lengths.
type smallClock VectorClock

func (smallClock) Generate(r *rand.Rand, _ int) reflect.Value {
	v := make(smallClock, r.Intn(5))
	for i := range v {
		v[i] = Counter(r.Intn(3))
	}
	return reflect.ValueOf(v)
}

func join(a, b smallClock) VectorClock { return VectorClock(a).Clone().Join(VectorClock(b)) }

func TestJoinIsAJoin(t *testing.T) {
	for name, property := range map[string]any{
		"commutative": func(a, b smallClock) bool { return join(a, b).Equal(join(b, a)) },
		"associative": func(a, b, c smallClock) bool {
			return join(a, smallClock(join(b, c))).Equal(join(smallClock(join(a, b)), c))
		},
		"idempotent": func(a smallClock) bool { return join(a, a).Equal(VectorClock(a)) },
		"an upper bound": func(a, b smallClock) bool {
			j := join(a, b)
			return VectorClock(a).AtMost(j) && VectorClock(b).AtMost(j)
		},
		"the least one": func(a, b, c smallClock) bool {
			u := VectorClock(c)
			return !VectorClock(a).AtMost(u) || !VectorClock(b).AtMost(u) || join(a, b).AtMost(u)
		},
		"not in place for its argument": func(a, b smallClock) bool {
			old := VectorClock(b).Clone()
			join(a, b)
			return VectorClock(b).Equal(old) && len(old) == len(b)
		},
	} {
		if err := quick.Check(property, &quick.Config{MaxCount: 2000}); err != nil {
			t.Errorf("Join is not %s: %v", name, err)
		}
	}
}

func TestClocksAreOrdered(t *testing.T) {
	exactlyOne := func(a, b smallClock) bool {
		v, w := VectorClock(a), VectorClock(b)
		n := 0
		for _, holds := range []bool{v.Equal(w), v.HappensBefore(w), w.HappensBefore(v), v.Concurrent(w)} {
			if holds {
				n++
			}
		}
		return n == 1 && v.Concurrent(w) == w.Concurrent(v)
	}
	if err := quick.Check(exactlyOne, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
	// A clock is the set of the dots that it covers.
	sets := func(a, b smallClock, origin uint8, counter uint8) bool {
		v, w := VectorClock(a), VectorClock(b)
		d := Dot{Origin: ReplicaID(origin % 6), Counter: Counter(counter % 4)}
		return v.Clone().Join(w).Covers(d) == (v.Covers(d) || w.Covers(d)) &&
			(!v.AtMost(w) || !v.Covers(d) || w.Covers(d)) && v.Clone().Add(d).Covers(d)
	}
	if err := quick.Check(sets, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func TestClockTable(t *testing.T) {
	for _, c := range []struct {
		v, w                      VectorClock
		equal, before, concurrent bool
	}{
		{nil, nil, true, false, false},
		{nil, VectorClock{0, 0}, true, false, false},
		{VectorClock{1}, VectorClock{1, 0}, true, false, false},
		{nil, VectorClock{0, 1}, false, true, false},
		{VectorClock{1, 2}, VectorClock{1, 3}, false, true, false},
		{VectorClock{1, 3}, VectorClock{1, 2}, false, false, false},
		{VectorClock{2, 0}, VectorClock{0, 1}, false, false, true},
		{VectorClock{0, 0, 1}, VectorClock{1}, false, false, true},
	} {
		if got := c.v.Equal(c.w); got != c.equal {
			t.Errorf("%v equals %v: %v", c.v, c.w, got)
		}
		if got := c.v.HappensBefore(c.w); got != c.before {
			t.Errorf("%v happens before %v: %v", c.v, c.w, got)
		}
		if got := c.v.Concurrent(c.w); got != c.concurrent {
			t.Errorf("%v concurrent with %v: %v", c.v, c.w, got)
		}
	}
	if !(VectorClock)(nil).Covers(Dot{Origin: 63}) {
		t.Error("the zero dot is not covered by the empty clock")
	}
}

// TestStampsAreATotalOrder: exactly one of before, same, after, and transitive.
func TestStampsAreATotalOrder(t *testing.T) {
	var stamps []Stamp
	for time := range Time(3) {
		for origin := range ReplicaID(3) {
			stamps = append(stamps, Stamp{time, origin})
		}
	}
	for i, s := range stamps { // stamps is in the conflict order: time, then origin
		for j, u := range stamps {
			if got, want := s.Compare(u), sign(i-j); got != want {
				t.Errorf("%v compared with %v: %d, want %d", s, u, got, want)
			}
			if s.Less(u) != (i < j) {
				t.Errorf("%v less than %v: %v", s, u, s.Less(u))
			}
		}
	}
	if zero := (Stamp{}); !zero.IsZero() || !zero.Less(ForeignStamp) || ForeignStamp.IsZero() {
		t.Error("a foreign stamp is not just above absent")
	}
}

func sign(n int) int { return max(-1, min(1, n)) }

func TestTimeArithmetic(t *testing.T) {
	for _, c := range []struct {
		t    Time
		d    time.Duration
		want Time
	}{{100, 5, 105}, {100, -5, 95}, {100, -100, 0}, {100, -101, 0}, {0, -1, 0}} {
		if got := c.t.Add(c.d); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.t, c.d, got, c.want)
		}
	}
	if got := Time(3).Sub(5); got != -2 {
		t.Errorf("3 - 5 = %d", got)
	}
	if got := TimeOf(time.Unix(-5, 0)); got != 0 {
		t.Errorf("a time before 1970 is %d, want 0", got)
	}
}

func TestVersionGone(t *testing.T) {
	s := Stamp{Time: 10}
	for _, c := range []struct {
		name string
		v    Version
		now  Time
		want bool
	}{
		{"absent", Version{}, 0, true},
		{"a value", Version{Stamp: s}, 1 << 62, false},
		{"an empty value of a foreign program", Version{Stamp: ForeignStamp}, 5, false},
		{"a tombstone", Version{Stamp: s, Tombstone: true}, 0, true},
		{"before its deadline", Version{Stamp: s, Deadline: 20}, 19, false},
		{"at its deadline", Version{Stamp: s, Deadline: 20}, 20, true},
		{"past its deadline", Version{Stamp: s, Deadline: 20}, 21, true},
	} {
		if got := c.v.Gone(c.now); got != c.want {
			t.Errorf("%s: gone %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCodesHaveErrors(t *testing.T) {
	for c := CodeOK; c <= CodeNotReady+1; c++ {
		err := c.Err("detail")
		if (err == nil) != (c == CodeOK) {
			t.Errorf("code %d: %v", c, err)
		}
	}
}
