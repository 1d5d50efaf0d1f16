package causal

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// answer makes a server's reply to a request.
func answer(q *Request, s VectorClock) *Reply {
	r := &Reply{ID: q.ID, Op: q.Op, Epoch: 7, Time: 100, Stability: SignedVector{Vector: s}}
	if q.Op == OpRead || q.Op == OpReadMany {
		r.Versions = make([]Version, len(q.Keys))
	}
	return r
}

func begin(t testing.TB, s *Session, op Op, value string, keys ...string) *Request {
	t.Helper()
	q, err := s.Begin(op, byteKeys(keys...), []byte(value), 0)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// wrote carries out a write that becomes the given dot; S is as stated.
func wrote(t testing.TB, s *Session, key, value string, d Dot, at Time, stable VectorClock) {
	t.Helper()
	r := answer(begin(t, s, OpWrite, value, key), stable)
	r.Written = Version{Dot: d, Stamp: Stamp{at, d.Origin}, Epoch: 7}
	if _, err := s.Finish(r); err != nil {
		t.Fatal(err)
	}
}

func TestBeginLimits(t *testing.T) {
	limits := Limits{KeyBytes: 8, ValueBytes: 16, BatchKeys: 2, OwnWrites: 3, ContextBytes: 40}
	s := NewSession(1, limits)
	for _, c := range []struct {
		name  string
		op    Op
		keys  []string
		value string
		want  error
	}{
		{"a key of the limit", OpRead, []string{"12345678"}, "", nil},
		{"a key over it", OpRead, []string{"123456789"}, "", ErrTooLarge},
		{"an empty key", OpRead, []string{""}, "", ErrBadRequest},
		{"an empty key among others", OpReadMany, []string{"a", ""}, "", ErrBadRequest},
		{"a batch of the limit", OpReadMany, []string{"a", "b"}, "", nil},
		{"a batch over it", OpReadMany, []string{"a", "b", "c"}, "", ErrTooLarge},
		{"an empty batch", OpReadMany, nil, "", ErrBadRequest},
		{"an unknown operation", Op(99), []string{"a"}, "", ErrBadRequest},
		{"a sync of a key", OpSync, []string{"a"}, "", ErrBadRequest},
		{"a value of the limit", OpWrite, []string{"a"}, "1234567890123456", nil},
		{"a value over it", OpWrite, []string{"a"}, "12345678901234567", ErrTooLarge},
		{"a sync", OpSync, nil, "", nil},
	} {
		if _, err := s.Begin(c.op, byteKeys(c.keys...), []byte(c.value), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}

	wrote(t, s, "a", "1234567890123456", Dot{Counter: 1}, 1, nil)
	if _, err := s.Begin(OpWrite, byteKeys("b"), make([]byte, 16), 0); err != nil {
		t.Errorf("34 bytes of own writes: %v", err)
	}
	if _, err := s.Begin(OpWrite, byteKeys("12345678"), make([]byte, 16), 0); !errors.Is(err, ErrOverloaded) {
		t.Errorf("41 bytes of own writes: %v, want overloaded", err)
	}
	wrote(t, s, "b", "", Dot{Counter: 2}, 2, nil)
	wrote(t, s, "c", "", Dot{Counter: 3}, 3, nil)
	if _, err := s.Begin(OpDelete, byteKeys("d"), nil, 0); !errors.Is(err, ErrOverloaded) {
		t.Errorf("a fourth write in flight: %v, want overloaded", err)
	}
	if _, err := s.Begin(OpRead, byteKeys("d"), nil, 0); err != nil {
		t.Errorf("a read with a full context: %v", err)
	}
}

// TestBeginNumbersRequests: every request has a number of its own, which a retry
// repeats, and a refused one uses none up.
func TestBeginNumbersRequests(t *testing.T) {
	s := session(5)
	a := begin(t, s, OpRead, "", "k").ID
	if _, err := s.Begin(OpRead, byteKeys(""), nil, 0); err == nil {
		t.Fatal("an empty key")
	}
	if b := begin(t, s, OpRead, "", "k").ID; a != (RequestID{5, 1}) || b != (RequestID{5, 2}) {
		t.Errorf("requests %v and %v", a, b)
	}
}

// TestBeginSendsTheFrontier: of the writes in flight, the highest of each origin.
func TestBeginSendsTheFrontier(t *testing.T) {
	s := session(1)
	for i, d := range []Dot{{0, 0, 1}, {1, 0, 5}, {0, 0, 2}, {1, 0, 6}, {0, 0, 4}} {
		wrote(t, s, "k", "v", d, Time(i+1), nil)
	}
	want := []SignedDot{{Dot: Dot{0, 0, 4}}, {Dot: Dot{1, 0, 6}}}
	if q := begin(t, s, OpWrite, "v", "k"); !reflect.DeepEqual(q.Own, want) {
		t.Errorf("sends %v, want %v", q.Own, want)
	}
	if q := begin(t, s, OpRead, "", "k"); len(q.Own) != 0 {
		t.Errorf("a read sends %v", q.Own)
	}
}

// TestWritesAreCopied: the caller may use its key and value again at once.
func TestWritesAreCopied(t *testing.T) {
	s := session(1)
	key, value := []byte("key"), []byte("value")
	q, err := s.Begin(OpWrite, [][]byte{key}, value, 0)
	if err != nil {
		t.Fatal(err)
	}
	copy(key, "???")
	copy(value, "?????")
	r := answer(q, nil)
	r.Written = Version{Dot: Dot{Counter: 1}, Stamp: Stamp{Time: 1}}
	if _, err := s.Finish(r); err != nil {
		t.Fatal(err)
	}
	if w := s.Context().Own[0].Version; string(w.Key) != "key" || string(w.Value) != "value" {
		t.Errorf("the own write is %s=%s", w.Key, w.Value)
	}
}

func TestFinishRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Reply)
		want   error
	}{
		{"the reply to another request", func(r *Reply) { r.ID.Number++ }, ErrProtocol},
		{"the reply to another session", func(r *Reply) { r.ID.Session++ }, ErrProtocol},
		{"another operation", func(r *Reply) { r.Op = OpReadMany }, ErrProtocol},
		{"another epoch", func(r *Reply) { r.Epoch = 8 }, ErrEpoch},
		{"S below what is known", func(r *Reply) { r.Stability.Vector = VectorClock{2, 1} }, ErrProtocol},
		{"too few versions", func(r *Reply) { r.Versions = nil }, ErrProtocol},
		{"too many versions", func(r *Reply) { r.Versions = make([]Version, 2) }, ErrProtocol},
		{"an error", func(r *Reply) { r.Code = CodeUnavailable }, ErrUnavailable},
		{"an error of a later release", func(r *Reply) { r.Code = 200 }, nil},
	} {
		s := session(1)
		wrote(t, s, "k", "v", Dot{1, 0, 4}, 50, VectorClock{2, 2})
		before := s.Context().clone()
		r := answer(begin(t, s, OpRead, "", "k"), VectorClock{9, 9})
		r.Time = 999
		c.change(r)
		versions, err := s.Finish(r)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || versions != nil {
			t.Errorf("%s: %v, %v; want %v", c.name, versions, err, c.want)
		}
		if !reflect.DeepEqual(s.Context().clone(), before) {
			t.Errorf("%s changed the context: %+v, was %+v", c.name, *s.Context(), before)
		}
	}
}

