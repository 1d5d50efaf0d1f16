package sim

import (
	"fmt"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
)

var modes = []causal.Propagation{causal.OneRound, causal.TwoRound}

// TestSeeds is a small fixed set; make sim runs more.
func TestSeeds(t *testing.T) {
	for _, mode := range modes {
		stats := RunMany(Options{Propagation: mode}, 0, 1500, 2, func(_ uint64, r *Result) {
			if !r.OK() {
				t.Errorf("%v: %s", mode, r.String())
			}
		})
		// An idle simulator finds nothing wrong.
		c := stats.Core
		for name, n := range map[string]uint64{
			"direct reads": stats.Direct, "branches": stats.Branches, "joins": stats.Joins, "cuts": stats.Cuts,
			"restarts": stats.Restarts, "foreign writes": stats.Foreign, "unknown outcomes": stats.Unknown,
			"writes": c.Writes, "read misses": c.ReadMisses, "retries": c.Retries, "overloads": c.Overloaded,
			"duplicates": c.Duplicates, "load errors": c.LoadErrors, "flush errors": c.FlushErrors,
			"evictions": c.Evicted, "expiries": c.Expired, "imports": c.Imported, "misses served": c.Misses,
		} {
			if n == 0 {
				t.Errorf("%v: no run had any %s", mode, name)
			}
		}
	}
}

// TestCarrying: the variant that the propagation modes are compared with is safe.
func TestCarrying(t *testing.T) {
	RunMany(Options{Experiment: causal.Experiment{Carrying: true}}, 0, 500, 2, func(_ uint64, r *Result) {
		if !r.OK() {
			t.Error(r.String())
		}
	})
}

// TestTailCloses: so is the variant in which S rises at the tails.
func TestTailCloses(t *testing.T) {
	RunMany(Options{Experiment: causal.Experiment{TailCloses: true}}, 0, 500, 2, func(_ uint64, r *Result) {
		if !r.OK() {
			t.Error(r.String())
		}
	})
}

func TestCanaries(t *testing.T) {
	scenarios, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	missing := map[defect.Set]bool{}
	for _, d := range defect.All() {
		missing[d] = true
	}
	for _, c := range Canaries {
		delete(missing, c.Defect)
		if err := c.Catch(scenarios); err != nil {
			t.Error(err)
		}
	}
	for d := range missing {
		t.Errorf("defect %v has no canary", d)
	}
}

// TestRunsAreDeterministic: a seed is a test only if it does the same every time.
func TestRunsAreDeterministic(t *testing.T) {
	record := func(seed uint64, o Options) (lines []string) {
		o.Trace = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		r := Runner{Options: o}
		r.Run(seed)
		return lines
	}
	for seed := range uint64(200) {
		o := OptionsOf(modes[seed%2], 0)
		first, second := record(seed, o), record(seed, o)
		if len(first) == 0 || len(first) != len(second) {
			t.Fatalf("seed %d: %d lines, then %d", seed, len(first), len(second))
		}
		for i := range first {
			if first[i] != second[i] {
				t.Fatalf("seed %d differs in line %d:\n%s\n%s", seed, i, first[i], second[i])
			}
		}
	}
}

func TestVisibilityOrder(t *testing.T) {
	// Virtual time: this is a property of the protocol, not of the machine.
	median := func(o Options) float64 {
		v := newVisibility(5, o)
		v.run()
		return v.quantile(0.5)
	}
	one, two := median(Options{}), median(Options{Propagation: causal.TwoRound})
	if one >= two {
		t.Errorf("one round shows writes after %.1f ms, two rounds after %.1f ms", one, two)
	}
}

func BenchmarkRun(b *testing.B) {
	r := Runner{}
	for i := range b.N {
		if res := r.Run(uint64(i)); !res.OK() {
			b.Fatal(res.String())
		}
	}
}
