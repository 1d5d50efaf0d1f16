package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var (
	errUnexpected = errors.New("not as expected")
	errStale      = errors.New("not what TLC finds now: run make tla-update, with TIER=long or TIER=large for runs of these, and look at the diff")
)

// How much of a failed run is printed; its log has all.
const (
	shownReason = 20
	shownTail   = 15
)

// report prints what came of all runs, and brings what is written about them up to
// date, or says that it is not.
func report(s settings, records *Records, runs []*Run, tlc *TLC) error {
	slices.SortFunc(runs, func(a, b *Run) int {
		return slices.Index(records.configs, a.Config) - slices.Index(records.configs, b.Config)
	})
	fmt.Println()
	printTable(runs)
	bad := 0
	for _, r := range runs {
		for _, w := range r.Outcome.Warnings {
			fmt.Printf("\n%s: TLC warns: %s\n", r.Name, w)
		}
		if !r.Good() && !r.OutOfTime() {
			bad++
			explain(r, tlc.LogPath(r.Config))
		}
	}
	var errs []error
	if bad > 0 {
		errs = append(errs, fmt.Errorf("%d of %d runs: %w", bad, len(runs), errUnexpected))
	}
	switch {
	case s.workers > 1:
	case s.update:
		errs = append(errs, update(s.dir, records, runs))
	default:
		errs = append(errs, compare(s.dir, records, runs))
	}
	return errors.Join(errs...)
}

func printTable(runs []*Run) {
	rows := [][]string{{"run", "outcome", "distinct", "states", "depth", "seconds"}}
	for _, r := range runs {
		out := &r.Outcome
		rows = append(rows, []string{r.Name, r.Words(), counted(out.Distinct), counted(out.Generated), counted(int64(out.Depth)), fmt.Sprintf("%.1f", out.Took.Seconds())})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		fmt.Printf("%-*s  %-*s", widths[0], row[0], widths[1], row[1])
		for i := 2; i < len(row); i++ {
			fmt.Printf("  %*s", widths[i], row[i])
		}
		fmt.Println()
	}
}

// explain prints why a run did not end as it should.
func explain(r *Run, logPath string) {
	fmt.Printf("\n%s: %s, expected: %s\n", r.Name, r.Words(), r.Expect)
	if r.Err != nil {
		fmt.Println(r.Err)
		return
	}
	if r.Outcome.Reason != "" {
		lines := linesOf(r.Outcome.Reason)
		fmt.Println(indent(lines[:min(len(lines), shownReason)]))
	}
	if len(r.Outcome.Counterexample.States) > 0 {
		fmt.Println(r.Outcome.Counterexample.String())
	} else if log, err := os.ReadFile(logPath); err == nil {
		lines := linesOf(string(log))
		fmt.Println("The end of its log:")
		fmt.Println(indent(lines[max(0, len(lines)-shownTail):]))
	}
	fmt.Printf("The whole log: %s\n", logPath)
}

// linesOf are the lines of a text that say something.
func linesOf(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
}

func indent(lines []string) string { return "  " + strings.Join(lines, "\n  ") }

// document is a counterexample's file.
func document(r *Run) string {
	c := &r.Outcome.Counterexample
	return fmt.Sprintf(`%s

%s violates %s in %s.
%s

Below each step is what it changes. + is new in a set or at the end of a sequence,
- is gone from a set or the front of a sequence.

%s`, r.Claim, r.Name, r.Expect, c.Length(), r.Bounds(), c)
}

func documentPath(dir, base string) string {
	return filepath.Join(dir, examplesDir, base+".txt")
}

// compare holds what is written against what was found.
func compare(dir string, records *Records, runs []*Run) error {
	if records.Missing != nil {
		return records.Missing
	}
	var stale []string
	for _, r := range runs {
		if !r.Good() {
			continue
		}
		if r.Partial && !records.Knows(r.Config) {
			fmt.Printf("\n%s ended in time, and has no row yet: make tla-update TIER=%s writes it\n", r.Name, r.Tier)
		} else if d := records.Differs(r); d != "" {
			stale = append(stale, filepath.Join(dir, readmeName)+": "+d)
		}
		if !r.Canary() {
			continue
		}
		path := documentPath(dir, r.Base())
		if text, err := os.ReadFile(path); err != nil || string(text) != document(r) {
			stale = append(stale, path)
		}
	}
	stale = append(stale, orphans(dir, records.configs)...)
	if len(stale) == 0 {
		return nil
	}
	return fmt.Errorf("%w\n%s", errStale, indent(stale))
}

// update writes it anew.
func update(dir string, records *Records, runs []*Run) error {
	if err := os.MkdirAll(filepath.Join(dir, examplesDir), 0o755); err != nil {
		return err
	}
	for _, r := range runs {
		if r.Canary() && r.Good() {
			if err := os.WriteFile(documentPath(dir, r.Base()), []byte(document(r)), 0o644); err != nil {
				return err
			}
		}
	}
	for _, path := range orphans(dir, records.configs) {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return records.Save(runs)
}

// orphans are counterexamples of canaries that are no more.
func orphans(dir string, configs []*Config) []string {
	paths, _ := filepath.Glob(documentPath(dir, "*")) // the pattern is well formed
	return slices.DeleteFunc(paths, func(path string) bool {
		return slices.ContainsFunc(configs, func(c *Config) bool {
			return c.Canary() && documentPath(dir, c.Base()) == path
		})
	})
}
