// Command simulate runs the simulator: many seeds in both modes, all canaries,
// one seed with a trace of everything that happens, or a comparison of how soon
// writes become visible.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
	"causalmesh/causal/sim"
)

const usage = `simulate: the real core against an adversary, seed by seed.

  simulate -seeds 20000              seeds 0 … 19999 in both modes, and all canaries
  simulate -seed 4711 -mode two-round -trace
                                     what happens in one run, line by line
  simulate -seed 36 -defect piecemeal-read-many -trace
                                     the same with one rule left out
  simulate -visibility               how soon writes show, by variant
  simulate -pin 30000                seeds for the canaries, when runs have changed
  simulate -tla DIR -seeds 20        what the core does in runs of so many seeds, as
                                     modules for the trace specifications in tla/

A violation prints its seed and ends with status 1. Flags:
`

func main() {
	flags := flag.NewFlagSet("simulate", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage); flags.PrintDefaults() }
	seeds := flags.Uint64("seeds", 20000, "how many seeds to run")
	from := flags.Uint64("from", 0, "the first seed")
	mode := flags.String("mode", "both", "one-round, two-round or both")
	workers := flags.Int("workers", runtime.NumCPU(), "runs at the same time")
	canaries := flags.Bool("canaries", true, "run the canaries, too")
	seed := flags.Int64("seed", -1, "run this seed alone")
	trace := flags.Bool("trace", false, "with -seed: print everything that happens")
	broken := flags.String("defect", "none", "with -seed: leave out one rule")
	pin := flags.Uint64("pin", 0, "look through this many seeds for one that shows each canary")
	visibility := flags.Bool("visibility", false, "compare how soon writes show")
	tla := flags.String("tla", "", "write TLA+ modules of traces into this directory")
	flags.Parse(os.Args[1:])

	modes, err := parseModes(*mode)
	d, ok := defect.Parse(*broken)
	if err != nil || !ok || flags.NArg() > 0 || *workers < 1 {
		fmt.Fprintln(os.Stderr, "simulate: unknown mode, defect or argument; see -help")
		os.Exit(2)
	}
	switch {
	case *tla != "":
		ok = writeTraces(*tla, *from, *seeds)
	case *pin > 0:
		fmt.Print(sim.Pin(*pin))
	case *visibility:
		fmt.Print(sim.CompareVisibility())
	case *seed >= 0:
		ok = runOne(uint64(*seed), modes, d, *trace)
	default:
		ok = runMany(*from, *seeds, modes, *workers)
		if *canaries {
			ok = runCanaries() && ok
		}
	}
	if !ok {
		os.Exit(1)
	}
}

func parseModes(mode string) ([]causal.Propagation, error) {
	switch mode {
	case "both":
		return []causal.Propagation{causal.OneRound, causal.TwoRound}, nil
	case "one-round":
		return []causal.Propagation{causal.OneRound}, nil
	case "two-round":
		return []causal.Propagation{causal.TwoRound}, nil
	}
	return nil, fmt.Errorf("unknown mode %q", mode)
}

func runOne(seed uint64, modes []causal.Propagation, d defect.Set, trace bool) bool {
	ok := true
	for _, mode := range modes {
		o := sim.OptionsOf(mode, d)
		if trace {
			o.Trace = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
		}
		r := sim.Runner{Options: o}
		res := r.Run(seed)
		fmt.Printf("%v: %s\n", mode, res.String())
		ok = ok && res.OK()
	}
	return ok
}

// runMany prints progress and the first violations with a line to reproduce each.
func runMany(from, seeds uint64, modes []causal.Propagation, workers int) bool {
	ok := true
	for _, mode := range modes {
		begin, last := time.Now(), time.Now()
		bad := 0
		stats := sim.RunMany(sim.Options{Propagation: mode}, from, seeds, workers, func(done uint64, res *sim.Result) {
			if !res.OK() {
				if bad++; bad <= 5 {
					fmt.Printf("%v: %s\n  reproduce: go run ./causal/sim/simulate -mode %v -trace -seed %d\n", mode, res.String(), mode, res.Seed)
				}
			}
			if time.Since(last) > 5*time.Second {
				last = time.Now()
				fmt.Printf("%v: %d of %d seeds, %d violations, %v\n", mode, done, seeds, bad, time.Since(begin).Round(time.Second))
			}
		})
		fmt.Printf("%v: %d seeds from %d, %d violations, %v\n%s", mode, seeds, from, bad, time.Since(begin).Round(time.Second/10), stats.String())
		ok = ok && bad == 0
	}
	return ok
}

func writeTraces(dir string, from, seeds uint64) bool {
	modules, err := sim.Traces(from, seeds)
	for _, m := range modules {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, m.Name+".tla"), []byte(m.Text), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
	}
	return err == nil
}

func runCanaries() bool {
	scenarios, err := sim.Scenarios()
	if err != nil {
		fmt.Println(err)
		return false
	}
	missed := 0
	for _, c := range sim.Canaries {
		if err := c.Catch(scenarios); err != nil {
			missed++
			fmt.Println("MISSED", err)
		}
	}
	fmt.Printf("canaries: %d of %d caught\n", len(sim.Canaries)-missed, len(sim.Canaries))
	return missed == 0
}
