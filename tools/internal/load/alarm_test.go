package load

import (
	"testing"
	"time"
)

// TestAlarm: an exact alarm is never early, and ends when the load does.
func TestAlarm(t *testing.T) {
	stopped := make(chan struct{})
	a := newAlarm(stopped)
	a.sharpen()
	if a.kernel == nil {
		t.Fatal("there is no timer of the kernel's")
	}
	for _, d := range []time.Duration{0, 1, time.Millisecond, pollAtMost + time.Millisecond} {
		began := time.Now()
		if !a.wait(d) || time.Since(began) < d {
			t.Errorf("waited for %v in place of %v", time.Since(began), d)
		}
	}
	if n := testing.AllocsPerRun(100, func() { a.wait(time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	close(stopped)
	if began := time.Now(); a.wait(time.Hour) || time.Since(began) > patience {
		t.Error("the load was stopped, and the alarm waits on")
	}
	a.close()
	if a.wait(time.Hour) {
		t.Error("so it does without the kernel's timer")
	}
}
