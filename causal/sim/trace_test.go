package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// TestTraces makes the modules that the trace specifications are given, and reads them
// as far as that goes without TLC.
func TestTraces(t *testing.T) {
	modules, err := Traces(0, 20)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Traces(0, 20)
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) != len(traceModules) {
		t.Fatalf("%d modules, want %d", len(modules), len(traceModules))
	}
	for i, m := range modules {
		if again[i] != m {
			t.Errorf("%s differs when it is made again", m.Name)
		}
		if !strings.HasPrefix(m.Text, "---- MODULE "+m.Name+" ----\n") || !strings.HasSuffix(m.Text, "\n====\n") {
			t.Errorf("%s is no module", m.Name)
		}
		if err := balanced(m.Text); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		checkMutants(t, m)
	}
}

// balanced holds brackets of all kinds against each other.
func balanced(text string) error {
	closing := map[string]string{"<<": ">>", "{": "}", "[": "]", "(*": "*)"}
	var open []string
	for n, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, `\*`) {
			continue
		}
		for _, b := range bracket.FindAllString(line, -1) {
			switch {
			case b[0] == '"':
			case closing[b] != "":
				open = append(open, b)
			case len(open) == 0 || closing[open[len(open)-1]] != b:
				return fmt.Errorf("line %d: %s closes nothing", n+1, b)
			default:
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%s is left open", open[len(open)-1])
	}
	return nil
}

var (
	bracket    = regexp.MustCompile(`"(\\.|[^"\\])*"|<<|>>|\(\*|\*\)|[][{}]`)
	stepLine   = regexp.MustCompile(`^\(\* trace (\d+ at \d+) \*\) \[do \|-> "(\w+)"`)
	mutantLine = regexp.MustCompile(`^\[trace \|-> (\d+), at \|-> (\d+), why \|-> "[^"]+", event \|-> (\[do \|-> "(\w+)".*\])\],?$`)
)

// checkMutants: each stands in the place of a step of a trace, and is another one.
func checkMutants(t *testing.T, m TraceModule) {
	steps, actions, mutated := map[string]string{}, map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(m.Text) {
		line = strings.TrimSuffix(line, "\n")
		if s := stepLine.FindStringSubmatch(line); s != nil {
			steps[s[1]] = line
			actions[s[2]] = true
		}
		s := mutantLine.FindStringSubmatch(line)
		if s == nil {
			continue
		}
		mutated[s[4]] = true
		step := steps[s[1]+" at "+s[2]]
		if step == "" {
			t.Errorf("%s: no step is in the place of %s", m.Name, s[3])
		}
		if strings.Contains(step, strings.TrimSuffix(s[3], "]")) {
			t.Errorf("%s: nothing is wrong with %s in the place of %s", m.Name, s[3], step)
		}
	}
	for a := range actions {
		if !mutated[a] {
			t.Errorf("%s: no mutant of a step %s", m.Name, a)
		}
	}
	if len(steps) == 0 {
		t.Errorf("%s has no steps", m.Name)
	}
}

// runTraced makes a run as the traces of a module have it.
func runTraced(m *traceModule, seed uint64, mode causal.Propagation, tr tracer, trace func(string, ...any)) Result {
	r := Runner{Options: Options{Propagation: mode, Trace: trace}}
	rng := newRand(seed)
	p := m.plan(&r, rng)
	p.cfg.tracer = tr
	return r.run(seed, p, rng)
}

// TestTracerOnlyLooksOn: a run is the same with and without one.
func TestTracerOnlyLooksOn(t *testing.T) {
	for _, m := range traceModules {
		for seed := range uint64(40) {
			lines := func(tr tracer) (lines []string) {
				runTraced(&m, seed, modes[seed%2], tr, func(format string, args ...any) {
					lines = append(lines, fmt.Sprintf(format, args...))
				})
				return lines
			}
			with, without := lines(m.new()), lines(nil)
			if len(without) == 0 || !slices.Equal(with, without) {
				t.Errorf("%s, seed %d: a tracer makes it another run", m.name, seed)
			}
		}
	}
}

// TestRingTracesHaveAll: what is not in the traces TLC cannot refuse.
func TestRingTracesHaveAll(t *testing.T) {
	for _, mode := range modes {
		r := &ringTracer{}
		for seed := range uint64(20) {
			r.runBegins(seed, mode)
			runTraced(&traceModules[0], seed, mode, r, nil)
		}
		if _, err := r.module("RingTraces"); err != nil {
			t.Fatal(err)
		}
		found := map[string]int{}
		for _, trace := range r.traces {
			describe(trace, found)
		}
		for _, what := range []string{
			"later epoch", "dependency", "own write read", "nothing read", "resumed link", "version sent again",
			"write of a server's own", "write by a hand", "hand joined", "joins with writes in flight",
		} {
			if found[what] == 0 {
				t.Errorf("%v: no trace has a %s", mode, what)
			}
		}
	}
}

