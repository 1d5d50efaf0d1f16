package bench

import (
	"context"
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
	Once    bool // one round: what is measured does not vary with noise
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
)

// System is something to measure.
type System struct {
	Name  string
	Kind  kind
	Flags []string // of causalmeshd
	// Optional systems may be missing where the machine cannot run them.
	Optional bool
}

// Load is what is done to a system. Loads of one name form a series over X.
type Load struct {
	Name   string
	X      float64
	Writes bool     // the ring has to come to rest after it
	Flags  []string // of loadgen
}

// label names the load among those of its experiment.
func (l *Load) label() string {
	if l.X == 0 {
		return l.Name
	}
	return l.Name + " " + chart.Short(l.X)
}

// Bound is what the ratio of two measured quantities should keep.
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
	// The least and the largest ratio allowed; 0: any.
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
	Systems []string // empty: all
}

// Figure is a chart: panels of dots, or lines over X.
type Figure struct {
	Name    string // of the file; behind the experiment's ID
	Caption string
	Panels  []Panel
	Lines   *Lines
}

// Panel shows the runs of all systems under one load.
type Panel struct {
	Title  string
	Load   string
	Metric Metric
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
