package causal

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// testView is a table as a reader beside the writer finds it, step by step.
type testView struct {
	stable VectorClock
	slots  map[string]Version
}

func (v *testView) Stability(into *SignedVector) {
	into.Vector = append(into.Vector[:0], v.stable...)
}

func (v *testView) Slot(key []byte, version *Version) bool {
	s, ok := v.slots[string(key)]
	*version = s
	return ok
}

func slot(value string, origin ReplicaID, c Counter) Version {
	return Version{Value: []byte(value), Dot: Dot{origin, 0, c}, Stamp: Stamp{Time(c), origin}, Epoch: 7}
}

// finish steps until there is an outcome; before each step change may change the
// table.
func finish(r *DirectRead, view *testView, change func(step int)) DirectOutcome {
	for step := 0; ; step++ {
		if change != nil {
			change(step)
		}
		if o := r.Step(view); o != DirectAgain {
			return o
		}
		if step > 100 {
			return DirectAgain
		}
	}
}

func directRead(keys ...string) *DirectRead {
	return &DirectRead{Epoch: 7, Keys: byteKeys(keys...), Tries: 3}
}

func TestDirectRead(t *testing.T) {
	view := &testView{VectorClock{2, 1}, map[string]Version{"a": slot("1", 0, 2), "b": slot("2", 1, 1), "old": oldVersion("0")}}
	view.slots["gone"] = Version{Value: []byte("x"), Tombstone: true, Dot: Dot{0, 0, 1}, Stamp: Stamp{1, 0}, Epoch: 7}
	view.slots["absent"] = Version{}
	r := directRead("a", "b", "old", "gone", "absent")
	r.Known = []SignedVector{known(0, 2), known(0, 1, 1)}
	if o := finish(r, view, nil); o != DirectDone {
		t.Fatalf("outcome %v", o)
	}
	for i, want := range []string{"1", "2", "0", "", ""} {
		if v := r.Versions[i]; string(v.Value) != want || string(v.Key) != string(r.Keys[i]) {
			t.Errorf("%s is %q, want %q", v.Key, v.Value, want)
		}
	}
	if !r.Stability.Vector.Equal(VectorClock{2, 1}) {
		t.Errorf("S=%v", r.Stability)
	}
}

// TestDirectReadStartsAgain: a value that S does not cover yet is read again with a
// newer S, and so is every other; what is returned is one snapshot.
func TestDirectReadStartsAgain(t *testing.T) {
	view := &testView{VectorClock{1}, map[string]Version{"a": slot("old", 0, 1), "b": slot("old", 0, 1)}}
	r := directRead("a", "b")
	o := finish(r, view, func(step int) {
		switch step {
		case 2: // after a, before b: both are written, S is not published yet
			view.slots["a"], view.slots["b"] = slot("new", 0, 2), slot("new", 0, 3)
		case 3:
			view.stable = VectorClock{3}
		}
	})
	if o != DirectDone || string(r.Versions[0].Value) != "new" || string(r.Versions[1].Value) != "new" {
		t.Fatalf("outcome %v, read %v", o, r.Versions)
	}
	if len(r.Versions) != 2 || !r.Stability.Vector.Equal(VectorClock{3}) {
		t.Errorf("%d versions with S=%v", len(r.Versions), r.Stability)
	}
}

// TestDirectReadAbsorbsItsOwnS: S may have gone on since; what the session absorbs is
// the S that the values were held against.
func TestDirectReadAbsorbsItsOwnS(t *testing.T) {
	view := &testView{VectorClock{1}, map[string]Version{"a": slot("v", 0, 1)}}
	r := directRead("a")
	finish(r, view, func(step int) {
		if step == 1 {
			view.stable = VectorClock{9}
		}
	})
	if !r.Stability.Vector.Equal(VectorClock{1}) {
		t.Errorf("absorbs S=%v", r.Stability)
	}
}

