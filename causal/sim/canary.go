package sim

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"causalmesh/causal"
	"causalmesh/causal/internal/defect"
)

//go:embed testdata/*.txt
var scenarioFiles embed.FS

// Scenarios returns the hand-written schedules.
func Scenarios() ([]*Scenario, error) {
	entries, err := scenarioFiles.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	var list []*Scenario
	for _, e := range entries {
		f, err := scenarioFiles.Open(path.Join("testdata", e.Name()))
		if err != nil {
			return nil, err
		}
		s, err := ParseScenario(strings.TrimSuffix(e.Name(), ".txt"), f)
		f.Close()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Canary is a run that must be caught: one rule is left out, and the seed is one
// that shows it.
type Canary struct {
	Defect      defect.Set
	Propagation causal.Propagation
	Seed        uint64
	// Unseen: no seed is known. The scenario shows it, and the model.
	Unseen bool
}

// Canaries lists one for every defect. The seeds show an anomaly that the checker
// names, where there is one, and not only a world that does not come to rest.
var Canaries = []Canary{
	{Defect: defect.UnclosedStability, Seed: 15},
	{Defect: defect.UnclosedStability, Propagation: causal.TwoRound, Seed: 9},
	{Defect: defect.OwnWriteUnasked, Seed: 373},
	{Defect: defect.MergedClockOrder, Seed: 0},
	{Defect: defect.IntegrateWhenAsked, Seed: 0},
	{Defect: defect.AssumePreloaded, Seed: 12},
	{Defect: defect.NoResync, Seed: 19},
	{Defect: defect.HoardOwnWrites, Seed: 0},
	{Defect: defect.StaleValue, Seed: 0},
	{Defect: defect.ZeroClock, Seed: 38},
	{Defect: defect.TimeOnIntegration, Seed: 10},
	{Defect: defect.ForgetSent, Seed: 19},
	{Defect: defect.ArrivedOtherwise, Seed: 2278},
	{Defect: defect.CarryLatest, Seed: 276},
	{Defect: defect.InstallUnadopted, Seed: 9061},
	{Defect: defect.EvictUnflushed, Seed: 23},
	{Defect: defect.EvictBusy, Seed: 442},
	{Defect: defect.ForgetEvicted, Seed: 379},
	{Defect: defect.AnswerByStamp, Unseen: true},
	{Defect: defect.MissUnlearned, Unseen: true},
	{Defect: defect.PublishEarly, Seed: 470},
	{Defect: defect.AbsorbLater, Seed: 2241},
	{Defect: defect.UncheckedDot, Seed: 37},
	{Defect: defect.PiecemealReadMany, Seed: 183},
}

// carries says which defects are about the carrying variant.
func carries(d defect.Set) bool { return d == defect.ArrivedOtherwise || d == defect.CarryLatest }

// Catch runs a canary: the error says that the checker passed what it must not.
func (c *Canary) Catch(scenarios []*Scenario) error {
	r := Runner{Options: OptionsOf(c.Propagation, c.Defect)}
	if !c.Unseen {
		if res := r.Run(c.Seed); res.OK() {
			return fmt.Errorf("canary %v: seed %d passes", c.Defect, c.Seed)
		}
	}
	shown := 0
	for _, s := range scenarios {
		for _, d := range s.CaughtBy {
			if d != c.Defect {
				continue
			}
			shown++
			res, err := s.Play(d, nil)
			if err != nil {
				return err
			}
			if res.OK() {
				return fmt.Errorf("canary %v: scenario %s passes", c.Defect, s.Name)
			}
		}
	}
	if shown == 0 {
		return fmt.Errorf("canary %v: no scenario shows it", c.Defect)
	}
	return nil
}

// Pin looks for seeds for all canaries, up to most seeds each, and returns them
// as the table above has them. It prefers a seed whose anomaly the checker names to
// one that merely does not come to rest.
func Pin(most uint64) string {
	var b strings.Builder
	for _, c := range Canaries {
		r := Runner{Options: OptionsOf(c.Propagation, c.Defect)}
		found, named := uint64(0), false
		caught := 0
		for seed := range most {
			res := r.Run(seed)
			if res.OK() {
				continue
			}
			if caught++; caught == 1 {
				found = seed
			}
			if named = !res.Report.OK() && len(res.Faults) == 0; named {
				found = seed
				break
			}
		}
		fmt.Fprintf(&b, "%-22v %-10v seed %6d (caught: %v, named by the checker: %v)\n", c.Defect, c.Propagation, found, caught > 0, named)
	}
	return b.String()
}
