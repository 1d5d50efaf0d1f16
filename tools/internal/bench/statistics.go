package bench

import (
	"math"
	"slices"
)

// median of some numbers; NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// values returns what the rounds measured, in their order.
func (r *Result) values(load, system string, x float64, m Metric) []float64 {
	var all []float64
	for _, s := range r.Samples {
		if v, found := s.Values[m]; found && s.Load == load && s.System == system && s.X == x {
			all = append(all, v)
		}
	}
	return all
}

// xs returns the places of a series, in order; without one, only 0.
func (r *Result) xs(load string) []float64 {
	var all []float64
	for _, s := range r.Samples {
		if s.Load == load && !slices.Contains(all, s.X) {
			all = append(all, s.X)
		}
	}
	slices.Sort(all)
	return all
}

// point names one place at which a system was measured.
type point struct {
	load, system string
	x            float64
}

// ratios divides what two points measured, round by round.
func (r *Result) ratios(m Metric, of, to point) []float64 {
	return r.compared(m, of, to, func(v, with float64) (float64, bool) { return v / with, with != 0 })
}

// differences are by how much more the first of two points measured, round by round.
func (r *Result) differences(m Metric, of, to point) []float64 {
	return r.compared(m, of, to, func(v, with float64) (float64, bool) { return v - with, true })
}

// compared holds what two points measured against each other, round by round.
func (r *Result) compared(m Metric, of, to point, by func(v, with float64) (float64, bool)) []float64 {
	byRound := map[int]float64{}
	for _, s := range r.Samples {
		if v, found := s.Values[m]; found && (point{s.Load, s.System, s.X}) == to {
			byRound[s.Round] = v
		}
	}
	var all []float64
	for _, s := range r.Samples {
		v, found := s.Values[m]
		with, both := byRound[s.Round]
		if !found || !both || (point{s.Load, s.System, s.X}) != of {
			continue
		}
		if c, sound := by(v, with); sound {
			all = append(all, c)
		}
	}
	return all
}

// Verdict is how a bound fared.
type Verdict struct {
	Bound
	Measured          bool
	Held              bool
	Middle            float64 // median of the rounds: of their ratios or differences, or of the quantity
	Lowest, Highest   float64
	At                float64 // the X that it was judged at
	EveryRound, Never bool    // whether it held in each round, or in none
}

func (r *Result) judge(b Bound) Verdict {
	v := Verdict{Bound: b, At: b.X}
	if b.Worst {
		worst := math.Inf(-1)
		for _, x := range r.xs(b.Load) {
			if m := median(r.values(b.Load, b.System, x, b.Metric)); m > worst {
				worst, v.At = m, x
			}
		}
	}
	rounds := r.bounded(b, v.At)
	if len(rounds) == 0 {
		return v
	}
	v.Measured, v.Middle = true, median(rounds)
	v.Lowest, v.Highest = slices.Min(rounds), slices.Max(rounds)
	v.Held = b.allows(v.Middle)
	kept := 0
	for _, round := range rounds {
		if b.allows(round) {
			kept++
		}
	}
	v.EveryRound, v.Never = kept == len(rounds), kept == 0
	return v
}

// bounded returns what is to be within the bound, by round.
func (r *Result) bounded(b Bound, x float64) []float64 {
	switch {
	case b.Absolute:
		return r.values(b.Load, b.System, x, b.Metric)
	case b.More:
		return r.differences(b.Metric, point{b.Load, b.System, x}, point{b.Load, b.Against, x})
	case b.Against == "":
		return r.ratios(b.Metric, point{b.Load, b.System, x}, point{b.Load, b.System, b.AgainstX})
	}
	return r.ratios(b.Metric, point{b.Load, b.System, x}, point{b.Load, b.Against, x})
}

func (b *Bound) allows(v float64) bool {
	return (b.AtLeast == 0 || v >= b.AtLeast) && (b.AtMost == 0 || v <= b.AtMost)
}
