package load

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const progressEvery = time.Second

// progress is a line on a terminal that is written over and over. A nil progress
// shows nothing.
type progress struct {
	to       io.Writer
	lastAt   time.Duration
	lastDone int64
}

// newProgress returns nil if f is no terminal.
func newProgress(f *os.File) *progress {
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return &progress{to: f}
}

const clearLine = "\r\x1b[K"

func (p *progress) show(phase string, at time.Duration, t *tally) {
	latency := t.latency()
	rate := float64(t.ended-p.lastDone) / (at - p.lastAt).Seconds()
	p.lastAt, p.lastDone = at, t.ended
	fmt.Fprintf(p.to, "%s%-9s %3.0fs  %9.0f ops/s  p50 %s  p99 %s  errors %d", clearLine, phase, at.Seconds(), rate,
		showLatency(latency.ValueAtQuantile(50)), showLatency(latency.ValueAtQuantile(99)), t.counts.errors)
}

func (p *progress) showPreparation(q *preparation) {
	fmt.Fprintf(p.to, "%s%s %d of %d", clearLine, q.name, q.done.Load(), q.total)
}

func (p *progress) clear() {
	if p != nil {
		fmt.Fprint(p.to, clearLine)
	}
}

// showLatency writes nanoseconds with a unit that suits them; "-" stands for none.
func showLatency(ns int64) string {
	d := time.Duration(ns)
	switch {
	case ns <= 0:
		return "-"
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", ns)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", float64(ns)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
