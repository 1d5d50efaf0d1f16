package sim

import (
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
)

func TestSmoke(t *testing.T) {
	for _, p := range []causal.Propagation{causal.OneRound, causal.TwoRound} {
		r := Runner{Options: Options{Propagation: p}}
		bad := 0
		var st Stats
		for seed := uint64(0); seed < 3000; seed++ {
			res := r.Run(seed)
			st.add(&res.Stats)
			if !res.OK() {
				if bad++; bad < 4 {
					t.Errorf("%v %s", p, res.String())
				}
			}
		}
		t.Logf("%v bad=%d %+v", p, bad, st)
	}
}

func TestCanaryRates(t *testing.T) {
	for _, d := range defect.All() {
		for _, p := range []causal.Propagation{causal.OneRound, causal.TwoRound} {
			e := causal.Experiment{Defects: d, Carrying: d == defect.ArrivedOtherwise || d == defect.CarryLatest}
			r := Runner{Options: Options{Propagation: p, Experiment: e}}
			bad, first := 0, ""
			for seed := uint64(0); seed < 1000; seed++ {
				if res := r.Run(seed); !res.OK() {
					if bad++; bad == 1 {
						first = res.String()
					}
				}
			}
			t.Logf("%-22v %v %4d %.300s", d, p, bad, first)
		}
	}
	r := Runner{Options: Options{Experiment: causal.Experiment{Carrying: true}}}
	bad, first := 0, ""
	for seed := uint64(0); seed < 1000; seed++ {
		if res := r.Run(seed); !res.OK() {
			if bad++; bad == 1 {
				first = res.String()
			}
		}
	}
	t.Logf("carrying %4d %.300s", bad, first)
}
