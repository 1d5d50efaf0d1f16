package bench

import (
	"context"
	"slices"
	"time"

	"causalmesh/tools/internal/bench/chart"
)

// Experiment is one comparison: what is measured, and how it is shown.
type Experiment struct {
	ID    string // also the name of its charts
	Title string
	Asks  string // what is compared, in plain words
	Note  string // how to read it
	// Cores is how many are needed to see what is asked; with fewer, the document says
	// FewCores.
	Cores    int
	FewCores string

	Systems []System
	Loads   []Load
	// Rounds is how many there are; 0: as many as the plan has.
	Rounds int
	// Grows: what systems hold goes with the load. Each series of loads has systems that
	// were started for it, and all rounds of a load come before the next load.
	Grows bool
	// Fresh: each round of each load has systems that were started for it.
	Fresh bool
	// Bare systems get no keys before the experiment.
	Bare bool
	// take measures one load at one system; nil has loadgen do it.
	take taker
	// expect is how long take takes; 0: as long as loadgen does.
	expect time.Duration

	Bounds []Bound
	Tables []Table
	Charts []Figure
}

// taker measures one load at one system.
type taker func(context.Context, *runner, *target, Load) ([]Sample, error)

// kind is what a system is made of.
type kind int

const (
	kindMesh kind = iota
	kindRedis
	kindMemcached
	kindMap // a map in loadgen's own process: there is no server
)

// System is something to measure.
type System struct {
	Name  string
	Kind  kind
	Flags []string // of the server
	// NoStore: causalmesh without a database below.
	NoStore bool
	// Of is the system before this one whose servers these are, reached in another way.
	Of string
	// Way is what loadgen's target has before the socket's path; empty: as for the kind.
	Way string
	// Client are further flags of loadgen.
	Client []string
	// Apart: nodes and loadgen have a processor each. Otherwise whether they happen to share
	// one can decide more than what is measured.
	Apart bool
	// TCP: its nodes listen for clients on TCP, too.
	TCP bool
	// Probed: probes are attached to the node asked before each sample, and detached after it.
	Probed bool
	// Optional systems may be missing where the machine cannot run them.
	Optional bool
}

// Load is what is done to a system. Loads of one name form a series over X.
type Load struct {
	Name   string
	X      float64
	Writes bool     // the ring has to come to rest after it
	Flags  []string // of loadgen
	// Fill are flags of loadgen that say which keys and values have to be there, if these
	// are not the plan's. The load has them, too.
	Fill    []string
	Systems []string // that have it; empty: all
	take    taker    // nil: the experiment's
	expect  time.Duration
}

// flags are those that loadgen makes the load with.
func (l *Load) flags() []string { return slices.Concat(l.Fill, l.Flags) }

// at reports whether a system has the load.
func (l *Load) at(system string) bool {
	return len(l.Systems) == 0 || slices.Contains(l.Systems, system)
}

// label names the load among those of its experiment.
func (l *Load) label() string {
	if l.X == 0 {
		return l.Name
	}
	return l.Name + " " + chart.Short(l.X)
}

// Bound is what the ratio of two measured quantities should keep, their difference, or a
// quantity itself.
type Bound struct {
	Says   string
	Metric Metric
	Load   string
	X      float64
	// Worst takes the X at which the system's Metric is highest.
	Worst  bool
	System string
	// What it is compared with: another system, or another X of the same one.
	Against  string
	AgainstX float64
	// More: not the ratio is bounded, but by how much the system's quantity is larger.
	More bool
	// Absolute: it is compared with nothing.
	Absolute bool
	// The least and the largest ratio allowed, or quantity, in the data's unit; 0: any.
	AtLeast, AtMost float64
}

// Table shows quantities of one load, a row for each system and X.
type Table struct {
	Load    string
	Caption string
	X       string // what X is; empty: the load is no series
	Columns []Metric
	// Ratios are columns of the ratio to the same quantity of Against.
	Ratios  []Metric
	Against string
	// More are columns of how much larger it is than that of Against.
	More    []Metric
	Systems []string // empty: all
	// Wide has the systems side by side, and a row for each X of each quantity.
	Wide bool
}

// Figure is a chart: panels of dots, or lines over X.
type Figure struct {
	Name    string // of the file; behind the experiment's ID
	Caption string
	Panels  []Panel
	Log     bool // panels of what differs by orders of magnitude
	Lines   *Lines
	Stacks  *Stacks
}

// Panel shows the runs of all systems under one load.
type Panel struct {
	Title  string
	Load   string
	Metric Metric
}

// Stacks shows what a quantity of systems is made of, a panel for each load.
type Stacks struct {
	Loads   []string
	Systems []string
	Total   Metric
	Parts   []Metric
}

// Lines shows metrics of systems over X.
type Lines struct {
	Load       string
	XTitle     string
	YTitle     string
	XScale     float64 // from X to what is shown; 0: 1
	LogX, LogY bool
	Served     bool     // X is a rate: a line ends where the system does not keep up
	Metrics    []Metric // the first is drawn solid, the others dashed
}
