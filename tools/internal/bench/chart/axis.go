package chart

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// Axis says how a quantity is shown.
type Axis struct {
	Title string // with its unit
	Log   bool
	// Zero makes a linear axis begin at 0, so that lengths can be compared.
	Zero bool
}

func (a Axis) apply(to *plot.Axis) {
	to.Label.Text = a.Title
	if a.Log {
		to.Scale, to.Tick.Marker = plot.LogScale{}, logTicks{}
		return
	}
	to.Tick.Marker = linearTicks{}
	if a.Zero {
		to.Min = 0
	}
}

// spread keeps points off the ends of an axis that has its range.
func (a Axis) spread(to *plot.Axis) {
	const (
		share  = 0.04 // of a linear range
		factor = 1.12
	)
	switch {
	case a.Log:
		to.Min, to.Max = to.Min/factor, to.Max*factor
	case a.Zero:
		to.Max += share * to.Max
	default:
		by := share * (to.Max - to.Min)
		to.Min, to.Max = to.Min-by, to.Max+by
	}
}

// logTicks marks 1, 2 and 5 of each power of ten; where there are many powers, only
// these.
type logTicks struct{}

// manyDecades is from when on the labels of 2 and 5 would touch.
const manyDecades = 4

func (logTicks) Ticks(low, high float64) []plot.Tick {
	decades := math.Log10(high / low)
	var ticks []plot.Tick
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for digit := 1; digit < 10; digit++ {
			value := float64(digit) * math.Pow(10, power)
			if value < low || value > high {
				continue
			}
			t := plot.Tick{Value: value}
			if digit == 1 || decades < manyDecades && (digit == 2 || digit == 5) {
				t.Label = Short(value)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

type linearTicks struct{}

func (linearTicks) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = Short(ticks[i].Value)
		}
	}
	return ticks
}

// Short writes a number with three digits, thousands as k and millions as M.
func Short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e6, "M"}, {1e3, "k"}} {
		// What rounds up to the unit is written with it.
		if math.Abs(v) >= unit.size*0.9995 {
			return digits(v/unit.size) + unit.name
		}
	}
	return digits(v)
}

// digits writes a number below a thousand with three digits.
func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	after := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', after, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}
