package sim

import (
	"os"
	"strconv"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
)

func TestSmoke(t *testing.T) {
	n, _ := strconv.ParseUint(os.Getenv("N"), 10, 64)
	for _, p := range []causal.Propagation{causal.OneRound, causal.TwoRound} {
		r := Runner{Options: Options{Propagation: p}}
		bad := 0
		var st Stats
		for seed := uint64(0); seed < max(n, 1000); seed++ {
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
	n, _ := strconv.ParseUint(os.Getenv("N"), 10, 64)
	for _, d := range append(defect.All(), 0) {
		if s := os.Getenv("DEFECT"); s != "" && s != d.String() {
			continue
		}
		for _, p := range []causal.Propagation{causal.OneRound, causal.TwoRound} {
			e := causal.Experiment{Defects: d, Carrying: d == defect.ArrivedOtherwise || d == defect.CarryLatest || d == 0}
			r := Runner{Options: Options{Propagation: p, Experiment: e}}
			bad, first := 0, ""
			for seed := uint64(0); seed < n; seed++ {
				if res := r.Run(seed); !res.OK() {
					if bad++; res.Report.Total() > 0 && first == "" {
						first = res.String()
					}
				}
			}
			t.Logf("%-22v %v %4d %.300s", d, p, bad, first)
		}
	}
}
