package bench

import (
	"fmt"
	"io"
	"time"
)

// progress tells how far a run is, and how long it will take from here: by what is
// left of what was expected, stretched as much as what is done was.
type progress struct {
	to       io.Writer
	began    time.Time
	expected time.Duration // in all
	done     time.Duration // of what was expected
}

func newProgress(to io.Writer, expected time.Duration) *progress {
	return &progress{to: to, began: time.Now(), expected: expected}
}

// advance counts a step that was expected to take some time.
func (p *progress) advance(step time.Duration) { p.done += step }

// note tells what is being done.
func (p *progress) note(format string, args ...any) {
	fmt.Fprintf(p.to, "%6s  %s left  %s\n", clockTime(time.Since(p.began)), p.left(), fmt.Sprintf(format, args...))
}

// left is what is expected from here; in the beginning nobody knows how fast it goes.
func (p *progress) left() string {
	left := p.expected - p.done
	const known = 0.02 // of all
	if p.done > 0 && float64(p.done) > known*float64(p.expected) {
		left = time.Duration(float64(left) * float64(time.Since(p.began)) / float64(p.done))
	}
	return clockTime(max(0, left))
}

func clockTime(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%2d:%02d", s/60, s%60)
}
