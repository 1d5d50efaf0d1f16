package stress

import (
	"math/rand/v2"
	"time"
)

// known is a test as the first, quiet run has shown it.
type known struct {
	name string
	took time.Duration
}

// unitTime is about how long a unit takes on an idle machine: long enough that starting it costs
// little, short enough that units of different packages run beside each other in many combinations.
const unitTime = 10 * time.Second

// plan cuts the runs of a suite's tests into units. Short tests share processes, so that they
// also run after each other in one process; each run of a long test is a unit of its own.
func plan(s *suite, tests []known, o *options, random *rand.Rand) (units []*unit) {
	var short []string
	var sum time.Duration
	for _, t := range tests {
		if t.took < o.longFrom {
			short = append(short, t.name)
			sum += t.took
			continue
		}
		for range o.longRuns {
			units = append(units, &unit{suite: s, tests: []string{t.name}, count: 1, seed: int64(random.Uint32())})
		}
	}
	if len(short) == 0 {
		return units
	}
	each := o.shortRuns
	if sum > 0 {
		each = max(1, min(each, int(unitTime/sum)))
	}
	for left := o.shortRuns; left > 0; left -= each {
		units = append(units, &unit{suite: s, tests: short, count: min(each, left), seed: int64(random.Uint32())})
	}
	return units
}

// wanted is how often a test is to run.
func (o *options) wanted(t known) int {
	if t.took < o.longFrom {
		return o.shortRuns
	}
	return o.longRuns
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
