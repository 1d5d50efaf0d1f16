package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document writes what the data says.
type document struct {
	strings.Builder
	page        *Page
	data        *Data
	experiments []Experiment
}

// render returns the whole text.
func (p *Page) render(d *Data) string {
	return p.renderOf(d, p.Experiments(d.Plan))
}

func (p *Page) renderOf(d *Data, experiments []Experiment) string {
	w := &document{page: p, data: d, experiments: experiments}
	w.head()
	w.verdicts()
	for i := range experiments {
		if r := d.result(experiments[i].ID); r != nil {
			w.experiment(&experiments[i], r)
		}
	}
	w.setUp()
	return w.String()
}

func (w *document) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *document) paragraph(format string, args ...any) {
	if text := strings.TrimSpace(fmt.Sprintf(format, args...)); text != "" {
		w.line("%s\n", text)
	}
}

// quiet is the share of all processors that others may use without being mentioned.
const quiet = 0.05

func (w *document) head() {
	d := w.data
	p := w.page
	w.line("<!-- Made by `make %s` from %s/data.json; `%s -render` makes it anew. Do not edit. -->\n", p.Make, p.Name, p.command())
	w.line("# %s\n", p.Title)
	if d.Quick {
		w.paragraph("**This was a quick run, too short for figures to rely on.**")
	}
	if d.Part {
		w.paragraph("**This was a part of a run: other experiments were left out.**")
	}
	disturbed := 0.0
	for _, r := range d.Results {
		disturbed = max(disturbed, r.Others)
	}
	if disturbed > quiet {
		w.paragraph("**The machine was not quiet: other processes used up to %.0f %% of its processors while this was measured.**", 100*disturbed)
	}
	m := d.Machine
	guest := ""
	if m.Virtual != "" {
		guest = ", a guest of " + m.Virtual
	}
	changed := ""
	if d.Code.Modified {
		changed = ", with changes that were not committed"
	}
	w.paragraph("Measured on %s with commit %s%s, by `make %s`, in %s. The machine: %d × %s (%.3g GiB of memory%s), %s, "+
		"Linux %s, Go %s. Before anything was started, %.0f %% of its processors were in use.",
		d.Began.Format("2 January 2006"), d.Code.Commit, changed, p.Make, shortly(d.Seconds), m.Cores, m.CPU,
		float64(m.Memory)/(1<<30), guest, m.System, m.Kernel, m.Go, 100*m.Busy)
	for _, text := range p.Read(d) {
		w.paragraph("%s", text)
	}
}

func readPerformance(d *Data) []string {
	return []string{
		fmt.Sprintf("**How to read it.** Each figure is the median of %d runs, with the lowest and the highest one in brackets; charts "+
			"show each run as a dot. Within a round the systems take turns, so that what else the machine does hits all alike. "+
			"Absolute figures vary from machine to machine and from hour to hour: compare ratios. A ratio is the median of the "+
			"rounds' ratios, with the lowest and the highest one in brackets. CPU time is what the operating system has charged, user and system, to "+
			"the processes of a system: to all three nodes and the Redis below them in the case of causalmesh.",
			d.Plan.Rounds),
		fmt.Sprintf("Unless said otherwise: Unix sockets, keys of 12 and values of %d bytes, %s keys drawn uniformly, all of them written "+
			"before, %s of load that is measured after %s that is not. Clients are at one node of three.",
			valueBytes, grouped(float64(d.Plan.Keys)), shortly(d.Plan.Seconds), shortly(d.Plan.WarmUp)),
	}
}

func runPerformance(*Data) []string {
	return []string{"Redis and memcached run with the settings of the distribution's package but for what stands in the command: where they " +
		"listen and keep their files, as whom, and that they stay children of the benchmark. Redis saves its data as shipped. causalmeshd runs with its defaults (three nodes, TCP on loopback between them) but for the flags named in an experiment."}
}

// verdicts is the table of all bounds.
func (w *document) verdicts() {
	w.line("## The bounds\n")
	w.line("| what | bound | measured | |\n|---|---|---|---|")
	for i := range w.experiments {
		e := &w.experiments[i]
		r := w.data.result(e.ID)
		if r == nil {
			continue
		}
		for _, b := range e.Bounds {
			v := r.judge(b)
			w.line("| [%s](#%s) | %s | %s | %s |", b.Says, anchor(e.Title), b.limits(), v.measured(), v.verdict())
		}
	}
	w.line("")
}

// anchor is what a heading is linked by.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '_' || c == '-' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		}
		return -1
	}, strings.ToLower(heading))
}

// limits writes the bound.
func (b *Bound) limits() string {
	unit := ""
	if b.Absolute || b.More {
		unit = quantities[b.Metric].unit
	}
	if b.More {
		unit += " more"
	}
	text := b.text(b.AtLeast) + " to " + b.text(b.AtMost)
	switch {
	case b.AtLeast == b.AtMost:
		text = "= " + b.text(b.AtMost)
	case b.AtLeast == 0:
		text = "≤ " + b.text(b.AtMost)
	case b.AtMost == 0:
		text = "≥ " + b.text(b.AtLeast)
	}
	return strings.TrimSpace(text + " " + unit)
}

// text writes a ratio, or a quantity or difference in the unit that it is shown in.
func (b *Bound) text(v float64) string {
	if b.Absolute || b.More {
		return number(v * quantities[b.Metric].scale)
	}
	return ratioText(v)
}

func (v *Verdict) measured() string {
	if !v.Measured {
		return "–"
	}
	text := v.text(v.Middle)
	if v.Lowest != v.Highest {
		text += fmt.Sprintf(" (%s to %s)", v.text(v.Lowest), v.text(v.Highest))
	}
	if v.Worst {
		text += ", at " + grouped(v.At)
	}
	return text
}

