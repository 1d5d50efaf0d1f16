package check

import (
	"fmt"
	"sync"
	"testing"

	"causalmesh/causal"
)

// TestRecorder runs sessions that branch and join against a store under a lock.
// Under -race it also shows that recording needs no lock of its own.
func TestRecorder(t *testing.T) {
	var mu sync.Mutex
	var now causal.Time = 100
	current := make([]causal.Version, 3)
	rec := NewRecorder([]string{"x", "y", "z"})
	work := func(p *Process, n int) {
		for i := range n {
			k := KeyID(i % len(current))
			mu.Lock()
			if i%2 == 0 {
				id := p.NewValue()
				now++
				v := causal.Version{Value: id.Append(nil), Dot: causal.Dot{Counter: causal.Counter(now)}, Stamp: causal.Stamp{Time: now}}
				current[k] = v
				mu.Unlock()
				p.Write(k, id, Acknowledged, v.Dot, v.Stamp)
				continue
			}
			v, w := current[k], current[0]
			mu.Unlock()
			p.ReadMany(ItemOf(k, &v, false), ItemOf(0, &w, false))
		}
	}
	var sessions sync.WaitGroup
	for s := range 8 {
		sessions.Go(func() {
			p := rec.Start(fmt.Sprintf("s%d", s), 1)
			work(p, 20)
			branch := rec.Start(p.name+"/1", 1, p.Position())
			var branches sync.WaitGroup
			branches.Go(func() { work(branch, 20) })
			work(p, 20)
			branches.Wait()
			p.Join(branch.Position())
			work(p, 20)
		})
	}
	sessions.Wait()
	h := rec.History()
	state := ServerState{}
	for k := range current {
		state.Items = append(state.Items, ItemOf(KeyID(k), &current[k], false))
	}
	h.Final = []ServerState{state, state}
	if r := Check(h); !r.OK() {
		t.Fatal(r.Err())
	}
	if h.Processes() != 16 || h.Ops() != 8*(80+1) {
		t.Errorf("recorded %d processes, %d operations", h.Processes(), h.Ops())
	}
	// The same history without the first session's knowledge of itself is wrong.
	p := h.Process(0)
	p.Read(Item{Key: 0})
	if r := Check(h); r.Counts[KindStale] != 1 {
		t.Errorf("read of nothing after writes: %s", r.String())
	}
}

func TestItemOf(t *testing.T) {
	v := causal.Version{Value: ValueID(7).Append(nil), Dot: dotAt(1), Stamp: stampAt(1)}
	tomb := causal.Version{Tombstone: true, Dot: dotAt(2), Stamp: stampAt(2)}
	for _, tc := range []struct {
		name    string
		version causal.Version
		expired bool
		want    Item
	}{
		{"value", v, false, Item{Key: keyY, Seen: SeenValue, Value: 7, Dot: dotAt(1), Stamp: stampAt(1)}},
		{"expired", v, true, expired(keyY, 1)},
		{"tombstone", tomb, false, deleted(keyY, 2)},
		{"absent", causal.Version{}, false, missing(keyY)},
	} {
		if got := ItemOf(keyY, &tc.version, tc.expired); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
