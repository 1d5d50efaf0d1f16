package causal

import (
	"bytes"
	"math/rand"
	"testing"
)

// TestICacheAgainstSlice: versions come out as they went in, whatever lies between.
func TestICacheAgainstSlice(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	var c icache
	var twin []*Version
	for step := range 50_000 {
		// Grow, shrink and idle in turns, so that memory is used again at all sizes.
		if push := rng.Intn(10) < 3+step/5000%2*4; push || len(twin) == 0 {
			size := rng.Intn(300)
			if rng.Intn(200) == 0 {
				size = rng.Intn(2 * chunkBytes)
			}
			v := &Version{
				Key: make([]byte, 1+rng.Intn(20)), Value: make([]byte, size), Dot: Dot{Counter: Counter(step)},
				Deps: make([]Dot, rng.Intn(3)),
			}
			rng.Read(v.Key)
			rng.Read(v.Value)
			twin = append(twin, v.Clone())
			c.push(v)
			clear(v.Value) // it was copied
			clear(v.Deps)
		} else {
			expectVersion(t, step, c.at(0), twin[0])
			c.drop()
			twin = twin[1:]
		}
		if c.len() != len(twin) {
			t.Fatalf("step %d: %d versions, want %d", step, c.len(), len(twin))
		}
		if len(twin) > 0 {
			i := rng.Intn(len(twin))
			expectVersion(t, step, c.at(i), twin[i])
		}
	}
}

func expectVersion(t *testing.T, step int, got, want *Version) {
	t.Helper()
	if got.Dot != want.Dot || !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) || len(got.Deps) != len(want.Deps) {
		t.Fatalf("step %d: got version %v, want %v, or its bytes have changed", step, got.Dot, want.Dot)
	}
}

// TestICacheMemory: passing versions through takes no memory, and what a burst took is
// given back.
func TestICacheMemory(t *testing.T) {
	var c icache
	v := &Version{Key: []byte("key"), Value: make([]byte, 100), Deps: []Dot{{1, 0, 1}}}
	pass := func() {
		c.push(v)
		c.push(v)
		c.drop()
		c.drop()
	}
	for range 2 * chunkBytes {
		pass()
	}
	if n := testing.AllocsPerRun(1000, pass); n != 0 {
		t.Errorf("%v allocations per pair of versions", n)
	}
	for range 10 * keepEntries {
		c.push(v)
	}
	for c.len() > 0 {
		c.drop()
	}
	if len(c.entries) > keepEntries || len(c.bytes.spare) > spareChunks {
		t.Errorf("an empty I-cache holds on to %d places and %d chunks", len(c.entries), len(c.bytes.spare))
	}
}
