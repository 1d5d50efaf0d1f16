package table

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"causalmesh/causal"
)

// TestCloseLeavesNoMapping: nothing of the region is left, and closing twice is fine.
func TestCloseLeavesNoMapping(t *testing.T) {
	table, err := New(Options{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	fill(table, 1000)
	from := fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&table.region.mapped[0])))
	maps := func() string {
		b, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return "\n" + string(b)
	}
	if !strings.Contains(maps(), "\n"+from) {
		t.Fatalf("no mapping at %s", from)
	}
	for range 2 {
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(maps(), "\n"+from) {
		t.Errorf("the mapping at %s is still there", from)
	}
}

// TestMachineSizedTable: the default reserves address space for all of the memory.
func TestMachineSizedTable(t *testing.T) {
	table := newMapped(t, 0)
	fill(table, 1000)
	if table.Held() > 4<<20 {
		t.Errorf("%d bytes are held", table.Held())
	}
	t.Logf("%d MiB of address space", table.region.bytes>>20)
}

// TestGarbageFree: what is done for each request leaves nothing for the collector.
func TestGarbageFree(t *testing.T) {
	table := newMapped(t, 64<<20)
	r := table.NewReader()
	fill(table, 2000)
	key, w := []byte("k7"), short([]byte("k8"), 1)
	var v causal.Version
	s := causal.SignedVector{Vector: make(causal.VectorClock, 8)}
	visit := func(*causal.Version, causal.Presence) causal.Verdict { return causal.Keep }
	step := func() {
		table.Reuse()
		table.Get(key, &v)
		table.Put(w, causal.Complete)
		table.Remove([]byte("k9"))
		table.Sweep(10, true, visit)
		table.Publish(s)
		table.Beat(1)
		r.Stability(&s)
		r.Slot(key, &v)
	}
	for range 10 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 && !invariants {
		t.Errorf("%v allocations", n)
	}
}
