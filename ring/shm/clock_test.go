//go:build linux

package shm

import (
	"testing"
	"time"
)

// rounding is by how much two ways to read one clock may differ.
const rounding = 100

// The clock is the system's, as far as it could be read when it was calibrated.
func TestNow(t *testing.T) {
	first, off := calibrated()
	for range 1000 {
		before := monotonic()
		now := int64(Now())
		if after := monotonic(); now < before-off-rounding || now > after+off+rounding {
			t.Fatalf("%d, but it was %d before and %d after", now, before, after)
		}
	}
	for range 20 {
		another, byAnother := calibrate(100)
		if d := another - first; max(d, -d) > off+byAnother+rounding {
			t.Errorf("another look differs by %d ns; want at most %d and %d", d, off, byAnother)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A look at the clock that nothing disturbs finds it to a microsecond.
func TestCalibrateIsPrecise(t *testing.T) {
	deadline := time.Now().Add(patience)
	for _, off := calibrate(100); off > 1000; _, off = calibrate(100) {
		if time.Now().After(deadline) {
			t.Fatalf("no better than by %d ns", off)
		}
	}
}
