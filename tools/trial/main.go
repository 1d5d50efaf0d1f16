package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"causalmesh/causal"
	"causalmesh/tools/internal/trial"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it
)

var errCommand = errors.New("no command")

// secondCtrlC is how long after the first one another Ctrl-C ends the program at once.
const secondCtrlC = time.Second

// command is one trial.
type command struct {
	name, does string
	duration   time.Duration
	run        func(context.Context, trial.Options) error
}

var commands = []command{
	{"demo", "workflows roam on a healthy cluster", 15 * time.Second, trial.Demo},
	{"soak", "the same while links, clients and the database fail", time.Minute, trial.Soak},
	{"partition", "one node is cut off the ring while clients read and write everywhere", 10 * time.Minute, trial.Partition},
	{"outage", "the database is away while workflows go on", time.Minute, trial.Outage},
	{"replicated", "what was acknowledged by two nodes survives kill -9 of one", time.Second, trial.Replicated},
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "trial runs real causalmeshd processes and judges what their clients saw.\n\nusage: trial COMMAND [flags]")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-12s %s\n", c.name, c.does)
	}
	fmt.Fprintf(w, "  %-12s %s\n\nFlags of a command: trial COMMAND -help\n", checkName+" FILE", "judges a history that a trial has recorded with -history")
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program, and with it its children. One that comes at the
	// same time does not: timeout(1) sends two.
	context.AfterFunc(ctx, func() { time.AfterFunc(secondCtrlC, stop) })
	err := run(ctx, os.Args[1:])
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted; everything that was started has ended")
		os.Exit(exitInterrupted)
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, trial.ErrOptions), errors.Is(err, errCommand):
		fmt.Fprintln(os.Stderr, "trial:", err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(exitFailed)
	}
}

// asksForHelp reports whether a word is a wish for help.
func asksForHelp(word string) bool {
	return word == "-h" || word == "-help" || word == "--help" || word == "help"
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || asksForHelp(args[0]) {
		usage(os.Stdout)
		return nil
	}
	if args[0] == checkName {
		return checkFile(args[1:])
	}
	for _, c := range commands {
		if c.name == args[0] {
			o, err := parse(&c, args[1:])
			if err != nil {
				return err
			}
			return c.run(ctx, o)
		}
	}
	return fmt.Errorf("%w %s; see trial -help", errCommand, args[0])
}

// checkName is the command that runs nothing.
const checkName = "check"

func checkFile(args []string) error {
	const form = "usage: trial " + checkName + " FILE"
	if len(args) == 1 && asksForHelp(args[0]) {
		fmt.Println(form + "\n\nIt judges a history that a trial has recorded with -history.")
		return nil
	}
	if len(args) != 1 {
		return fmt.Errorf("%w: %s", trial.ErrOptions, form)
	}
	return trial.CheckFile(trial.Defaults(0), args[0])
}

// parse reads the flags of a command. It prints them if they ask for it: then the
// error is flag.ErrHelp.
func parse(c *command, args []string) (trial.Options, error) {
	o := trial.Defaults(c.duration)
	f := flags(&o, c)
	f.SetOutput(io.Discard) // the caller reports errors, once
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("usage: trial %s [flags]\n\n%s\n\nflags:\n", c.name, c.does)
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w: %w; see trial %s -help", trial.ErrOptions, err, c.name)
	case f.NArg() > 0:
		return o, fmt.Errorf("%w: unexpected argument %q; see trial %s -help", trial.ErrOptions, f.Arg(0), c.name)
	}
	return o, nil
}

// flags returns the flags of a command, which set o.
func flags(o *trial.Options, c *command) *flag.FlagSet {
	f := flag.NewFlagSet("trial "+c.name, flag.ContinueOnError)
	f.StringVar(&o.Binary, "bin", o.Binary, "`path` of causalmeshd")
	f.DurationVar(&o.Duration, "duration", o.Duration, "`time` that the trial works")
	f.IntVar(&o.Sessions, "sessions", o.Sessions, "`number` of workflows")
	f.StringVar(&o.Store, "store", o.Store, "database `URL`, or mem; empty: a redis-server of its own, if it is installed")
	f.StringVar(&o.Transport, "transport", o.Transport, "how clients talk to their node: `unix`, shm or direct")
	f.Var(choice[causal.Propagation]{&o.Propagation, []causal.Propagation{causal.OneRound, causal.TwoRound}},
		"propagation", "when a write becomes visible: `one-round` or two-round")
	f.Var(choice[causal.Ack]{&o.Ack, []causal.Ack{causal.AckLocal, causal.AckReplicated}},
		"ack", "when a write is acknowledged: `local` or replicated")
	f.Var(&o.MaxMemory, "max-memory", "`size` that each node stays below, as in 256MiB; 0: what the trial needs, or none")
	f.Var(&o.PendingBytes, "pending-bytes", "`size` of writes in flight; 0: the daemon's default")
	f.StringVar(&o.History, "history", "", "`file` to write the recorded history to, for trial check")
	f.IntVar(&o.MaxOps, "max-ops", o.MaxOps, "`number` of operations that are recorded at most")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "`number` that the workflows' choices follow from")
	f.StringVar(&o.Logs, "logs", "", "`folder` to keep the nodes' logs in")
	return f
}

// choice is a flag with one of a few names.
type choice[T interface {
	comparable
	fmt.Stringer
}] struct {
	value   *T
	choices []T
}

func (c choice[T]) String() string {
	if c.value == nil {
		return ""
	}
	return (*c.value).String()
}

func (c choice[T]) Set(text string) error {
	for _, x := range c.choices {
		if x.String() == text {
			*c.value = x
			return nil
		}
	}
	return fmt.Errorf("use one of %v", c.choices)
}