// describe counts what a trace has.
func describe(t *ringTrace, found map[string]int) {
	first := map[*ringSession]causal.Action{}
	sent := make([]causal.VectorClock, ringServers)
	for _, e := range t.events {
		note := func(what string, is bool) {
			if is {
				found[what]++
			}
		}
		note("later epoch", t.epoch > 1)
		switch e.do {
		case causal.ActionRead:
			note("own write read", e.known != nil && slices.Contains(e.known.own, e.dot))
			note("nothing read", e.dot.IsZero())
		case causal.ActionWrite:
			note("dependency", len(e.deps) > 0)
			note("write of a server's own", first[e.by] == "" && e.known == nil && len(e.deps) == 0)
			note("write by a hand", first[e.by] == actionJoins)
		case actionJoins:
			note("hand joined", first[e.by] != "" && first[e.with] == actionJoins)
			note("joins with writes in flight", e.known != nil && len(e.known.own) > 0)
		case causal.ActionSend:
			note("version sent again", !e.mark && sent[e.server].Covers(e.dot))
			if !e.mark {
				sent[e.server] = sent[e.server].Add(e.dot)
			}
		case causal.ActionResync:
			note("resumed link", e.vector.Covers(causal.Dot{Origin: e.server, Counter: 1}))
		}
		if e.by != nil && first[e.by] == "" {
			first[e.by] = e.do
		}
	}
}

// TestRingSessions: by whom an operation is, in the model.
func TestRingSessions(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, a, b *client)
		want string
	}{
		{"a reply that is taken", func(w *world, a, _ *client) {
			w.begin(a, w.nodes[0], causal.OpWrite, []int{0}, 0)
			w.arrive(a)
			w.finish(a)
		}, "Write 1, Sync 1"},
		{"a write that is lost", func(w *world, a, _ *client) {
			w.begin(a, w.nodes[0], causal.OpWrite, []int{0}, 0)
			w.arrive(a)
			w.giveUp(a)
		}, "Joins 1 2, Write 1, Sync 3"},
		{"a write that is made again", func(w *world, a, _ *client) {
			w.begin(a, w.nodes[0], causal.OpWrite, []int{0}, 0)
			w.arrive(a)
			a.stage = sent
			w.arrive(a)
			w.finish(a)
		}, "Joins 1 2, Write 1, Sync 3, Sync 1, Joins 2 1"},
		{"a read that is lost, and made again", func(w *world, a, _ *client) {
			w.begin(a, w.nodes[0], causal.OpReadMany, []int{0, 1}, 0)
			w.arrive(a)
			a.stage = sent
			w.arrive(a)
			w.finish(a)
		}, "Read 1, Read 1, Read 2, Read 2"},
		{"a session that is looked at meanwhile", func(w *world, a, b *client) {
			w.begin(a, w.nodes[0], causal.OpSync, nil, 0)
			w.arrive(a)
			w.join(b, a)
			w.finish(a)
		}, "Joins 1 2, Sync 1, Joins 3 2, Joins 2 1"},
		{"a session that is looked at before", func(w *world, a, b *client) {
			w.begin(a, w.nodes[0], causal.OpSync, nil, 0)
			w.join(b, a)
			w.arrive(a)
			w.finish(a)
		}, "Joins 1 2, Sync 2"},
	} {
		var history check.History
		r := &ringTracer{}
		w := newWorld(Config{Servers: ringServers, Keys: 2, tracer: r}, nil, &history)
		links := len(r.trace.events)
		c.do(w, w.addClient("a"), w.addClient("b"))
		events := slices.DeleteFunc(r.trace.events[links:], func(e *ringEvent) bool { return e.unused })
		numberSessions(events)
		var got []string
		for _, e := range events {
			step := fmt.Sprintf("%s %d", e.do, e.by.number)
			if e.with != nil {
				step += fmt.Sprintf(" %d", e.with.number)
			}
			got = append(got, step)
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTLAText(t *testing.T) {
	times := tlaTimes{}
	times.note(700, 5, 1<<60, 5)
	times.rank()
	var r tlaRecord
	r.put("key", tlaString(`a"b\c`))
	r.put("v", tlaVector(causal.VectorClock{7}, 3))
	r.put("dots", tlaDots([]causal.Dot{{Origin: 1, Counter: 2}, {}}))
	r.put("time", tlaInt(times[1<<60]))
	r.put("gone", tlaBool(true))
	got := tlaModule("M", "One\ntwo", tlaDefinition{"X", tlaLines([]string{r.String()})}, tlaDefinition{"None", tlaLines(nil)})
	want := `---- MODULE M ----
\* One
\* two

X ==
<<
[key |-> "a\"b\\c", v |-> <<7, 0, 0>>, dots |-> {<<1, 2>>, <<0, 0>>}, time |-> 3, gone |-> TRUE]
>>

None ==
<<>>
====
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
