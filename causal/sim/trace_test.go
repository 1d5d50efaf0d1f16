package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
)

func TestTrace(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		t.Skip()
	}
	o := Options{Trace: func(f string, a ...any) { fmt.Printf(f+"\n", a...) }}
	if os.Getenv("P") == "2" {
		o.Propagation = causal.TwoRound
	}
	o.Experiment.Defects, _ = defect.Parse(os.Getenv("DEFECT"))
	o.Experiment.Carrying = os.Getenv("CARRY") != ""
	r := Runner{Options: o}
	res := r.Run(seed)
	fmt.Println(res.String())
}
