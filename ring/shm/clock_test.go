//go:build linux

package shm

import "testing"

// off is by how much the clock may be wrong; another process's is as wrong as that.
const off = 1000

// The clock is the system's.
func TestNow(t *testing.T) {
	for range 1000 {
		before := monotonic()
		now := int64(Now())
		if after := monotonic(); now < before-off || now > after+off {
			t.Fatalf("%d, but it was %d before and %d after", now, before, after)
		}
	}
	first := calibrate(100)
	for range 20 {
		if d := calibrate(100) - first; d < -off || d > off {
			t.Errorf("another look differs by %d ns", d)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
