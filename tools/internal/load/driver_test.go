package load

import (
	"testing"
	"time"
)

// TestSpin: a driver that spins does not wait for what is not there.
func TestSpin(t *testing.T) {
	d := &driver{run: &run{o: &Options{Spin: true}}}
	if err := d.wait(time.Hour); err != nil {
		t.Error(err)
	}
}
