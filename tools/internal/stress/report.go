package stress

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// record is what became of a test of a suite, in all its runs.
type record struct {
	suite  *suite
	name   string
	quiet  time.Duration // alone on the machine
	wanted int
	tally
}

// report is what became of all tests.
type report struct {
	maySkip bool
	records []*record
	broken  []string // processes that failed although none of their tests did
}

// bad reports whether a test did not pass as often as was wanted.
func (r *report) bad(x *record) bool {
	return x.failures > 0 || x.skips > 0 && !r.maySkip || x.runs < x.wanted
}

// find returns the record of a test, or nil.
func (r *report) find(s *suite, name string) *record {
	i := slices.IndexFunc(r.records, func(x *record) bool { return x.suite == s && x.name == name })
	if i < 0 {
		return nil
	}
	return r.records[i]
}

// add counts what became of a unit.
func (r *report) add(u *result) {
	failures := 0
	for _, name := range sortedKeys(u.tests) {
		t, x := u.tests[name], r.find(u.unit.suite, name)
		failures += t.failures
		if x == nil {
			x = &record{suite: u.unit.suite, name: name}
			r.records = append(r.records, x)
		}
		x.runs, x.failures, x.skips = x.runs+t.runs, x.failures+t.failures, x.skips+t.skips
		x.longest = max(x.longest, t.longest)
	}
	if u.failed && failures == 0 {
		r.broken = append(r.broken, u.command)
	}
}

// alone is how long all wanted runs would take one after the other, as the first run has shown it.
func (r *report) alone() (sum time.Duration) {
	for _, x := range r.records {
		sum += time.Duration(x.wanted) * x.quiet
	}
	return sum
}

// failures is how many runs of tests failed, and how many processes failed beside them.
func (r *report) failures() int {
	n := len(r.broken)
	for _, x := range r.records {
		n += x.failures
	}
	return n
}

// write prints a table of all tests, or of those that did not pass as often as was wanted.
func (r *report) write(w io.Writer, all bool) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "test\tsuite\truns\twanted\tfailed\tskipped\talone\tlongest")
	for _, x := range r.sorted() {
		if all || r.bad(x) {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%v\t%v\n", x.name, x.suite, x.runs, x.wanted, x.failures, x.skips,
				x.quiet.Round(time.Millisecond), x.longest.Round(time.Millisecond))
		}
	}
	_ = table.Flush() // of a writer whose errors the caller sees
	for _, command := range r.broken {
		fmt.Fprintln(w, "failed though none of its tests did:", command)
	}
}

// sorted orders the records by suite and name.
func (r *report) sorted() []*record {
	return slices.SortedFunc(slices.Values(r.records), func(a, b *record) int {
		return strings.Compare(a.suite.String()+" "+a.name, b.suite.String()+" "+b.name)
	})
}

// verdict is the last line: what ran how often, and ErrFailed unless all passed.
func (r *report) verdict() (string, error) {
	runs, bad := 0, 0
	for _, x := range r.records {
		runs += x.runs
		if r.bad(x) {
			bad++
		}
	}
	text := fmt.Sprintf("%d tests, %d runs, %d failures; %d tests failed, were skipped, or ran less often than wanted",
		len(r.records), runs, r.failures(), bad)
	if bad > 0 || len(r.broken) > 0 {
		return text, ErrFailed
	}
	return text, nil
}
