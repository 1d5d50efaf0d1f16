package control

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// settings are the flags of all commands together.
type settings struct {
	target  string
	context string
	timeout time.Duration // 0: the command's own
	json    bool
	ttl     time.Duration
	admins  []string
	nodes   int
	dir     string
	store   string
	bin     string
	pins    string
	// interval is how long to measure; 0: what was measured so far.
	interval time.Duration
	// least is from which total on requests are outliers; 0: as it is.
	least time.Duration
	// count is how many intervals to show; 0: no end.
	count int
	once  bool
	ascii bool
}

const (
	defaultDir   = "run/cluster"
	defaultNodes = 3
)

// flagsFor returns the flags that set s. Each command uses some of them.
func flagsFor(s *settings) *flag.FlagSet {
	f := flag.NewFlagSet("meshctl", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller reports errors, once
	f.StringVar(&s.target, "target", "", "`node` to ask: unix:PATH or tcp:HOST:PORT")
	f.StringVar(&s.context, "context", "", "`file` with the session's context, loaded before and stored after; it need not exist")
	f.DurationVar(&s.timeout, "timeout", 0, "longest `time` that the command may take (default 5s; cluster up 30s; cluster down 60s)")
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.DurationVar(&s.ttl, "ttl", 0, "`time` after which the value expires; by default never")
	f.Func("admin", "`address` of a node's admin endpoint, host:port; repeat it for several nodes", func(text string) error {
		s.admins = append(s.admins, text)
		return nil
	})
	f.IntVar(&s.nodes, "n", defaultNodes, "`number` of nodes")
	f.StringVar(&s.dir, "dir", defaultDir, "`folder` for the cluster's sockets, logs and state")
	f.StringVar(&s.store, "store", "", "`database` below: redis://host:port/db, redis+unix:///path?db=0, or mem for none; by default one is embedded, and its data lives as long as the cluster")
	f.StringVar(&s.bin, "bin", "", "`path` of causalmeshd; by default the one beside meshctl")
	f.StringVar(&s.pins, "pins", defaultPins, "`folder` in a BPF file system below which probes are pinned")
	f.DurationVar(&s.least, "least", 0, "from now on requests that take this `time` in all are outliers; it stays so until probes are off (10ms at first)")
	f.DurationVar(&s.interval, "interval", 0, "measure for this `time` from now on; by default what was measured since the probes are on is shown (top: between readings, 1s by default)")
	f.IntVar(&s.count, "count", 0, "write so `many` intervals as plain text, and end")
	f.BoolVar(&s.once, "once", false, "the same as --count 1")
	f.BoolVar(&s.ascii, "ascii", false, "draw with ASCII only, as is done where the locale is not UTF-8")
	return f
}

// arguments are the words of a command line that are no flags.
type arguments struct {
	words []string
	// after are those after a "--": flags for another program.
	after []string
}

// parse reads flags and other words in any order, up to a "--".
func parse(f *flag.FlagSet, line []string) (a arguments, err error) {
	for len(line) > 0 {
		if err := f.Parse(line); err != nil {
			return a, err
		}
		rest := f.Args()
		if read := len(line) - len(rest); read > 0 && line[read-1] == "--" {
			a.after = rest
			return a, nil
		}
		if len(rest) == 0 {
			return a, nil
		}
		a.words, line = append(a.words, rest[0]), rest[1:]
	}
	return a, nil
}

// checkFlags refuses flags that the command does not use.
func checkFlags(f *flag.FlagSet, c *command) error {
	var unused []string
	f.Visit(func(g *flag.Flag) {
		if !slices.Contains(c.flags, g.Name) {
			unused = append(unused, "--"+g.Name)
		}
	})
	if len(unused) > 0 {
		return fmt.Errorf("%w: meshctl %s has no %s; it is: %s", ErrUsage, c.name, strings.Join(unused, ", "), c.form())
	}
	return nil
}
