package sim

import "testing"

func TestScenarios(t *testing.T) {
	scenarios, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	if len(scenarios) == 0 {
		t.Fatal("there are no scenarios")
	}
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			res, err := s.Play(0, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			if !res.OK() {
				t.Fatalf("the protocol itself fails: %s", res.String())
			}
			for _, d := range s.CaughtBy {
				res, err := s.Play(d, nil)
				if err != nil {
					t.Fatal(err)
				}
				if res.OK() {
					t.Errorf("with defect %v it passes", d)
				} else {
					t.Logf("with defect %v: %s", d, res.String())
				}
			}
		})
	}
}
