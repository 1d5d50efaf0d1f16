package daemon

import (
	"time"

	"causalmesh/causal"
)

// clock is the wall clock without its leaps back: an operator, or NTP, may set it
// back while heartbeats and time-outs go on. It follows a leap forward at once; when
// it is ahead of the wall clock it runs slower until that has caught up.
type clock struct {
	last causal.Time
	read time.Time // with the monotonic reading
	// wall is the wall clock, nil for the machine's: tests have one that they put forward.
	wall func() time.Time
}

// slowdown is the part of the elapsed time that passes while the clock is ahead.
const slowdown = 0.9

func (c *clock) now() causal.Time {
	read := time.Now
	if c.wall != nil {
		read = c.wall
	}
	now := read()
	return c.at(now, causal.TimeOf(now))
}

// at is now for a monotonic and a wall clock's reading.
func (c *clock) at(read time.Time, wall causal.Time) causal.Time {
	if elapsed := read.Sub(c.read); c.last != 0 && wall < c.last.Add(elapsed) {
		wall = max(wall, c.last.Add(time.Duration(slowdown*float64(elapsed))))
	}
	c.last, c.read = max(c.last, wall), read
	return c.last
}
