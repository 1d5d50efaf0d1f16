package sim

import (
	"testing"

	"causalmesh/causal/internal/defect"
)

// A scenario shows what sessions, or whoever reads at the end, see go wrong: the
// checker names it, and not only that the world does not come to rest. A context
// that grows is no anomaly of a history, but of the context itself.
func TestScenariosShowAnomalies(t *testing.T) {
	scenarios, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for _, s := range scenarios {
		caught += len(s.CaughtBy)
		for _, d := range s.CaughtBy {
			res, err := s.Play(d, nil)
			if err != nil {
				t.Fatal(err)
			}
			unbounded := len(res.Faults) == 1 && res.Faults[0].Kind == FaultUnbounded
			if d == defect.HoardOwnWrites && unbounded {
				continue
			}
			if res.Report.Total() == 0 {
				t.Errorf("%s: with defect %v the checker finds nothing: %s", s.Name, d, res.String())
			}
		}
	}
	if caught == 0 {
		t.Error("no scenario catches a defect")
	}
}