// TestOverlay: of the answer and the own writes that its S does not cover, the
// highest stamp is read.
func TestOverlay(t *testing.T) {
	own := func(t *testing.T) *Session {
		s := session(1)
		wrote(t, s, "k", "first", Dot{0, 0, 1}, 20, nil)
		wrote(t, s, "k", "second", Dot{1, 0, 1}, 40, nil)
		wrote(t, s, "other", "x", Dot{2, 0, 1}, 90, nil)
		return s
	}
	for _, c := range []struct {
		name   string
		answer Version
		stable VectorClock
		want   string
	}{
		{"nothing there", Version{}, nil, "second"},
		{"a lower version there", Version{Value: []byte("theirs"), Stamp: Stamp{30, 0}}, nil, "second"},
		{"a higher version there", Version{Value: []byte("theirs"), Stamp: Stamp{50, 0}}, nil, "theirs"},
		{"the same time, a lower origin", Version{Value: []byte("theirs"), Stamp: Stamp{40, 0}}, nil, "second"},
		{"the same time, a higher origin", Version{Value: []byte("theirs"), Stamp: Stamp{40, 2}}, nil, "theirs"},
		// S covers the second write: the server has seen it, and found this instead.
		{"a lower version that won", Version{Value: []byte("theirs"), Stamp: Stamp{30, 0}}, VectorClock{0, 1}, "theirs"},
		{"the first write is stable", Version{Value: []byte("first"), Stamp: Stamp{20, 0}}, VectorClock{1, 0}, "second"},
		{"a higher tombstone there", Version{Tombstone: true, Stamp: Stamp{50, 0}}, nil, ""},
	} {
		s := own(t)
		r := answer(begin(t, s, OpRead, "", "k"), c.stable)
		r.Versions[0] = c.answer
		versions, err := s.Finish(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(versions[0].Value); got != c.want {
			t.Errorf("%s: read %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOverlayExpires: an own write in flight is gone once its time is over.
func TestOverlayExpires(t *testing.T) {
	s := session(1)
	r := answer(begin(t, s, OpWrite, "v", "k"), nil)
	r.Written = Version{Dot: Dot{0, 0, 1}, Stamp: Stamp{90, 0}, Epoch: 7, Deadline: 200}
	if _, err := s.Finish(r); err != nil {
		t.Fatal(err)
	}
	for _, now := range []Time{199, 200} {
		r := answer(begin(t, s, OpRead, "", "k"), nil)
		r.Time = now
		versions, err := s.Finish(r)
		if err != nil {
			t.Fatal(err)
		}
		if v := versions[0]; v.Tombstone != (now >= 200) || (v.Value == nil) != (now >= 200) {
			t.Errorf("at %d: %q, tombstone %v", now, v.Value, v.Tombstone)
		}
	}
}

// TestContextDoesNotGrow: however long a workflow is, its context holds one vector
// and the writes in flight.
func TestContextDoesNotGrow(t *testing.T) {
	s := session(1)
	for i := Counter(1); i <= 1000; i++ {
		wrote(t, s, fmt.Sprint("k", i), "v", Dot{0, 0, i}, Time(i), VectorClock{i - 1})
		if c := s.Context(); len(c.Own) != 1 || len(c.Known) != 1 {
			t.Fatalf("after %d writes: %d own writes, %d vectors", i, len(c.Own), len(c.Known))
		}
	}
}

func known(tag byte, v ...Counter) SignedVector { return SignedVector{Vector: v, Tag: Tag{tag}} }

func ownWrite(origin ReplicaID, c Counter, at Time) OwnWrite {
	return OwnWrite{Version: Version{Key: []byte("k"), Dot: Dot{origin, 0, c}, Stamp: Stamp{at, origin}, Epoch: 7}}
}

func TestMerge(t *testing.T) {
	a := Context{
		Epoch: 7, Time: 50, Known: []SignedVector{known(0, 3, 1)},
		Own: []OwnWrite{ownWrite(0, 4, 10), ownWrite(1, 5, 40)},
	}
	b := Context{
		Epoch: 7, Time: 60, Known: []SignedVector{known(0, 1, 5)},
		Own: []OwnWrite{ownWrite(0, 4, 10), ownWrite(2, 1, 20)},
	}
	// (1,5) is covered by b's vector; (0,4) is in both.
	want := Context{
		Epoch: 7, Time: 60, Known: []SignedVector{known(0, 3, 5)},
		Own: []OwnWrite{ownWrite(0, 4, 10), ownWrite(2, 1, 20)},
	}
	for _, order := range [][2]Context{{a, b}, {b, a}} {
		s := session(1)
		s.Resume(&order[0])
		if err := s.Merge(&order[1]); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*s.Context(), want) {
			t.Errorf("merged %+v, want %+v", *s.Context(), want)
		}
	}
}

func TestMergeWithTags(t *testing.T) {
	s := session(1)
	s.Resume(&Context{Epoch: 7, Known: []SignedVector{known(1, 3, 1)}})
	for _, c := range []struct {
		name string
		add  SignedVector
		want []SignedVector
	}{
		{"concurrent: kept beside it", known(2, 1, 5), []SignedVector{known(1, 3, 1), known(2, 1, 5)}},
		{"covered: nothing new", known(3, 1, 2), []SignedVector{known(1, 3, 1), known(2, 1, 5)}},
		{"covers one: takes its place", known(4, 2, 6), []SignedVector{known(1, 3, 1), known(4, 2, 6)}},
	} {
		if err := s.Merge(&Context{Epoch: 7, Known: []SignedVector{c.add}}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Context().Known, c.want) {
			t.Errorf("%s: %v, want %v", c.name, s.Context().Known, c.want)
		}
	}
	// The next reply's S covers them all, and is the one vector again.
	if _, err := s.Finish(answer(begin(t, s, OpSync, ""), VectorClock{3, 6})); err != nil {
		t.Fatal(err)
	}
	if k := s.Context().Known; len(k) != 1 || !k[0].Vector.Equal(VectorClock{3, 6}) {
		t.Errorf("knows %v after a reply", k)
	}
}

func TestMergeLimits(t *testing.T) {
	s := NewSession(1, Limits{Branches: 2, OwnWrites: 2})
	s.Resume(&Context{Epoch: 7, Known: []SignedVector{known(1, 1, 0, 0)}, Own: []OwnWrite{ownWrite(0, 9, 1)}})
	if err := s.Merge(&Context{Epoch: 7, Known: []SignedVector{known(2, 0, 1, 0)}, Own: []OwnWrite{ownWrite(1, 9, 2)}}); err != nil {
		t.Fatal(err)
	}
	before := s.Context().clone()
	for _, c := range []struct {
		name string
		add  Context
		want error
	}{
		{"a third vector", Context{Epoch: 7, Known: []SignedVector{known(3, 0, 0, 1)}}, ErrTooLarge},
		{"a third write", Context{Epoch: 7, Own: []OwnWrite{ownWrite(2, 9, 3)}}, ErrOverloaded},
		{"another epoch", Context{Epoch: 8}, ErrEpoch},
	} {
		if err := s.Merge(&c.add); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if !reflect.DeepEqual(s.Context().clone(), before) {
			t.Errorf("%s changed the context, though it was refused", c.name)
		}
	}
	if err := s.Merge(&Context{}); err != nil || !reflect.DeepEqual(*s.Context(), before) {
		t.Errorf("a branch that did nothing: %v, %+v", err, *s.Context())
	}
	fresh := session(2)
	if err := fresh.Merge(&before); err != nil || !reflect.DeepEqual(*fresh.Context(), before) {
		t.Errorf("joined into a session that did nothing: %v, %+v", err, *fresh.Context())
	}
}

// TestResumeIsIndependent: after a branch, the two sessions share nothing that
// either changes.
func TestResumeIsIndependent(t *testing.T) {
	a, b := session(1), session(2)
	wrote(t, a, "k", "v", Dot{0, 0, 4}, 10, VectorClock{3, 1})
	b.Resume(a.Context())
	before := b.Context().clone()
	wrote(t, a, "k", "w", Dot{0, 0, 5}, 20, VectorClock{4, 2})
	if !reflect.DeepEqual(*b.Context(), before) {
		t.Errorf("the branch is %+v, was %+v", *b.Context(), before)
	}
	if len(b.Context().Own) != 1 || string(b.Context().Own[0].Version.Value) != "v" {
		t.Errorf("the branch holds %+v", b.Context().Own)
	}
	if b.Context().Time != 100 {
		t.Errorf("the branch is at %d", b.Context().Time)
	}
}

func TestRequestCarriesTTLAndTime(t *testing.T) {
	s := session(1)
	wrote(t, s, "k", "v", Dot{0, 0, 1}, 500, nil)
	q, err := s.Begin(OpWrite, byteKeys("k"), nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if q.TTL != time.Minute || q.Time != 500 || q.Epoch != 7 {
		t.Errorf("request %+v", q)
	}
}
