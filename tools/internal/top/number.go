package top

import (
	"fmt"
	"math"
)

// duration writes ns with three digits and a unit that suits them, in at most six cells.
func duration(ns uint64, look Look) string {
	if ns < 1000 {
		return fmt.Sprintf("%dns", ns)
	}
	const most = 9990e9 // four digits and the unit, and more than the kernel's histograms hold
	value := min(float64(ns), most)
	value = threeDigits(value)
	for _, u := range []struct {
		ns   float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if value >= u.ns {
			return look.units(digits(value/u.ns) + u.name)
		}
	}
	return ""
}

// perSecond writes a rate in at most five cells.
func perSecond(rate float64) string {
	switch {
	case rate <= 0:
		return "0"
	case rate < 9.95:
		return fmt.Sprintf("%.1f", rate)
	case rate < 9999.5:
		return fmt.Sprintf("%.0f", rate)
	}
	rate = min(threeDigits(rate), 999e12)
	for _, u := range []struct {
		n    float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}} {
		if rate >= u.n {
			return digits(rate/u.n) + u.name
		}
	}
	return digits(rate/1e3) + "k"
}

// threeDigits rounds.
func threeDigits(v float64) float64 {
	unit := math.Pow10(int(math.Floor(math.Log10(v))) - 2)
	return math.Round(v/unit) * unit
}

// digits writes three of them.
func digits(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
