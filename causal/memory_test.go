package causal

import "testing"

func TestMemoryForgetsTheOldest(t *testing.T) {
	m := newMemory(3)
	for s := uint64(1); s <= 5; s++ {
		m.add(RequestID{s, 1}, &Version{Dot: Dot{Counter: Counter(s)}})
	}
	for s := uint64(1); s <= 5; s++ {
		v, passed := m.find(RequestID{s, 1})
		if want := s > 2; (v != nil) != want || passed || want && v.Dot.Counter != Counter(s) {
			t.Errorf("session %d: %v, passed %v, remembered should be %v", s, v, passed, want)
		}
	}
}

// TestMemoryKeepsTheLastOfEachSession: a session's next write replaces its last,
// and the room of a replaced one does not take the newer one away.
func TestMemoryKeepsTheLastOfEachSession(t *testing.T) {
	m := newMemory(4)
	for n := uint32(1); n <= 100; n++ {
		m.add(RequestID{1, n}, &Version{Dot: Dot{Counter: Counter(n)}})
		if v, passed := m.find(RequestID{1, n}); v == nil || passed || v.Dot.Counter != Counter(n) {
			t.Fatalf("write %d is not remembered", n)
		}
		if _, passed := m.find(RequestID{1, n - 1}); !passed {
			t.Fatalf("write %d is not known to have passed after %d", n-1, n)
		}
		if v, _ := m.find(RequestID{1, n + 1}); v != nil {
			t.Fatalf("write %d is remembered before it is made", n+1)
		}
		if len(m.last) > 4 || len(m.order) > 4 {
			t.Fatalf("%d sessions in %d places, the limit is 4", len(m.last), len(m.order))
		}
	}
}

// TestMemoryKeepsNoValues: a remembered write is small however large its value is.
func TestMemoryKeepsNoValues(t *testing.T) {
	m := newMemory(2)
	m.add(RequestID{1, 1}, &Version{Key: []byte("k"), Value: make([]byte, 1<<20), Deps: []Dot{{}}, Deadline: 9, Tombstone: true})
	v, _ := m.find(RequestID{1, 1})
	if v.Key != nil || v.Value != nil || v.Deps != nil {
		t.Error("a remembered write keeps its key, value or dependencies")
	}
	if v.Deadline != 9 || !v.Tombstone {
		t.Error("a remembered write lost what its reply says")
	}
}
