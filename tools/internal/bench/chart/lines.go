package chart

import (
	"cmp"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Lines shows how quantities go with another one. Lines go through the middles; the
// runs are dots.
type Lines struct {
	Title  string
	X, Y   Axis
	Series []Series
}

// Series is one line, named at its end.
type Series struct {
	Name   string
	Color  color.Color
	Dashed bool
	Points []Point
}

// Point is what was measured at X, by run.
type Point struct {
	X      float64
	Middle float64
	Values []float64
}

const (
	linesHeight = 290 // points
	labelGap    = 6   // points
)

func (l Lines) height() vg.Length { return vg.Points(linesHeight) }

func (l Lines) draw(on draw.Canvas) {
	p := newPlot(l.Title)
	l.X.apply(&p.X)
	l.Y.apply(&p.Y)
	p.X.Padding, p.Y.Padding = 0, 0
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = pale, pale
	p.Add(grid)
	var widest vg.Length
	for _, s := range l.Series {
		p.Add(s)
		widest = max(widest, words(textSize, ink).Width(s.Name))
		for _, point := range s.Points {
			p.X.Min, p.X.Max = min(p.X.Min, point.X), max(p.X.Max, point.X)
			for _, v := range append([]float64{point.Middle}, point.Values...) {
				p.Y.Min, p.Y.Max = min(p.Y.Min, v), max(p.Y.Max, v)
			}
		}
	}
	if p.X.Min > p.X.Max { // there is nothing
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 1, 10, 1, 10
	}
	l.X.spread(&p.X)
	l.Y.spread(&p.Y)
	on = draw.Crop(on, 0, -widest-2*labelGap, 0, 0)
	p.Draw(on)
	l.name(p, p.DataCanvas(on))
}

// nameHeight is how far apart names stand.
const nameHeight vg.Length = textSize + 3

// name writes each series' name beside its last point.
func (l Lines) name(p *plot.Plot, area draw.Canvas) {
	_, y := p.Transforms(&area)
	named := slices.DeleteFunc(slices.Clone(l.Series), func(s Series) bool { return len(s.Points) == 0 })
	last := func(s Series) vg.Length { return y(s.Points[len(s.Points)-1].Middle) }
	slices.SortStableFunc(named, func(a, b Series) int { return cmp.Compare(last(a), last(b)) })
	var at []vg.Length
	for _, s := range named {
		at = append(at, last(s))
	}
	for i, y := range place(at, area.Max.Y) {
		area.FillText(words(textSize, named[i].Color), vg.Point{X: area.Max.X + labelGap, Y: y}, named[i].Name)
	}
}

// place moves names apart that would overlap. They come from the lowest to the highest.
func place(at []vg.Length, top vg.Length) []vg.Length {
	for i := 1; i < len(at); i++ {
		at[i] = max(at[i], at[i-1]+nameHeight)
	}
	// What was pushed over the top goes back down, with all that it then touches.
	for i := len(at) - 1; i >= 0; i-- {
		at[i] = min(at[i], top)
		top = at[i] - nameHeight
	}
	return at
}

// Plot draws the line and its runs.
func (s Series) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: s.Color, Width: vg.Points(1.6)}
	if s.Dashed {
		style.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	}
	line := make([]vg.Point, len(s.Points))
	for i, point := range s.Points {
		line[i] = vg.Point{X: x(point.X), Y: y(point.Middle)}
		for _, v := range point.Values {
			c.DrawGlyph(draw.GlyphStyle{Color: faint(s.Color), Radius: dotRadius - 0.6, Shape: draw.CircleGlyph{}}, vg.Point{X: x(point.X), Y: y(v)})
		}
	}
	c.StrokeLines(style, line)
}
