package causal

import (
	"reflect"
	"testing"
)

func TestMemoryForgetsTheOldest(t *testing.T) {
	m := newMemory(3)
	for s := uint64(1); s <= 5; s++ {
		m.add(RequestID{s, 1}, receipt{dot: Dot{Counter: Counter(s)}})
	}
	for s := uint64(1); s <= 5; s++ {
		v, found, passed := m.find(RequestID{s, 1})
		if want := s > 2; found != want || passed || want && v.dot.Counter != Counter(s) {
			t.Errorf("session %d: %v, passed %v, remembered should be %v", s, v, passed, want)
		}
	}
}

// TestMemoryKeepsTheLastOfEachSession: a session's next write replaces its last,
// and the room of a replaced one does not take the newer one away.
func TestMemoryKeepsTheLastOfEachSession(t *testing.T) {
	m := newMemory(4)
	for n := uint32(1); n <= 100; n++ {
		m.add(RequestID{1, n}, receipt{dot: Dot{Counter: Counter(n)}})
		if v, found, passed := m.find(RequestID{1, n}); !found || passed || v.dot.Counter != Counter(n) {
			t.Fatalf("write %d is not remembered", n)
		}
		if _, _, passed := m.find(RequestID{1, n - 1}); !passed {
			t.Fatalf("write %d is not known to have passed after %d", n-1, n)
		}
		if _, found, _ := m.find(RequestID{1, n + 1}); found {
			t.Fatalf("write %d is remembered before it is made", n+1)
		}
		if len(m.last) > 4 || len(m.order) > 4 {
			t.Fatalf("%d sessions in %d places, the limit is 4", len(m.last), len(m.order))
		}
	}
}

// TestReceiptSaysWhatARetryIsTold: what is remembered of a write answers for it.
func TestReceiptSaysWhatARetryIsTold(t *testing.T) {
	v := Version{Key: []byte("k"), Value: []byte("v"), Dot: Dot{1, 2, 3}, Stamp: Stamp{4, 5}, Epoch: 6, Deps: []Dot{{}}, Deadline: 9, Tombstone: true}
	got := v.receipt().version()
	want := v
	want.Key, want.Value, want.Deps = nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
