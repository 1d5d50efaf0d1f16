package chart

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Stacks shows what quantities are made of: bars of parts, one panel below the other.
type Stacks struct {
	Panels []StackPanel
}

// StackPanel has bars that share an axis.
type StackPanel struct {
	Title string
	Axis  Axis
	Bars  []Bar
}

// Bar is one quantity. Bars of a panel have the same parts, in the same order.
type Bar struct {
	Name  string
	Total float64 // written at its end; parts may be those of other runs
	Parts []Part
}

// Part is a part of a bar.
type Part struct {
	Name  string
	Color color.Color
	Value float64
}

const (
	barHeight  = 17 // points, of the rowHeight
	keyHeight  = 26 // points, for the names of the parts
	stackGap   = 14 // points between panels
	keySquare  = 8  // points
	barPadding = 5  // points beside a label inside of a part
	totalRoom  = 1.1
)

func (s Stacks) height() vg.Length {
	points := 2*margin + keyHeight - stackGap
	for _, p := range s.Panels {
		points += p.points() + stackGap
	}
	return vg.Points(float64(points))
}

func (p StackPanel) points() int { return rowHeight*max(1, len(p.Bars)) + panelHeight }

func (s Stacks) draw(on draw.Canvas) {
	s.key(on)
	top := on.Max.Y - keyHeight
	var plots [][]*plot.Plot
	var areas []draw.Canvas
	for _, panel := range s.Panels {
		area := on
		area.Max.Y, area.Min.Y = top, top-vg.Points(float64(panel.points()))
		top = area.Min.Y - stackGap
		plots, areas = append(plots, []*plot.Plot{panel.plot()}), append(areas, area)
	}
	// Axes of all panels begin at the same place.
	tiles := draw.Tiles{Rows: len(plots), Cols: 1}
	for i, row := range plot.Align(plots, tiles, on) {
		area := areas[i]
		area.Min.X, area.Max.X = row[0].Min.X, row[0].Max.X
		plots[i][0].Draw(area)
	}
}

// key names the parts, each behind its colour, in a line on top.
func (s Stacks) key(on draw.Canvas) {
	if len(s.Panels) == 0 || len(s.Panels[0].Bars) == 0 {
		return
	}
	style := words(textSize, ink)
	at := vg.Point{X: on.Min.X, Y: on.Max.Y - keySquare/2}
	for _, p := range s.Panels[0].Bars[0].Parts {
		fill(on, p.Color, at.X, at.Y-keySquare/2, at.X+keySquare, at.Y+keySquare/2)
		at.X += keySquare + labelGap
		on.FillText(style, at, p.Name)
		at.X += style.Width(p.Name) + 3*labelGap
	}
}

func (panel StackPanel) plot() *plot.Plot {
	p := newPlot(panel.Title)
	panel.Axis.apply(&p.X)
	p.HideY()
	p.Y.Tick.Length = 0
	names := make([]string, len(panel.Bars))
	largest := 0.0
	for i, bar := range panel.Bars {
		y := len(panel.Bars) - 1 - i // the first stands on top
		names[y] = bar.Name
		p.Add(placedBar{bar, float64(y)})
		sum := 0.0
		for _, part := range bar.Parts {
			sum += max(0, part.Value)
		}
		largest = max(largest, sum, bar.Total)
	}
	if len(names) > 0 {
		p.NominalY(names...)
	}
	p.Y.Min, p.Y.Max = -0.6, max(1, float64(len(names)))-0.4
	p.X.Min, p.X.Max = 0, 1
	if largest > 0 {
		p.X.Max = largest * totalRoom
	}
	return p
}

type placedBar struct {
	Bar
	y float64
}

// Plot draws the parts, each with its value if there is room, and the total.
func (b placedBar) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	at := y(b.y)
	style := words(textSize-1, color.White)
	style.XAlign = draw.XCenter
	sum := 0.0
	for _, part := range b.Parts {
		if part.Value <= 0 {
			continue
		}
		from, to := x(sum), x(sum+part.Value)
		sum += part.Value
		fill(c, part.Color, from, at-barHeight/2, to, at+barHeight/2)
		if label := Short(part.Value); to-from > style.Width(label)+barPadding {
			c.FillText(style, vg.Point{X: (from + to) / 2, Y: at}, label)
		}
	}
	c.FillText(words(textSize-1, ink), vg.Point{X: x(sum) + labelGap, Y: at}, Short(b.Total))
}

func fill(c draw.Canvas, with color.Color, left, bottom, right, top vg.Length) {
	c.FillPolygon(with, []vg.Point{{X: left, Y: bottom}, {X: right, Y: bottom}, {X: right, Y: top}, {X: left, Y: top}})
}
