package daemon

import (
	"testing"
	"time"

	"causalmesh/causal"
)

func TestClockNeverGoesBack(t *testing.T) {
	read := time.Now()
	wall := causal.TimeOf(read)
	var c clock
	if got := c.at(read, wall); got != wall {
		t.Fatalf("starts at %d, want the wall clock's %d", got, wall)
	}
	// The wall clock is set back by an hour: time goes on, more slowly.
	last := c.at(read, wall)
	wall = wall.Add(-time.Hour)
	for range 100 {
		read, wall = read.Add(time.Second), wall.Add(time.Second)
		now := c.at(read, wall)
		if passed := now.Sub(last); passed < 850*time.Millisecond || passed > time.Second {
			t.Fatalf("%v pass in a second", passed)
		}
		last = now
	}
	// It is set right again: so is the clock, at once.
	if now := c.at(read.Add(time.Second), last.Add(time.Minute)); now != last.Add(time.Minute) {
		t.Errorf("%v behind the wall clock", last.Add(time.Minute).Sub(now))
	}
}
