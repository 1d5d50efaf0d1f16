package bench

import (
	"cmp"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"

	"causalmesh/tools/internal/bench/chart"
)

// colours are those of the systems that stand in several charts; others take the next
// one of further.
var (
	colours = map[string]color.Color{
		nameMesh: chart.Blue, nameRedis: chart.Vermillion, nameMemcached: chart.Green,
		nameUnix: chart.Blue, nameShm: chart.Sky, nameDirect: chart.Purple, nameLibrary: chart.Ink, nameMap: chart.Orange,
	}
	further = []color.Color{chart.Blue, chart.Orange, chart.Purple, chart.Sky}
)

func colourOf(e *Experiment, system string) color.Color {
	if c, known := colours[system]; known {
		return c
	}
	for i, s := range e.Systems {
		if s.Name == system {
			return further[i%len(further)]
		}
	}
	return chart.Green
}

// saturated is the share of what is offered below which a system does not keep up.
const saturated = 0.95

// file is the name of a chart, without its ending.
func (f *Figure) file(e *Experiment) string {
	return strings.TrimSuffix(e.ID+"-"+f.Name, "-")
}

// draw writes all charts of the data below the folder of documents, and removes those
// that no longer belong to it.
func (p *Page) drawCharts(docs string, d *Data) error {
	folder, experiments := p.folder(docs), p.Experiments(d.Plan)
	for _, pattern := range []string{"*.svg", "*.png"} {
		old, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for i := range experiments {
		e := &experiments[i]
		r := d.result(e.ID)
		if r == nil {
			continue
		}
		for j := range e.Charts {
			f := &e.Charts[j]
			var c chart.Chart = r.dots(e, f)
			switch {
			case f.Lines != nil:
				c = r.lines(e, f)
			case f.Stacks != nil:
				c = r.stacks(f)
			}
			if err := chart.Write(c, filepath.Join(folder, f.file(e))); err != nil {
				return err
			}
		}
	}
	return nil
}

func scaled(values []float64, by float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = v * by
	}
	return all
}

func (r *Result) dots(e *Experiment, f *Figure) chart.Dots {
	var d chart.Dots
	for _, p := range f.Panels {
		q := quantities[p.Metric]
		panel := chart.Panel{Title: p.Title, Axis: chart.Axis{Title: q.name(), Log: f.Log, Zero: !f.Log}}
		for _, s := range e.Systems {
			if values := scaled(r.values(p.Load, s.Name, 0, p.Metric), q.scale); len(values) > 0 {
				panel.Rows = append(panel.Rows, chart.Row{Name: s.Name, Color: colourOf(e, s.Name), Middle: median(values), Values: values})
			}
		}
		d.Panels = append(d.Panels, panel)
	}
	return d
}

func (r *Result) lines(e *Experiment, f *Figure) chart.Lines {
	l := f.Lines
	c := chart.Lines{
		X: chart.Axis{Title: l.XTitle, Log: l.LogX}, Y: chart.Axis{Title: l.YTitle, Log: l.LogY, Zero: !l.LogY},
	}
	for _, s := range e.Systems {
		for i, m := range l.Metrics {
			series := chart.Series{Name: s.Name, Color: colourOf(e, s.Name), Dashed: i > 0}
			if len(l.Metrics) > 1 {
				series.Name += " " + quantities[m].title
			}
			for _, x := range r.xs(l.Load) {
				if l.Served && median(r.values(l.Load, s.Name, x, Throughput)) < saturated*x {
					break
				}
				if values := scaled(r.values(l.Load, s.Name, x, m), quantities[m].scale); len(values) > 0 {
					series.Points = append(series.Points, chart.Point{X: x * cmp.Or(l.XScale, 1), Middle: median(values), Values: values})
				}
			}
			if len(series.Points) > 0 {
				c.Series = append(c.Series, series)
			}
		}
	}
	return c
}

// partColours are those of the parts of a stack, in their order.
var partColours = []color.Color{chart.Sky, chart.Blue, chart.Green, chart.Orange, chart.Vermillion, chart.Purple}

func (r *Result) stacks(f *Figure) chart.Stacks {
	var c chart.Stacks
	for _, load := range f.Stacks.Loads {
		panel := chart.StackPanel{Title: load, Axis: chart.Axis{Title: quantities[f.Stacks.Total].name(), Zero: true}}
		for _, s := range f.Stacks.Systems {
			bar := chart.Bar{Name: s, Total: median(scaled(r.values(load, s, 0, f.Stacks.Total), quantities[f.Stacks.Total].scale))}
			if math.IsNaN(bar.Total) {
				continue
			}
			for i, m := range f.Stacks.Parts {
				part := chart.Part{Name: quantities[m].title, Color: partColours[i%len(partColours)]}
				if values := scaled(r.values(load, s, 0, m), quantities[m].scale); len(values) > 0 {
					part.Value = median(values)
				}
				bar.Parts = append(bar.Parts, part)
			}
			panel.Bars = append(panel.Bars, bar)
		}
		c.Panels = append(c.Panels, panel)
	}
	return c
}
