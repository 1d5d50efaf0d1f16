package stress

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// The exit codes of stress.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it
)

const usage = `stress runs the tests of this module many times, several packages at once and beside
a load, and counts the runs and failures of each. Run it in the folder of the module.

usage: stress [flags] [packages]

  All packages:                        stress
  Some packages, under the race
  detector, for a first impression:    stress -race -short-runs 20 -long-runs 3 ./daemon ./ring/...
  One test:                            stress -run '^TestAll$' ./ring/uring
  A package in another environment:    stress -variant 'CAUSALMESHD_IO=net CAUSALMESHD_LOOPS=3 ./daemon' ./causal

A test is short if it takes less than -long-from in a first run, without load and alone.
The output of each process that failed is kept in the folder, with the command that ran it.

Exit codes: 0 every test passed every time; 1 one did not, was skipped or ran less often;
2 the command line is invalid, or no test matches it; 130 interrupted.

flags:
`

// options are the command line.
type options struct {
	packages            []string
	variants            []variant
	run                 string
	race, maySkip       bool
	shortRuns, longRuns int
	longFrom            time.Duration
	jobs, load          int
	seed                uint64
	folder              string
	timeout             time.Duration
}

func flagsFor(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("stress", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller reports errors, once
	f.IntVar(&o.shortRuns, "short-runs", 300, "`number` of runs of each short test")
	f.IntVar(&o.longRuns, "long-runs", 30, "`number` of runs of each long test")
	f.DurationVar(&o.longFrom, "long-from", time.Second, "`time` from which on a test is long")
	f.IntVar(&o.jobs, "jobs", 2*runtime.NumCPU(), "`number` of test processes at once")
	f.IntVar(&o.load, "load", runtime.NumCPU(), "`number` of processes that keep a processor busy meanwhile")
	f.StringVar(&o.run, "run", "", "only top-level tests whose name matches this `regexp`")
	f.BoolVar(&o.race, "race", false, "under the race detector")
	f.BoolVar(&o.maySkip, "may-skip", false, "a test may be skipped; otherwise it has not passed")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that the order of processes and tests follows from")
	f.StringVar(&o.folder, "dir", "bin/stress-output", "`folder` for the test binaries, the table of all tests, and the output of failures")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "`time` after which one process has hung")
	f.Func("variant", "`environment and packages` to test in it, as in 'NAME=VALUE ./package'; may be repeated", func(text string) error {
		v, err := parseVariant(text)
		o.variants = append(o.variants, v)
		return err
	})
	return f
}

func parse(f *flag.FlagSet, o *options, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	o.packages = f.Args()
	if len(o.packages) == 0 {
		o.packages = []string{"./..."}
	}
	if o.shortRuns < 1 || o.longRuns < 1 || o.longFrom <= 0 || o.jobs < 1 || o.load < 0 || o.timeout <= 0 {
		return fmt.Errorf("%w: runs, jobs and times are above 0", ErrUsage)
	}
	return nil
}

// Main is command stress. It returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == burnFlag {
		burn()
	}
	var o options
	f := flagsFor(&o)
	err := parse(f, &o, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		f.SetOutput(stdout)
		f.PrintDefaults()
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "stress: %v; see stress -help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = run(ctx, &o, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "interrupted; everything that was started has ended")
		return exitInterrupted
	case errors.Is(err, ErrUsage):
		fmt.Fprintln(stderr, "stress:", err)
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "FAILED:", err)
		return exitFailed
	}
	return exitDone
}
