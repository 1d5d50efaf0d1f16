package sampler

import (
	"errors"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

func mustParse(t testing.TB, text string, keys int) *Distribution {
	t.Helper()
	d, err := Parse(text, keys)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// twin draws from the same weights in the obvious way: by the sums of the weights.
type twin struct{ sums []float64 }

func newTwin(weights []float64) *twin {
	t := &twin{}
	sum := 0.0
	for _, w := range weights {
		sum += w
		t.sums = append(t.sums, sum)
	}
	return t
}

func (t *twin) probability(rank int) float64 {
	before := 0.0
	if rank > 0 {
		before = t.sums[rank-1]
	}
	return (t.sums[rank] - before) / t.sums[len(t.sums)-1]
}

func (t *twin) draw(r *rand.Rand) int {
	x := r.Float64() * t.sums[len(t.sums)-1]
	return min(sort.Search(len(t.sums), func(i int) bool { return t.sums[i] > x }), len(t.sums)-1)
}

// TestAliasIsExact adds up the parts of columns that each rank has, and compares
// them with what the weights say: no sample, so no chance.
func TestAliasIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]float64, 1000)
	for i := range random {
		random[i] = math.Exp(20 * r.NormFloat64())
	}
	for name, weights := range map[string][]float64{
		"one key": {3}, "two keys": {1, 2}, "all alike": {5, 5, 5, 5}, "random": random,
		"zipf 1.0 of 100000": zipfWeights(1, 100_000), "zipf 0.5": zipfWeights(0.5, 999),
		"zipf 2": zipfWeights(2, 1000), "zipf 0": zipfWeights(0, 77), "zipf 16": zipfWeights(16, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			table, want := newAlias(weights), newTwin(weights)
			got := make([]float64, len(table))
			for i, c := range table {
				own := math.Ldexp(float64(c.threshold), -64)
				got[i] += own / float64(len(table))
				got[c.other] += (1 - own) / float64(len(table))
			}
			for rank, p := range got {
				// Relative for what is likely; what is next to impossible may be lost.
				if w := want.probability(rank); math.Abs(p-w) > 1e-9*w+1e-15 {
					t.Fatalf("rank %d of %d has probability %g, want %g", rank, len(table), p, w)
				}
			}
		})
	}
}

// chiSquare compares counts of draws with probabilities, ranks with few expected
// draws taken together, and returns how many standard deviations the sum is off.
func chiSquare(counts []int, draws int, probability func(rank int) float64) float64 {
	const least = 20
	sum, cells := 0.0, 0
	expected, observed := 0.0, 0.0
	for rank, n := range counts {
		expected += probability(rank) * float64(draws)
		observed += float64(n)
		if expected >= least {
			sum += (observed - expected) * (observed - expected) / expected
			cells++
			expected, observed = 0, 0
		}
	}
	freedom := float64(cells - 1)
	return (sum - freedom) / math.Sqrt(2*freedom)
}

// TestDraws draws from the table, from the twin, and from a law that is a little
// wrong, which the test must notice.
func TestDraws(t *testing.T) {
	const keys, draws = 10_000, 1_000_000
	const tolerated, noticed = 4, 10 // standard deviations
	law := newTwin(zipfWeights(1, keys))
	count := func(draw func(*rand.Rand) int) []int {
		r := rand.New(rand.NewPCG(7, 11))
		counts := make([]int, keys)
		for range draws {
			counts[draw(r)]++
		}
		return counts
	}
	even := func(int) float64 { return 1.0 / keys }
	for _, c := range []struct {
		name  string
		draw  func(*rand.Rand) int
		law   func(int) float64
		wrong bool
	}{
		{"zipf:1.0", mustParse(t, "zipf:1.0", keys).Draw, law.probability, false},
		{"its twin", law.draw, law.probability, false},
		{"uniform", mustParse(t, "uniform", keys).Draw, even, false},
		{"zipf:0", mustParse(t, "zipf:0", keys).Draw, even, false},
		{"zipf:1.03 is not zipf:1.0", mustParse(t, "zipf:1.03", keys).Draw, law.probability, true},
		{"zipf:0.05 is not uniform", mustParse(t, "zipf:0.05", keys).Draw, even, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := chiSquare(count(c.draw), draws, c.law)
			if !c.wrong && math.Abs(z) > tolerated {
				t.Fatalf("chi-square is off by %.1f standard deviations", z)
			}
			if c.wrong && z < noticed {
				t.Fatalf("chi-square is off by %.1f standard deviations only: the test is blind", z)
			}
		})
	}
}

func TestSeed(t *testing.T) {
	d := mustParse(t, "zipf:1.0", 1000)
	draw := func(seed uint64) (ranks [100]int) {
		r := rand.New(rand.NewPCG(seed, 0))
		for i := range ranks {
			ranks[i] = d.Draw(r)
		}
		return ranks
	}
	if first, again := draw(1), draw(1); first != again {
		t.Error("the same seed gives other keys")
	}
	if draw(1) == draw(2) {
		t.Error("another seed gives the same keys")
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"uniform", "zipf:1.0", "zipf:0", "zipf:0.99", "zipf:16"} {
		d := mustParse(t, text, 10)
		if d.String() != text || d.Keys() != 10 {
			t.Errorf("%q is %q over %d keys", text, d, d.Keys())
		}
	}
	for _, text := range []string{"", "zipf", "zipf:", "zipf:x", "zipf:-1", "zipf:NaN", "zipf:Inf", "zipf:17", "uniform:1", "normal"} {
		if d, err := Parse(text, 10); !errors.Is(err, ErrDistribution) {
			t.Errorf("%q: %v, %v, want ErrDistribution", text, d, err)
		}
	}
	for _, keys := range []int{-1, 0, MaxKeys + 1} {
		if _, err := Parse("uniform", keys); !errors.Is(err, ErrDistribution) {
			t.Errorf("%d keys: %v, want ErrDistribution", keys, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("zipf:1.0", 100)
	f.Add("uniform", 1)
	f.Add("zipf:1e-300", 3)
	f.Fuzz(func(t *testing.T, text string, keys int) {
		d, err := Parse(text, min(keys, 10_000))
		if err != nil {
			if !errors.Is(err, ErrDistribution) {
				t.Fatal(err)
			}
			return
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			if rank := d.Draw(r); rank < 0 || rank >= d.Keys() {
				t.Fatalf("%s over %d keys gives rank %d", d, d.Keys(), rank)
			}
		}
	})
}

func TestDrawAllocatesNothing(t *testing.T) {
	d := mustParse(t, "zipf:1.0", 1000)
	r := rand.New(rand.NewPCG(1, 1))
	if n := testing.AllocsPerRun(100, func() { d.Draw(r) }); n != 0 {
		t.Fatalf("%v allocations per draw", n)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, text := range []string{"uniform", "zipf:1.0"} {
		b.Run(text, func(b *testing.B) {
			d := mustParse(b, text, 100_000)
			r := rand.New(rand.NewPCG(1, 1))
			for b.Loop() {
				d.Draw(r)
			}
		})
	}
}
