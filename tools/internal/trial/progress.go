package trial

import (
	"context"
	"fmt"
	"time"

	"causalmesh/tools/internal/workload"
)

const (
	redrawEvery = 200 * time.Millisecond // on a terminal
	lineEvery   = 3 * time.Second        // elsewhere; more rarely in
	mostLines   = 40                     // long trials
)

// watch tells how a run goes until done is closed: on one line that is redrawn, or on
// a line every few seconds.
func (o *Options) watch(ctx context.Context, w *workload.Tally, note func() string, done <-chan struct{}) {
	every, before, after := max(lineEvery, o.Duration/mostLines), "", "\n"
	redraws := terminal(o.Out)
	if redraws {
		every, before, after = redrawEvery, "\r\033[K", ""
		defer o.printf("\r\033[K")
	}
	start, last, lastOps := time.Now(), time.Now(), uint64(0)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case now := <-tick.C:
			ops := w.Done()
			rate := float64(ops-lastOps) / now.Sub(last).Seconds()
			o.printf("%s  %3.0f s of %.0f  %12s operations  %8s/s  %s%s", before, now.Sub(start).Seconds(), o.Duration.Seconds(),
				grouped(ops), grouped(uint64(rate)), note(), after)
			last, lastOps = now, ops
		}
	}
}

// failed is the note of runs in which failures are worth telling.
func failed(w *workload.Tally) func() string {
	return func() string { return fmt.Sprintf("%s failed", grouped(w.Failures())) }
}
