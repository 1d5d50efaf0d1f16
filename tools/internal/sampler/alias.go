package sampler

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// alias is an alias table: n columns of equal width, each shared by at most two
// ranks. Column i belongs to rank i below its threshold and to rank other from there
// on.
type alias []column

type column struct {
	threshold uint64 // of 2^64
	other     uint32
}

// newAlias makes the table for weights that are positive and finite. Vose's
// algorithm: what a rank lacks to fill its column is taken from one that has more
// than a column's share.
func newAlias(weights []float64) alias {
	n := len(weights)
	total := 0.0
	for i := n - 1; i >= 0; i-- { // smallest first, as the sum is then most exact
		total += weights[i]
	}
	share := make([]float64, n) // in columns
	var small, large []uint32
	for i, w := range weights {
		share[i] = w / total * float64(n)
		if share[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	table := make(alias, n)
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		table[s] = column{threshold: fraction(share[s]), other: l}
		share[l] -= 1 - share[s]
		if share[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	// What is left has a column of its own, but for rounding.
	for _, i := range append(small, large...) {
		table[i] = column{threshold: math.MaxUint64, other: i}
	}
	return table
}

// fraction returns f, from 0 to below 1, in units of 2^-64.
func fraction(f float64) uint64 { return uint64(math.Ldexp(f, 64)) }

// draw needs one random number for both choices: in r times n, the upper word is a
// column, and the lower word is where in the column. Its error is below n in 2^64.
func (a alias) draw(r *rand.Rand) int {
	i, within := bits.Mul64(r.Uint64(), uint64(len(a)))
	if c := &a[i]; within >= c.threshold {
		return int(c.other)
	}
	return int(i)
}
