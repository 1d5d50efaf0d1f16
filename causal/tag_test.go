package causal

import "testing"

func TestTags(t *testing.T) {
	a := newSigner([]byte("a cluster key"), 7)
	v, d := VectorClock{3, 0, 5}, Dot{Origin: 1, Counter: 4}
	good, goodDot := SignedVector{v, a.vector(v)}, SignedDot{d, a.dot(d)}
	if !a.goodVector(good) || !a.goodDot(goodDot) {
		t.Fatal("a server refuses what it has signed")
	}
	for name, x := range map[string]SignedVector{
		"raised":   {VectorClock{3, 1, 5}, good.Tag},
		"shorter":  {VectorClock{3, 0}, good.Tag},
		"longer":   {VectorClock{3, 0, 5, 0}, good.Tag},
		"permuted": {VectorClock{5, 0, 3}, good.Tag},
		"untagged": {Vector: v},
	} {
		if a.goodVector(x) {
			t.Errorf("a vector that was %s is believed", name)
		}
	}
	for name, x := range map[string]SignedDot{
		"another counter":     {Dot{Origin: 1, Counter: 5}, goodDot.Tag},
		"another origin":      {Dot{Origin: 2, Counter: 4}, goodDot.Tag},
		"another incarnation": {Dot{Origin: 1, Incarnation: 1, Counter: 4}, goodDot.Tag},
		"no tag":              {Dot: d},
	} {
		if a.goodDot(x) {
			t.Errorf("a dot with %s is believed", name)
		}
	}
	for name, b := range map[string]*signer{"epoch": newSigner([]byte("a cluster key"), 8), "key": newSigner([]byte("another key"), 7)} {
		if b.goodVector(good) || b.goodDot(goodDot) {
			t.Errorf("tags of another %s are believed", name)
		}
	}
	// What is signed says what it is: a vector of a dot's numbers is no dot.
	if asVector := (SignedVector{VectorClock{1, 0, 4}, goodDot.Tag}); a.goodVector(asVector) {
		t.Error("a dot's tag passes for a vector's")
	}
}

func TestTagOfTheLastVectorIsKept(t *testing.T) {
	a := newSigner([]byte("k"), 7)
	v, w := VectorClock{1, 2}, VectorClock{1, 3}
	first := a.vector(v)
	if n := testing.AllocsPerRun(100, func() {
		if a.vector(v) != first || !a.goodVector(SignedVector{v, first}) {
			t.Fatal("another tag for the same vector")
		}
	}); n != 0 {
		t.Errorf("signing the same vector again allocates %v times: it is not kept", n)
	}
	second := a.vector(w)
	if second == first || !a.goodVector(SignedVector{v, first}) || !a.goodVector(SignedVector{w, second}) {
		t.Error("an older vector's tag is not good any more, or the new one's not yet")
	}
	v[1] = 9 // the signer's copy is its own
	if a.goodVector(SignedVector{v, first}) {
		t.Error("the signer shares the vector that it was given")
	}
}

func TestNoKeyNoTags(t *testing.T) {
	s := newSigner(nil, 7)
	if s.vector(VectorClock{1}) != (Tag{}) || s.dot(Dot{Counter: 1}) != (Tag{}) {
		t.Error("tags without a key")
	}
	if !s.goodVector(SignedVector{Vector: VectorClock{1}}) || !s.goodDot(SignedDot{}) {
		t.Error("clients are not trusted, though there is no key")
	}
}
