package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is one row of the results table, as it is shown. TLC with one worker makes
// the same one every time, but for the seconds.
type Record struct {
	Name, Bounds, Outcome      string
	Distinct, Generated, Depth string
	Seconds                    string
	Input                      string
}

const (
	readmeName  = "README.md"
	marksBegin  = "<!-- results -->"
	marksEnd    = "<!-- /results -->"
	notCounted  = "–"
	examplesDir = "counterexamples"
)

// Records is the results table.
type Records struct {
	dir     string
	configs []*Config
	rows    map[string]Record
	cores   string // of the machine that the seconds are from
	before  string // the README's text before the table, and behind it
	after   string
	// Missing says why there is no table.
	Missing error
}

// newRecord shows a run that ended as it should.
func newRecord(r *Run) Record {
	out := &r.Outcome
	words := r.Words()
	if r.Canary() {
		words = fmt.Sprintf("violates %s in [%s](%s/%s.txt)", r.Expect, out.Counterexample.Length(), examplesDir, r.Base())
	}
	generated := counted(out.Generated)
	if r.Simulates() && out.Kind == Violated {
		generated = notCounted // it goes on for a while after what it has found
	}
	return Record{
		Name: r.Name, Bounds: r.Bounds(), Outcome: words,
		Distinct: counted(out.Distinct), Generated: generated, Depth: counted(int64(out.Depth)),
		Seconds: seconds(out.Took), Input: shownInput(r.Config),
	}
}

// LoadRecords reads the results table in the README of dir.
func LoadRecords(dir string, configs []*Config) (*Records, error) {
	r := &Records{dir: dir, configs: configs, rows: make(map[string]Record)}
	path := filepath.Join(dir, readmeName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		r.Missing = fmt.Errorf("%s is missing: it is where the results table stands", path)
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	before, rest, okBegin := strings.Cut(string(text), marksBegin)
	table, after, okEnd := strings.Cut(rest, marksEnd)
	if !okBegin || !okEnd {
		r.Missing = fmt.Errorf("%s has no lines %s and %s, between which the results table stands", path, marksBegin, marksEnd)
		return r, nil
	}
	r.before, r.after = before, after
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		if len(cells) != 8 {
			continue
		}
		if cores, ok := strings.CutPrefix(cells[6], "seconds, "); ok {
			r.cores = cores
			continue
		}
		r.rows[cells[0]] = Record{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7]}
	}
	return r, nil
}

// LongestFirst orders configurations by the seconds that they took when the table was
// written, so that no long one is left for the end. New ones are first.
func (r *Records) LongestFirst(configs []*Config) []*Config {
	const unknown = 1 << 62
	length := func(c *Config) int64 {
		if row, ok := r.rows[c.Name]; ok && row.Seconds != notCounted {
			return number(row.Seconds)
		}
		return unknown
	}
	sorted := slices.Clone(configs)
	slices.SortStableFunc(sorted, func(a, b *Config) int {
		switch la, lb := length(a), length(b); {
		case la > lb:
			return -1
		case la < lb:
			return 1
		}
		return 0
	})
	return sorted
}

// Differs says what the table has otherwise; "" if it is current.
func (r *Records) Differs(run *Run) string {
	now := newRecord(run)
	old, ok := r.rows[run.Name]
	if !ok {
		return "no row for " + run.Name
	}
	old.Seconds = now.Seconds
	if old == now {
		return ""
	}
	return fmt.Sprintf("%s\n    is  %s\n    was %s", run.Name, now.row(), old.row())
}

// Save writes the table, with these runs in it. Of what was not run the row stays,
// unless its bounds are others now.
func (r *Records) Save(runs []*Run) error {
	cores := fmt.Sprintf("%d cores", runtime.NumCPU())
	for name, row := range r.rows {
		if r.cores != cores {
			row.Seconds = notCounted
			r.rows[name] = row
		}
	}
	for _, run := range runs {
		if run.OutOfTime() {
			continue // the row is not contradicted
		}
		delete(r.rows, run.Name)
		if run.Good() {
			r.rows[run.Name] = newRecord(run)
		}
	}
	var b strings.Builder
	b.WriteString(r.before + marksBegin + "\n")
	b.WriteString("| run | bounds | outcome | distinct states | states | depth | seconds, " + cores + " | input |\n|---|---|---|--:|--:|--:|--:|---|\n")
	for _, c := range r.configs {
		if row, ok := r.rows[c.Name]; ok && row.Bounds == c.Bounds() {
			b.WriteString(row.row() + "\n")
		}
	}
	b.WriteString(marksEnd + r.after)
	return os.WriteFile(filepath.Join(r.dir, readmeName), []byte(b.String()), 0o644)
}

func (r *Record) row() string {
	return fmt.Sprintf("| %s | `%s` | %s | %s | %s | %s | %s | %s |", r.Name, r.Bounds, r.Outcome, r.Distinct, r.Generated, r.Depth, r.Seconds, r.Input)
}

func shownInput(c *Config) string {
	if c.Input == "" {
		return notCounted
	}
	return c.Input
}

// Knows reports whether the table has a row of a configuration, of whatever input.
func (r *Records) Knows(c *Config) bool {
	_, ok := r.rows[c.Name]
	return ok
}

// Has reports whether the table has what comes of this very input.
func (r *Records) Has(c *Config) bool {
	row, ok := r.rows[c.Name]
	return ok && c.Input != "" && row.Input == c.Input
}

// Short reports whether a run took so little time when the table was written that most of it
// was the start of the Java virtual machine.
func (r *Records) Short(c *Config) bool {
	const most = 15 // seconds
	row, ok := r.rows[c.Name]
	return ok && row.Seconds != notCounted && number(row.Seconds) <= most
}

// counted is a number for people; nobody counts to 0 here.
func counted(n int64) string {
	if n == 0 {
		return notCounted
	}
	return grouped(n)
}

// grouped sets commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// seconds are rounded: two digits are all that a shared machine can tell.
func seconds(took time.Duration) string {
	n, unit := int64(took.Round(time.Second)/time.Second), int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return grouped(max(1, (n+unit/2)/unit*unit))
}
