//go:build !race

// What is held is the same under the race detector, but takes it minutes to see.

package table

import (
	"fmt"
	"math/rand"
	"testing"

	"causalmesh/causal"
)

// heldBound is what may be held for so many live bytes.
func heldBound(live int) int {
	return live + live/sparseShare + classes*smallPage + idlePages*smallPage + idleLarge
}

// TestHeldFollowsLive: whatever the sizes of values were before, the memory taken stays
// within an eighth of what is live, and a page for each class.
func TestHeldFollowsLive(t *testing.T) {
	table := newMapped(t, 512<<20)
	rng := rand.New(rand.NewSource(8))
	const budget = 48 << 20
	worst := 0.0
	for phase, size := range []func() int{
		func() int { return 8 },
		func() int { return 100 + rng.Intn(100) },
		func() int { return 1 << rng.Intn(15) },
		func() int { return 3000 },
		func() int { return 33_000 + rng.Intn(200_000) },
		func() int { return 40 },
		func() int { return rng.Intn(2000) },
	} {
		for put := 0; put < 3*budget/2; {
			for range 20 {
				n := size()
				put += n + 64
				table.Put(checked(fmt.Appendf(nil, "key-%d-%d", phase, rng.Intn(400_000)), 1, n), causal.Complete)
			}
			for table.Bytes() > budget {
				table.Sweep(64, true, func(v *causal.Version, _ causal.Presence) causal.Verdict {
					if table.Bytes() <= budget {
						return causal.Enough
					}
					return causal.Remove
				})
			}
			table.Reuse()
			if held, most := table.Held(), heldBound(table.Bytes()); held > most {
				t.Fatalf("phase %d: %d bytes held for %d live ones", phase, held, table.Bytes())
			}
			if table.Bytes() > budget/2 {
				worst = max(worst, float64(table.Held())/float64(table.Bytes()))
			}
		}
		must(t, table)
		if held, resident := table.Held(), residentBytes(t, table); resident > held+held/50 {
			t.Errorf("phase %d: %d bytes are resident, %d counted", phase, resident, held)
		}
	}
	t.Logf("at most %.3f bytes held for each live one", worst)
}

// TestBytesPerEntry: what a short entry costs, everything that is held included, at the
// worst fill of the index.
func TestBytesPerEntry(t *testing.T) {
	table := newMapped(t, 1<<30)
	worst, best, worstAt := 0.0, 1e9, 0
	for i := range 2_000_000 {
		table.Put(short(fmt.Appendf(nil, "key-%08d", i), i), causal.Complete)
		if i%8 == 0 {
			table.Reuse()
		}
		if n := i + 1; n >= 1_000_000 && n%10_000 == 0 {
			cost := float64(table.Held()) / float64(n)
			if best = min(best, cost); cost > worst {
				worst, worstAt = cost, n
			}
			if n%100_000 == 0 {
				t.Logf("%d entries: %.1f bytes each held, %.1f charged", n, cost, float64(table.Bytes())/float64(n))
			}
		}
	}
	t.Logf("between %.1f and %.1f (at %d)", best, worst, worstAt)
	if worst > 75 {
		t.Errorf("a short entry takes %.1f bytes", worst)
	}
	if held, resident := table.Held(), residentBytes(t, table); resident > held+held/50 {
		t.Errorf("%d bytes are resident, %d counted", resident, held)
	}
}
