package main

import (
	"strings"
	"testing"
)

func observe(t *testing.T, output string) Outcome {
	t.Helper()
	var o Observer
	if err := readMessages(strings.NewReader(output), func(m Message) { o.Take(m) }); err != nil {
		t.Fatal(err)
	}
	return o.Outcome(0)
}

// Everything that TLC can say of a run is told apart.
func TestOutcome(t *testing.T) {
	for _, y := range toys {
		t.Run(y.name, func(t *testing.T) {
			c := y.parse()
			out := observe(t, y.output(t))
			if out.Kind != y.kind || !strings.HasPrefix(c.Words(&out), y.words) {
				t.Errorf("it is %d: %s, %q; want %d: %s", out.Kind, c.Words(&out), out.Reason, y.kind, y.words)
			}
			if !strings.Contains(out.Reason, y.reason) || (y.reason == "") != (out.Reason == "") {
				t.Errorf("the reason is %q, want %q", out.Reason, y.reason)
			}
			if c.Expected(&out) != (y.kind == Holds) {
				t.Error("it should be expected if it holds, and only then")
			}
			if out.Kind == Failed {
				return
			}
			got := out.Progress
			if c.Simulates() && out.Kind == Violated {
				got.Generated = 0 // it varies
			}
			if want := (Progress{Depth: y.depth, Generated: y.generated, Distinct: y.distinct, Queue: got.Queue}); got != want {
				t.Errorf("the counts are %+v, want %+v", got, want)
			}
			if steps := out.Counterexample.Steps(); steps != y.steps {
				t.Errorf("%d steps, want %d", steps, y.steps)
			}
		})
	}
}
