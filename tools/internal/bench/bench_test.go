package bench

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sampled makes a result from rounds of values, one system after the other.
func sampled(load string, x float64, m Metric, rounds map[string][]float64) *Result {
	r := &Result{}
	for system, values := range rounds {
		for i, v := range values {
			r.Samples = append(r.Samples, Sample{Round: i + 1, Load: load, System: system, X: x, Values: map[Metric]float64{m: v}})
		}
	}
	return r
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{7}, 7}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("there is a median of nothing")
	}
}

// TestJudge: ratios are those of each round, not of the medians, and the verdict is
// that of their median.
func TestJudge(t *testing.T) {
	const a, b = "ours", "theirs"
	atMost := Bound{Metric: P50, Load: loadRead, System: a, Against: b, AtMost: 1}
	for name, c := range map[string]struct {
		ours, theirs      []float64
		ratio             float64
		held, every, none bool
	}{
		// The machine was slow in the second round: medians would have 20/20.
		"by round":      {[]float64{10, 40, 20}, []float64{20, 80, 10}, 0.5, true, false, false},
		"in each round": {[]float64{1, 2}, []float64{2, 4}, 0.5, true, true, false},
		"in none":       {[]float64{4, 6}, []float64{2, 2}, 2.5, false, false, true},
		"in some":       {[]float64{1, 4, 6}, []float64{2, 2, 2}, 2, false, false, false},
		"just":          {[]float64{2}, []float64{2}, 1, true, true, false},
	} {
		v := sampled(loadRead, 0, P50, map[string][]float64{a: c.ours, b: c.theirs}).judge(atMost)
		if !v.Measured || v.Middle != c.ratio || v.Held != c.held || v.EveryRound != c.every || v.Never != c.none {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for name, r := range map[string]*Result{
		"nothing":           {},
		"one system":        sampled(loadRead, 0, P50, map[string][]float64{a: {1}}),
		"another load":      sampled(loadWrite, 0, P50, map[string][]float64{a: {1}, b: {1}}),
		"another quantity":  sampled(loadRead, 0, P99, map[string][]float64{a: {1}, b: {1}}),
		"another place":     sampled(loadRead, 7, P50, map[string][]float64{a: {1}, b: {1}}),
		"divided by zero":   sampled(loadRead, 0, P50, map[string][]float64{a: {1}, b: {0}}),
		"no round together": {Samples: []Sample{{Round: 1, Load: loadRead, System: a, Values: map[Metric]float64{P50: 1}}, {Round: 2, Load: loadRead, System: b, Values: map[Metric]float64{P50: 1}}}},
	} {
		if v := r.judge(atMost); v.Measured || v.Held || v.verdict() != "not measured" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestJudgeWorst: a bound can be judged where a system does worst, and between two
// places of one system.
func TestJudgeWorst(t *testing.T) {
	r := &Result{}
	for x, pair := range map[float64][2]float64{1: {10, 10}, 2: {30, 10}, 3: {20, 5}} {
		for i, system := range []string{"ours", "theirs"} {
			r.Samples = append(r.Samples, Sample{Round: 1, Load: loadFill, System: system, X: x, Values: map[Metric]float64{PerEntry: pair[i]}})
		}
	}
	v := r.judge(Bound{Metric: PerEntry, Load: loadFill, Worst: true, System: "ours", Against: "theirs", AtMost: 1})
	if v.At != 2 || v.Middle != 3 {
		t.Errorf("judged at %v with ratio %v; it needs most at 2, with ratio 3", v.At, v.Middle)
	}
	v = r.judge(Bound{Metric: PerEntry, Load: loadFill, X: 3, AgainstX: 1, System: "ours", AtLeast: 0.8, AtMost: 1.2})
	if v.Middle != 2 || v.Held {
		t.Errorf("between two places: %+v", v)
	}
}

// TestJudgeAbsolute: a quantity itself can be bounded, and is shown in its unit.
func TestJudgeAbsolute(t *testing.T) {
	r := sampled(loadRead, 0, P50, map[string][]float64{"ours": {200, 240, 900}})
	for _, c := range []struct {
		bound            Bound
		held             bool
		limits, measured string
	}{
		{Bound{AtMost: 250}, true, "≤ 0.25 µs", "0.24 (0.2 to 0.9)"},
		{Bound{AtMost: 230}, false, "≤ 0.23 µs", "0.24 (0.2 to 0.9)"},
		{Bound{AtLeast: 1}, true, "≥ 0.001 µs", "0.24 (0.2 to 0.9)"},
	} {
		b := c.bound
		b.Metric, b.Load, b.System, b.Absolute = P50, loadRead, "ours", true
		v := r.judge(b)
		if !v.Measured || v.Held != c.held || v.limits() != c.limits || v.measured() != c.measured {
			t.Errorf("%s, measured %s: %+v", v.limits(), v.measured(), v)
		}
	}
}

// TestTurns: where systems are fresh each turn has its own; where they grow, a load is done
// with before the next one, and each series has systems of its own.
func TestTurns(t *testing.T) {
	e := Experiment{Loads: []Load{{Name: "a", X: 1}, {Name: "a", X: 2}, {Name: "b"}}}
	p := &Plan{Rounds: 2}
	order := func() (text string) {
		for _, turns := range e.series(p) {
			for _, turn := range turns {
				text += fmt.Sprint(turn.load.label(), "/", turn.round, " ")
			}
			text += "| "
		}
		return text
	}
	if got, want := order(), "a 1/1 a 2/1 b/1 a 1/2 a 2/2 b/2 | "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	e.Fresh = true
	if got, want := order(), "a 1/1 | a 2/1 | b/1 | a 1/2 | a 2/2 | b/2 | "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	e.Fresh, e.Grows, e.Rounds = false, true, 3
	if got, want := order(), "a 1/1 a 1/2 a 1/3 a 2/1 a 2/2 a 2/3 | b/1 b/2 b/3 | "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestReach: a system whose servers are another's starts none, and ends none.
func TestReach(t *testing.T) {
	owner := &target{system: System{Name: nameUnix}, socket: "/s"}
	r := &runner{}
	got, err := r.reach(t.Context(), System{Name: nameShm, Of: nameUnix, Way: "causalmesh:shm"}, "", []*target{owner})
	if err != nil || got.address != "causalmesh:shm:/s" || !got.borrowed || owner.borrowed || got.close() != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.reach(t.Context(), System{Name: nameShm, Of: nameUnix}, "", nil); !errors.Is(err, ErrServer) {
		t.Errorf("without its servers: %v", err)
	}
}

// TestWide: systems that have a load stand side by side, and its chart below.
func TestWide(t *testing.T) {
	r := sampled("size", 8, P50, map[string][]float64{"ours": {2000}, "theirs": {1000, 3000}})
	r.Samples = append(r.Samples, sampled("size", 4096, P50, map[string][]float64{"ours": {5000}}).Samples...)
	r.Experiment = "growing"
	e := Experiment{
		ID: "growing", Title: "Growing", Systems: []System{{Name: "ours"}, {Name: "none"}, {Name: "theirs"}},
		Tables: []Table{{Load: "size", X: "bytes", Columns: []Metric{P50, ServerCPU}, Wide: true}, {Load: "other", Columns: []Metric{P50}}},
		Charts: []Figure{{Name: "all", Caption: "last"}, {Name: "size", Caption: "first", Lines: &Lines{Load: "size"}}},
	}
	page := performance.renderOf(&Data{Format: format, Plan: Quick(), Results: []Result{*r}}, []Experiment{e})
	want := "|  | bytes | ours | theirs |\n|---|---|---|---|\n| p50, µs | 8 | 2 | 2 (1 to 3) |\n| p50, µs | 4,096 | 5 | – |\n\n![Growing: first]"
	if !strings.Contains(page, want) || strings.Count(page, "![Growing") != 2 {
		t.Errorf("the page does not say\n%s\nbut\n%s", want, page)
	}
}

// TestDataRoundTrip: what is written is read again, and has a line for each sample.
func TestDataRoundTrip(t *testing.T) {
	docs := t.TempDir()
	d := example()
	if err := performance.WriteData(docs, d); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(performance.folder(docs), dataName))
	if err != nil {
		t.Fatal(err)
	}
	samples := 0
	for _, r := range d.Results {
		samples += len(r.Samples)
	}
	if lines := regexp.MustCompile(`(?m)^ +\{"round":.*\},?$`).FindAll(text, -1); len(lines) != samples {
		t.Errorf("%d lines are samples, want %d:\n%s", len(lines), samples, text)
	}
	back, err := performance.ReadData(docs)
	if err != nil {
		t.Fatal(err)
	}
	if performance.render(back) != performance.render(d) {
		t.Error("what is read back makes another page")
	}
	if err := os.WriteFile(filepath.Join(performance.folder(docs), dataName), []byte(`{"format":0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := performance.ReadData(docs); err == nil || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("another format: %v", err)
	}
}

// example is data in which one bound is held and one is missed, and one system is not
// there.
func example() *Data {
	d := &Data{Format: format, Plan: Quick(), Results: []Result{
		*sampled(loadRead, 0, P50, map[string][]float64{nameMesh: {18e3, 19e3}, nameRedis: {20e3, 21e3}}),
		{Experiment: "io", Missing: map[string]string{"io_uring": "forbidden here"}, Loadgen: map[string]string{}, Samples: []Sample{}},
	}}
	writes := sampled(loadWrite, 0, P50, map[string][]float64{nameMesh: {50e3, 51e3}, nameRedis: {20e3, 21e3}})
	d.Results[0].Experiment = "latency"
	d.Results[0].Samples = append(d.Results[0].Samples, writes.Samples...)
	return d
}

// TestRender: the page says what was held, missed and not measured, and no number that
// is none.
func TestRender(t *testing.T) {
	page := performance.render(example())
	for _, want := range []string{
		"| [read p50, to a GET of Redis](#one-operation-at-a-time) | ≤ 1.00 | 0.90 (0.90 to 0.90) | **held** |",
		"| [write p50, to a SET of Redis](#one-operation-at-a-time) | ≤ 1.20 | 2.46 (2.43 to 2.50) | **missed** |",
		"| causalmesh | 18.5 (18 to 19) |",
		"**io_uring could not be measured here:** `forbidden here`",
		"](performance/latency.svg)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say: %s", want)
		}
	}
	if strings.Contains(page, "not quiet") {
		t.Error("the page says that a quiet machine was not")
	}
	disturbed := example()
	disturbed.Results[1].Others = 0.3
	if !strings.Contains(performance.render(disturbed), "used up to 30 % of its processors") {
		t.Error("the page does not say that others used the machine")
	}
	if regexp.MustCompile(`NaN|Inf|%!`).MatchString(page) {
		t.Errorf("the page has what is no number:\n%s", page)
	}
	if t.Failed() {
		t.Log(page)
	}
}

// TestExperiments: names are unique, and bounds, tables and charts speak of what is
// measured.
func TestExperiments(t *testing.T) {
	for _, p := range pages {
		testExperiments(t, p.Experiments(p.Full))
	}
}

func testExperiments(t *testing.T, experiments []Experiment) {
	seen := map[string]bool{}
	for _, e := range experiments {
		if seen[e.ID] {
			t.Errorf("%s: there are two", e.ID)
		}
		seen[e.ID] = true
		systems, loads, labels := map[string]bool{"": true}, map[string]bool{}, map[string]bool{}
		for _, s := range e.Systems {
			systems[s.Name] = true
		}
		for _, l := range e.Loads {
			if loads[l.Name] = true; labels[l.label()] {
				t.Errorf("%s: two loads are %s", e.ID, l.label())
			}
			labels[l.label()] = true
		}
		known := func(system, load string, metrics ...Metric) {
			if !systems[system] || !loads[load] {
				t.Errorf("%s: there is no %q or no %q", e.ID, system, load)
			}
			for _, m := range metrics {
				if _, found := quantities[m]; !found {
					t.Errorf("%s: nothing says how %s is shown", e.ID, m)
				}
			}
		}
		for _, b := range e.Bounds {
			known(b.System, b.Load, b.Metric)
			known(b.Against, b.Load)
			if b.AtLeast == 0 && b.AtMost == 0 || !b.Absolute && b.Against == "" && b.X == b.AgainstX {
				t.Errorf("%s: the bound on %s cannot fail", e.ID, b.Says)
			}
		}
		for _, table := range e.Tables {
			known(table.Against, table.Load, slices.Concat(table.Columns, table.Ratios, table.More)...)
			for _, s := range table.Systems {
				known(s, table.Load)
			}
		}
		for _, f := range e.Charts {
			for _, p := range f.Panels {
				known("", p.Load, p.Metric)
			}
			if f.Lines != nil {
				known("", f.Lines.Load, f.Lines.Metrics...)
			}
			if f.Stacks != nil {
				for i, s := range f.Stacks.Systems {
					known(s, f.Stacks.Loads[i%len(f.Stacks.Loads)], append(f.Stacks.Parts, f.Stacks.Total)...)
				}
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(1234567), "1,234,567"}, {grouped(999), "999"}, {grouped(-1000), "-1,000"}, {grouped(0), "0"},
		{ratioText(1), "1.00"}, {ratioText(0.5), "0.50"}, {ratioText(1.0004), "1.0004"}, {ratioText(0.999999), "0.999999"}, {ratioText(1.1), "1.10"}, {ratioText(0.1), "0.10"}, {ratioText(0.02), "0.02"}, {ratioText(0.02043), "0.0204"}, {ratioText(0.125), "0.125"}, {ratioText(12.345), "12.35"},
		{shortly(2), "2s"}, {shortly(61.4), "1m1s"}, {shortly(0.1), "100ms"}, {anchor("io_uring and the net package"), "io_uring-and-the-net-package"},
		{spread([]float64{1, 2, 3}, number), "2 (1 to 3)"}, {spread(nil, number), "–"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