func TestDirectReadFallsBack(t *testing.T) {
	fresh := slot("new", 0, 2)
	for _, c := range []struct {
		name  string
		known VectorClock
		slots map[string]Version
		tries int
	}{
		{"the context is ahead", VectorClock{2}, map[string]Version{"a": slot("v", 0, 1)}, 3},
		{"a miss", nil, nil, 3},
		{"a value that S never covers", nil, map[string]Version{"a": fresh}, 3},
		{"no tries", nil, map[string]Version{"a": fresh}, 0},
		{"a deadline", nil, map[string]Version{"a": {Value: []byte("v"), Dot: Dot{0, 0, 1}, Stamp: Stamp{1, 0}, Epoch: 7, Deadline: 9}}, 3},
	} {
		r := directRead("a")
		r.Tries = c.tries
		r.Known = []SignedVector{{Vector: c.known}}
		if o := finish(r, &testView{VectorClock{1}, c.slots}, nil); o != DirectFallback {
			t.Errorf("%s: outcome %v", c.name, o)
		}
	}
	// One key of two is missing: the whole call goes to the daemon, never a mixture.
	r := directRead("a", "b")
	if o := finish(r, &testView{VectorClock{1}, map[string]Version{"a": slot("v", 0, 1)}}, nil); o != DirectFallback {
		t.Errorf("outcome %v", o)
	}
}

// TestReadDirectIsTheLongWay: ReadDirect does to a session what a request would, answered
// from the same table: it is the same, but for the request.
func TestReadDirectIsTheLongWay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(n uint64) Counter { return Counter(rng.Uint64N(n)) }
	outcomes := map[bool]int{}
	for range 50_000 {
		view := &testView{VectorClock{draw(6), draw(6)}, map[string]Version{}}
		for _, k := range []string{"a", "b", "c"} {
			switch v := slot(k+"!", ReplicaID(rng.IntN(2)), 1+draw(6)); rng.IntN(6) {
			case 0: // not cached
			case 1:
				view.slots[k] = Version{}
			case 2:
				v.Tombstone = true
				fallthrough
			default:
				view.slots[k] = v
			}
		}
		x := Context{Epoch: Epoch(7 * rng.IntN(2)), Time: Time(draw(9))}
		if rng.IntN(8) == 0 {
			x.Epoch = 8
		}
		if x.Epoch > 0 {
			for range 1 + rng.IntN(2) {
				x.Known = append(x.Known, SignedVector{Vector: VectorClock{draw(4), draw(4)}, Tag: Tag{byte(rng.IntN(2))}})
			}
			for i := range rng.IntN(3) {
				w := slot("own", ReplicaID(i), 1+draw(8))
				w.Key, w.Stamp = []byte([]string{"a", "b"}[rng.IntN(2)]), Stamp{Time(draw(9)), ReplicaID(i)}
				x.Own = append(x.Own, OwnWrite{Version: w})
			}
		}
		keys := [][]byte{[]byte("a"), []byte("b"), []byte("c")}[rng.IntN(3):]
		if rng.IntN(20) == 0 {
			keys = append(keys, nil) // no server takes it
		}
		short, long := NewSession(1, Limits{}), NewSession(1, Limits{})
		short.Resume(&x)
		long.Resume(&x)

		d := directRead()
		d.Keys = keys
		got, ok := short.ReadDirect(d, view)
		want, wantOK := theLongWay(t, long, keys, view)
		outcomes[ok]++
		if ok != wantOK || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v of %q in %+v: %v, %v; the long way %v, %v", x, keys, view, got, ok, want, wantOK)
		}
		if got, want := short.Context().clone(), long.Context().clone(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v of %q in %+v: the context is %+v, the long way %+v", x, keys, view, got, want)
		}
	}
	if outcomes[true] < 5000 || outcomes[false] < 5000 {
		t.Errorf("outcomes: %v", outcomes)
	}
}

// theLongWay is a request that is answered from the table.
func theLongWay(t *testing.T, s *Session, keys [][]byte, view *testView) ([]Version, bool) {
	r, err := s.Begin(OpReadMany, keys, nil, 0)
	if err != nil || r.Epoch != 0 && r.Epoch != 7 {
		return nil, false
	}
	d := directRead()
	d.Keys, d.Known = keys, r.Known
	if finish(d, view, nil) != DirectDone {
		return nil, false
	}
	versions, err := s.Finish(&Reply{ID: r.ID, Op: r.Op, Epoch: 7, Stability: d.Stability, Time: r.Time, Versions: d.Versions})
	if err != nil {
		t.Fatal(err)
	}
	return versions, true
}