func (v *Verdict) verdict() string {
	switch {
	case !v.Measured:
		return "not measured"
	case v.Held && v.EveryRound:
		return "**held**"
	case v.Held:
		return "**held**, not in each round"
	case v.Never:
		return "**missed**"
	}
	return "**missed**, not in each round"
}

func (w *document) experiment(e *Experiment, r *Result) {
	w.line("## %s\n", e.Title)
	w.paragraph("%s", e.Asks)
	for i := range e.Tables {
		t := &e.Tables[i]
		w.table(e, r, t)
		w.charts(e, func(f *Figure) bool { return f.beside(t) })
	}
	w.charts(e, func(f *Figure) bool {
		return !slices.ContainsFunc(e.Tables, func(t Table) bool { return f.beside(&t) })
	})
	w.paragraph("%s", e.Note)
	if w.data.Machine.Cores < e.Cores {
		w.paragraph("**%s**", e.FewCores)
	}
	for _, b := range e.Bounds {
		v := r.judge(b)
		if v.Measured {
			w.line("- %s: %s %s; bound %s.", v.verdict(), b.Says, v.measured(), b.limits())
		} else {
			w.line("- **not measured**: %s; bound %s.", b.Says, b.limits())
		}
	}
	if len(e.Bounds) > 0 {
		w.line("")
	}
	for _, system := range slices.Sorted(maps.Keys(r.Missing)) {
		w.paragraph("**%s could not be measured here:** `%s`", system, r.Missing[system])
	}
	w.failures(e, r)
}

// beside reports whether a chart belongs to a table: it shows how the same series goes.
func (f *Figure) beside(t *Table) bool { return f.Lines != nil && f.Lines.Load == t.Load }

func (w *document) charts(e *Experiment, which func(*Figure) bool) {
	for i := range e.Charts {
		if f := &e.Charts[i]; which(f) {
			path := w.page.Name + "/" + f.file(e)
			w.paragraph("![%s: %s](%s.svg)\n\n*%s* ([PNG](%s.png))", e.Title, f.Caption, path, f.Caption, path)
		}
	}
}

// failures tells of operations that failed: they are in no latency.
func (w *document) failures(e *Experiment, r *Result) {
	for _, s := range e.Systems {
		var failed, done float64
		for _, sample := range r.Samples {
			if sample.System == s.Name {
				failed, done = failed+sample.Values[Failures], done+sample.Values[Operations]
			}
		}
		if failed > 0 {
			w.paragraph("%s of %s operations at %s failed.", grouped(failed), grouped(failed+done), s.Name)
		}
	}
}

// setUp says how everything was run.
func (w *document) setUp() {
	w.line("## How it was measured\n")
	w.paragraph("Each experiment starts servers of its own, in an empty folder (DIR), and ends them. While one system is measured the processes "+
		"of the others are suspended (SIGSTOP). All raw samples are in [%[1]s/data.json](%[1]s/data.json).", w.page.Name)
	if len(w.data.Servers) > 0 {
		w.line("| server | version | command | other settings |\n|---|---|---|---|")
		for _, s := range w.data.Servers {
			w.line("| %s | %s | `%s` | %s |", s.Name, s.Version, s.Command, s.Config)
		}
		w.line("")
	}
	for _, text := range w.page.Run(w.data) {
		w.paragraph("%s", text)
	}
	w.paragraph("All loads are made by `loadgen --json --target … --server-pid … %s`, and with the flags below, of which later ones count.",
		commandLine(w.data.Plan.common()))
	w.line("| experiment | took | other processes used, of all processors | bytes moved by | idle, of one processor | loads |\n|---|---|---|---|---|---|")
	for i := range w.experiments {
		e := &w.experiments[i]
		r := w.data.result(e.ID)
		if r == nil {
			continue
		}
		var moved []string
		for _, system := range slices.Sorted(maps.Keys(r.IO)) {
			moved = append(moved, system+": "+r.IO[system])
		}
		flags := e.commands(r)
		var idle []string
		for _, s := range e.Systems {
			if share, found := r.Idle[s.Name]; found {
				idle = append(idle, fmt.Sprintf("%s: %.1f %%", s.Name, 100*share))
			}
		}
		w.line("| %s | %s | %.1f %% | %s | %s | %s |", e.Title, shortly(r.Seconds), 100*r.Others, strings.Join(moved, ", "),
			strings.Join(idle, ", "), strings.Join(flags, "<br>"))
	}
	w.line("\nTo measure again: `make %s` (it took %s here), or `%s -only ID` for one experiment (%s), which leaves this page as it is.",
		w.page.Make, shortly(w.data.Seconds), w.page.command(), strings.Join(ids(w.experiments), ", "))
}

// commands are the flags of loadgen by load: of a series those of its ends, and then what
// single systems have beside them.
func (e *Experiment) commands(r *Result) (all []string) {
	for i, l := range e.Loads {
		inside := i > 0 && i+1 < len(e.Loads) && e.Loads[i-1].Name == l.Name && e.Loads[i+1].Name == l.Name
		if given := r.Loadgen[l.label()]; given != "" && !inside {
			all = append(all, l.label()+": `"+given+"`")
		}
	}
	for _, s := range e.Systems {
		if len(s.Client) > 0 {
			all = append(all, s.Name+", too: `"+commandLine(s.Client)+"`")
		}
	}
	return all
}

func ids(experiments []Experiment) []string {
	var all []string
	for _, e := range experiments {
		all = append(all, e.ID)
	}
	return all
}
