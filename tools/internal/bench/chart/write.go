package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours of Okabe and Ito, but for their yellow, which is too light for lines.
var (
	Blue       color.Color = color.RGBA{R: 0x00, G: 0x72, B: 0xB2, A: 0xFF}
	Vermillion color.Color = color.RGBA{R: 0xD5, G: 0x5E, B: 0x00, A: 0xFF}
	Green      color.Color = color.RGBA{R: 0x00, G: 0x9E, B: 0x73, A: 0xFF}
	Purple     color.Color = color.RGBA{R: 0xCC, G: 0x79, B: 0xA7, A: 0xFF}
	Orange     color.Color = color.RGBA{R: 0xE6, G: 0x9F, B: 0x00, A: 0xFF}
	Sky        color.Color = color.RGBA{R: 0x56, G: 0xB4, B: 0xE9, A: 0xFF}
)

// Ink is for text, and for what is beside the point.
var Ink color.Color = color.RGBA{R: 0x22, G: 0x22, B: 0x22, A: 0xFF}

var (
	ink              = Ink
	pale color.Color = color.RGBA{R: 0xDD, G: 0xDD, B: 0xDD, A: 0xFF}
)

const (
	width    = 7 * vg.Inch
	margin   = 10 // points
	textSize = 10 // points
	// pngDPI makes letters sharp on screens with twice the usual pixels.
	pngDPI = 160
)

// Chart is something to draw.
type Chart interface {
	height() vg.Length
	draw(draw.Canvas)
}

// Write draws a chart into base.svg and base.png.
func Write(c Chart, base string) error {
	svg := vgsvg.New(width, c.height())
	paint(c, draw.New(svg))
	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, c.height()), vgimg.UseDPI(pngDPI))}
	paint(c, draw.New(png))
	for _, f := range []struct {
		ending string
		image  io.WriterTo
	}{{".svg", svg}, {".png", png}} {
		var b bytes.Buffer
		if _, err := f.image.WriteTo(&b); err != nil {
			return fmt.Errorf("draw %s%s: %w", base, f.ending, err)
		}
		// Readers of an SVG have their own fonts, and seldom this one.
		image := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
			[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
		if err := os.WriteFile(base+f.ending, image, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// paint draws on white, inside of the margin: pages may be dark.
func paint(c Chart, on draw.Canvas) {
	on.FillPolygon(color.White, []vg.Point{
		on.Min, {X: on.Max.X, Y: on.Min.Y}, on.Max, {X: on.Min.X, Y: on.Max.Y},
	})
	c.draw(draw.Crop(on, margin, -margin, margin, -margin))
}

func newPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle = words(textSize+1, ink)
	p.Title.TextStyle.Font.Weight = 2 // bold
	p.Title.TextStyle.XAlign = draw.XCenter
	p.Title.Padding = vg.Points(6)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color = ink, ink
		a.Label.TextStyle.Font = words(textSize, ink).Font
		a.Label.TextStyle.Color = ink
		a.Tick.Label.Font = words(textSize-1, ink).Font
		a.Tick.Label.Color = ink
	}
	return p
}

// words is how text looks.
func words(points float64, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Points(points)),
		XAlign: draw.XLeft, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
	}
}

// faint is a colour that lets others show through.
func faint(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	return color.NRGBA{R: uint8(r >> 8), G: uint8(g >> 8), B: uint8(b >> 8), A: 0x70}
}
