package sampler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// MaxKeys bounds the number of keys of a distribution.
const MaxKeys = 1 << 28

// Distribution says how popular each of n keys is.
type Distribution struct {
	keys  int
	text  string
	table alias // nil: all keys alike
}

// Parse makes a distribution over a number of keys from its name: "uniform", or
// "zipf:S" for Zipf's law with exponent S, where the key of rank r, from 0, has a
// weight of 1/(r+1)^S.
func Parse(text string, keys int) (*Distribution, error) {
	if keys < 1 || keys > MaxKeys {
		return nil, fmt.Errorf("%w: over %d keys; use 1 to %d", ErrDistribution, keys, MaxKeys)
	}
	name, parameter, has := strings.Cut(text, ":")
	switch {
	case name == "uniform" && !has:
		return &Distribution{keys: keys, text: text}, nil
	case name == "zipf" && has:
		s, err := strconv.ParseFloat(parameter, 64)
		if err != nil || !(s >= 0) || s > maxExponent {
			return nil, fmt.Errorf("%w: exponent %q; use a number from 0 to %d, as in zipf:1.0", ErrDistribution, parameter, maxExponent)
		}
		return &Distribution{keys: keys, text: text, table: newAlias(zipfWeights(s, keys))}, nil
	}
	return nil, fmt.Errorf("%w: %q; use uniform or zipf:S, as in zipf:1.0", ErrDistribution, text)
}

// maxExponent bounds Zipf's exponent: far below it, everything is the first key.
const maxExponent = 16

func zipfWeights(s float64, keys int) []float64 {
	weights := make([]float64, keys)
	for rank := range weights {
		weights[rank] = math.Pow(float64(rank+1), -s)
	}
	return weights
}

// Keys returns the number of keys.
func (d *Distribution) Keys() int { return d.keys }

// String returns what Parse was given.
func (d *Distribution) String() string { return d.text }

// Draw returns the rank of a key, from 0 to Keys()-1.
func (d *Distribution) Draw(r *rand.Rand) int {
	if d.table == nil {
		return r.IntN(d.keys)
	}
	return d.table.draw(r)
}
