package sim

import (
	"fmt"
	"sync"
	"sync/atomic"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
)

// OptionsOf returns the options of a run with one rule left out.
func OptionsOf(mode causal.Propagation, d defect.Set) Options {
	return Options{Propagation: mode, Experiment: causal.Experiment{Defects: d, Carrying: carries(d)}}
}

// RunMany runs seeds from, from+1, … on several goroutines; each run is
// deterministic, only their order is not. report is called after each run, one at
// a time, with how many are done.
func RunMany(o Options, from, seeds uint64, workers int, report func(done uint64, res *Result)) Stats {
	var (
		next  atomic.Uint64
		mu    sync.Mutex
		wg    sync.WaitGroup
		total Stats
	)
	for range workers {
		wg.Go(func() {
			r := Runner{Options: o}
			for i := next.Add(1) - 1; i < seeds; i = next.Add(1) - 1 {
				res := r.Run(from + i)
				mu.Lock()
				total.add(&res.Stats)
				report(total.Runs, &res)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return total
}

// String tells what the runs have gone through.
func (s *Stats) String() string {
	c := &s.Core
	return fmt.Sprintf(`  %d steps, %d operations, %d direct reads, %d branches, %d joins
  %d writes, %d retried, %d of unknown outcome; %d overloaded
  %d links cut, %d duplicates; %d whole-cluster restarts
  %d loads, %d failed; %d flushes, %d failed; %d evicted, %d expired, %d foreign writes, %d imported
`, s.Steps, s.Operations, s.Direct, s.Branches, s.Joins, c.Writes, c.Retries, s.Unknown, c.Overloaded,
		s.Cuts, c.Duplicates, s.Restarts, c.Loads, c.LoadErrors, c.Flushes, c.FlushErrors, c.Evicted, c.Expired,
		s.Foreign, c.Imported)
}
