package chart

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Dots shows every run of some systems as a dot, one panel beside the other.
type Dots struct {
	Panels []Panel
}

// Panel compares one quantity.
type Panel struct {
	Title string
	Axis  Axis
	Rows  []Row
}

// Row is one system.
type Row struct {
	Name   string
	Color  color.Color
	Middle float64
	Values []float64
}

const (
	rowHeight   = 26 // points
	panelHeight = 62 // points beyond its rows
	panelGap    = 14 // points
	dotRadius   = 2.6
	// room is how far an axis goes beyond the largest value, for the label there.
	room = 1.28
	// logRoom is by what factor a logarithmic axis begins before the smallest value.
	logRoom = 2
)

func (d Dots) height() vg.Length {
	rows := 0
	for _, p := range d.Panels {
		rows = max(rows, len(p.Rows))
	}
	return vg.Points(float64(rowHeight*rows + panelHeight + 2*margin))
}

func (d Dots) draw(on draw.Canvas) {
	plots := make([]*plot.Plot, len(d.Panels))
	for i, panel := range d.Panels {
		plots[i] = panel.plot()
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: vg.Points(panelGap)}
	for i, c := range plot.Align([][]*plot.Plot{plots}, tiles, on)[0] {
		plots[i].Draw(c)
	}
}

func (panel Panel) plot() *plot.Plot {
	p := newPlot(panel.Title)
	panel.Axis.apply(&p.X)
	p.HideY()
	p.Y.Tick.Length = 0
	names := make([]string, len(panel.Rows))
	largest, smallest := 0.0, math.Inf(1)
	for i, row := range panel.Rows {
		// The first row stands on top.
		y := len(panel.Rows) - 1 - i
		names[y] = row.Name
		p.Add(placedRow{row, float64(y)})
		for _, v := range row.Values {
			largest, smallest = max(largest, v), min(smallest, v)
		}
	}
	if len(names) > 0 {
		p.NominalY(names...)
	}
	p.Y.Min, p.Y.Max = -0.6, max(1, float64(len(names)))-0.4
	switch {
	case panel.Axis.Log && largest > 0:
		// The label takes the same share of the axis.
		p.X.Min = smallest / logRoom
		p.X.Max = math.Pow(largest/p.X.Min, room) * p.X.Min
	case largest > 0:
		p.X.Min, p.X.Max = 0, largest*room
	default:
		p.X.Min, p.X.Max = 0, 1
		Axis{}.apply(&p.X)
		p.X.Scale = plot.LinearScale{}
	}
	return p
}

type placedRow struct {
	Row
	y float64
}

// Plot draws the row: a line from the axis' start to the middle, the runs, and the middle as text.
func (r placedRow) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	at := y(r.y)
	c.StrokeLine2(draw.LineStyle{Color: pale, Width: vg.Points(1)}, c.Min.X, at, x(r.Middle), at)
	furthest := r.Middle
	for _, v := range r.Values {
		furthest = max(furthest, v)
		c.DrawGlyph(draw.GlyphStyle{Color: faint(r.Color), Radius: dotRadius, Shape: draw.CircleGlyph{}}, vg.Point{X: x(v), Y: at})
	}
	const half = 7 // points
	c.StrokeLine2(draw.LineStyle{Color: r.Color, Width: vg.Points(2)}, x(r.Middle), at-half, x(r.Middle), at+half)
	c.FillText(words(textSize-1, ink), vg.Point{X: x(furthest) + 6, Y: at}, Short(r.Middle))
}
