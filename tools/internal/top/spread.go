package top

import "math"

// A spread is a histogram by the logarithm of time, from 1 µs to 1 s. What is outside is
// in the first or last column.
const (
	spreadFrom    = 1000 // ns
	spreadDecades = 6
	perDecade     = 6
	spreadColumns = spreadDecades * perDecade
)

// Spread counts requests by how long they took.
type Spread [spreadColumns]uint64

func columnOf(ns uint64) int {
	if ns <= spreadFrom {
		return 0
	}
	return min(int(perDecade*math.Log10(float64(ns)/spreadFrom)), spreadColumns-1)
}

// in returns the spread in fewer columns, a divisor of what there are.
func (s *Spread) in(columns int) []uint64 {
	all := make([]uint64, columns)
	for i, n := range s {
		all[i*columns/spreadColumns] += n
	}
	return all
}

// spreadWidths are the columns that a spread may be shown in, as many for each decade.
var spreadWidths = []int{36, 18, 12}

// spreadScale is the line above spreads.
func spreadScale(columns int, look Look) string {
	switch columns {
	case 36:
		return look.units("1µs   10µs  100µs 1ms   10ms  100ms")
	case 18:
		return look.units("1µs   100µs 10ms")
	}
	return look.units("1µs   1ms 1s")
}

// draw writes a spread as a row of blocks, the tallest for the largest.
func (s *Spread) draw(columns int, look Look) string {
	all, most := s.in(columns), uint64(0)
	for _, n := range all {
		most = max(most, n)
	}
	glyphs := look.blocks()
	text := make([]rune, columns)
	for i, n := range all {
		text[i] = look.nothing()
		if n > 0 { // However little: it is the tail that one looks for.
			text[i] = glyphs[min(int(float64(n)/float64(most)*float64(len(glyphs))), len(glyphs)-1)]
		}
	}
	return string(text)
}
