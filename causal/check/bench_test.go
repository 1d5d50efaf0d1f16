package check

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"causalmesh/causal"
)

// BenchmarkTiny is the simulator's use: one checker, histories of 60 operations.
func BenchmarkTiny(b *testing.B) {
	var histories []*History
	for seed := range uint64(64) {
		rng := rand.New(rand.NewPCG(seed, 9))
		histories = append(histories, generate(rng, shape{keys: 3, threads: 4, ops: 60}))
	}
	var c Checker
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if r := c.Check(histories[i%len(histories)]); !r.OK() {
			b.Fatal(r.Err())
		}
	}
}

// largeHistory is a run against a cluster: sessions that read and write keys, the
// low ones often, and see each version some operations after it was written.
func largeHistory(sessions, opsEach, keys, lag int) *History {
	rng := rand.New(rand.NewPCG(1, 1))
	h := &History{Keys: make([]string, keys)}
	for k := range h.Keys {
		h.Keys[k] = fmt.Sprintf("key%d", k)
	}
	zipf := rand.NewZipf(rng, 1.1, 4, uint64(keys-1))
	processes := make([]*Process, sessions)
	for i := range processes {
		processes[i] = h.Start(fmt.Sprintf("s%d", i), 1)
	}
	visible := make([]Item, keys)
	own := make([]map[KeyID]Item, sessions)
	var flight []Item
	now := causal.Time(100)
	for n := range sessions * opsEach {
		s := rng.IntN(sessions)
		if opsEach < 100 { // short workflows come one after the other
			s = n / opsEach
		}
		p := processes[s]
		if own[s] == nil {
			own[s] = make(map[KeyID]Item)
		}
		view := func() Item {
			k := KeyID(zipf.Uint64())
			it := visible[k]
			it.Key = k
			if w, ok := own[s][k]; ok && it.Stamp.Less(w.Stamp) {
				it = w
			}
			return it
		}
		switch rng.IntN(4) {
		case 0, 1:
			p.Read(view())
		case 2:
			p.ReadMany(view(), view(), view())
		case 3:
			now++
			it := Item{Key: KeyID(zipf.Uint64()), Seen: SeenValue, Value: p.NewValue(), Dot: causal.Dot{Counter: causal.Counter(now)}, Stamp: causal.Stamp{Time: now}}
			p.Write(it.Key, it.Value, Acknowledged, it.Dot, it.Stamp)
			own[s][it.Key] = it
			flight = append(flight, it)
		}
		if len(flight) > lag {
			visible[flight[0].Key] = flight[0]
			flight = flight[1:]
		}
	}
	for _, it := range flight {
		visible[it.Key] = it
	}
	var items []Item
	for _, it := range visible {
		if it.Seen != SeenNothing {
			items = append(items, it)
		}
	}
	h.Final = []ServerState{{Server: 0, Items: items}, {Server: 1, Items: items}}
	return h
}

// BenchmarkLarge is a real cluster's run. The memory is what the heap holds with
// the checker still alive, beyond the history.
func BenchmarkLarge(b *testing.B) {
	for _, bc := range []struct {
		name                          string
		sessions, opsEach, keys, lags int
	}{
		{"32x62500", 32, 62_500, 10_000, 200},
		{"64x31250-lagging", 64, 31_250, 10_000, 20_000},
		{"workflows=5000x6", 5_000, 6, 1_000, 20},
		{"workflows=20000x6", 20_000, 6, 1_000, 20},
	} {
		b.Run(bc.name, func(b *testing.B) {
			h := largeHistory(bc.sessions, bc.opsEach, bc.keys, bc.lags)
			before := heapMiB()
			for b.Loop() {
				var c Checker
				if r := c.Check(h); !r.OK() {
					b.Fatal(r.Err())
				}
				b.StopTimer()
				b.ReportMetric(heapMiB()-before, "checker-MiB")
				b.StartTimer()
				runtime.KeepAlive(&c)
			}
			b.ReportMetric(before, "history-MiB")
			b.ReportMetric(float64(h.Ops()), "ops")
		})
	}
}

func heapMiB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// TestTinyAllocatesNothing: the simulator checks hundreds of thousands of
// histories with one checker.
func TestTinyAllocatesNothing(t *testing.T) {
	h := generate(rand.New(rand.NewPCG(3, 9)), shape{keys: 3, threads: 4, ops: 60})
	var c Checker
	if n := testing.AllocsPerRun(100, func() { c.Check(h) }); n > 0 {
		t.Errorf("%v allocations per check", n)
	}
}

func TestResetKeepsMemory(t *testing.T) {
	h := tinyHistory()
	run := func() {
		h.Reset()
		for range 3 {
			p := h.Start("p", 1)
			for range 10 {
				p.Read(missing(keyX))
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n > 0 {
		t.Errorf("%v allocations per run", n)
	}
	if h.Ops() != 30 || h.Processes() != 3 {
		t.Errorf("%d operations of %d processes after Reset", h.Ops(), h.Processes())
	}
}
