package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"causalmesh/tools/internal/bench/chart"
)

// table writes a table with a row for each place that was measured. Columns that
// nothing was measured for are left out.
func (w *document) table(e *Experiment, r *Result, t *Table) {
	columns := slices.DeleteFunc(slices.Clone(t.Columns), func(m Metric) bool { return !r.has(t.Load, m) })
	if len(columns) == 0 {
		return
	}
	if t.Caption != "" {
		w.paragraph("**%s**", t.Caption)
	}
	if t.Wide {
		w.wide(e, r, t, columns)
		return
	}
	against := point{load: t.Load, system: t.Against}
	ratios := slices.DeleteFunc(slices.Clone(t.Ratios), func(m Metric) bool { return !r.has(t.Load, m) || !r.hasSystem(t.Against) })
	more := slices.DeleteFunc(slices.Clone(t.More), func(m Metric) bool { return !r.has(t.Load, m) || !r.hasSystem(t.Against) })
	heads := []string{""}
	if t.X != "" {
		heads = []string{t.X, ""}
	}
	for _, m := range columns {
		heads = append(heads, quantities[m].name())
	}
	for _, m := range ratios {
		heads = append(heads, quantities[m].title+" ÷ "+t.Against)
	}
	for _, m := range more {
		heads = append(heads, quantities[m].name()+", more than "+t.Against)
	}
	w.line("| %s |\n|---%s|", strings.Join(heads, " | "), strings.Repeat("|---", len(heads)-1))
	for _, x := range r.xs(t.Load) {
		for _, s := range e.Systems {
			if len(t.Systems) > 0 && !slices.Contains(t.Systems, s.Name) {
				continue
			}
			here := point{t.Load, s.Name, x}
			cells := []string{s.Name}
			if t.X != "" {
				cells = []string{grouped(x), s.Name}
			}
			measured := false
			for _, m := range columns {
				values := scaled(r.values(t.Load, s.Name, x, m), quantities[m].scale)
				measured = measured || len(values) > 0
				cells = append(cells, spread(values, number))
			}
			against.x = x
			for _, m := range ratios {
				cell := ""
				if s.Name != t.Against {
					cell = spread(r.ratios(m, here, against), ratioText)
				}
				cells = append(cells, cell)
			}
			for _, m := range more {
				cell := ""
				if s.Name != t.Against {
					cell = spread(scaled(r.differences(m, here, against), quantities[m].scale), number)
				}
				cells = append(cells, cell)
			}
			if measured {
				w.line("| %s |", strings.Join(cells, " | "))
			}
		}
	}
	w.line("")
}

// wide writes the systems side by side: one can see down a column how it grows.
func (w *document) wide(e *Experiment, r *Result, t *Table, columns []Metric) {
	heads := []string{"", t.X}
	var systems []string
	for _, s := range e.Systems {
		if slices.ContainsFunc(r.Samples, func(sample Sample) bool { return sample.Load == t.Load && sample.System == s.Name }) {
			systems = append(systems, s.Name)
		}
	}
	heads = append(heads, systems...)
	w.line("| %s |\n|---%s|", strings.Join(heads, " | "), strings.Repeat("|---", len(heads)-1))
	for _, m := range columns {
		for _, x := range r.xs(t.Load) {
			cells := []string{quantities[m].name(), grouped(x)}
			for _, s := range systems {
				cells = append(cells, spread(scaled(r.values(t.Load, s, x, m), quantities[m].scale), number))
			}
			w.line("| %s |", strings.Join(cells, " | "))
		}
	}
	w.line("")
}

func (r *Result) has(load string, m Metric) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { _, found := s.Values[m]; return found && s.Load == load })
}

func (r *Result) hasSystem(name string) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.System == name })
}

// spread writes the median, with the lowest and the highest value.
func spread(values []float64, format func(float64) string) string {
	if len(values) == 0 {
		return "–"
	}
	middle, low, high := format(median(values)), format(slices.Min(values)), format(slices.Max(values))
	if low == high {
		return middle
	}
	return fmt.Sprintf("%s (%s to %s)", middle, low, high)
}

// number writes a value with three digits, or all before the point.
func number(v float64) string {
	if math.Abs(v) >= 999.5 {
		return grouped(v)
	}
	return chart.Short(v)
}

// ratioText writes a ratio with two digits after the point; one that is near to 1
// without being it, with as many as it takes to see that, and a small one with three
// digits that count.
func ratioText(v float64) string {
	const small = 0.2
	if text := chart.Short(v); v < small && len(text) > len("0.00") {
		return text
	}
	for digits := 2; digits < 6; digits++ {
		text := strconv.FormatFloat(v, 'f', digits, 64)
		if rounded, _ := strconv.ParseFloat(text, 64); v == 1 || rounded != 1 {
			return text
		}
	}
	return strconv.FormatFloat(v, 'f', 6, 64)
}

// grouped writes a whole number with its thousands apart.
func grouped(v float64) string {
	text := strconv.FormatFloat(math.Abs(math.Round(v)), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v < -0.5 {
		return "-" + text
	}
	return text
}

// shortly writes seconds.
func shortly(s float64) string {
	d := seconds(s)
	return d.Round(cmp.Or(map[bool]time.Duration{true: time.Second}[d >= time.Minute], time.Millisecond*100)).String()
}

// commandLine joins flags as a shell would take them.
func commandLine(groups ...[]string) string {
	return strings.Join(slices.Concat(groups...), " ")
}
