package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"causalmesh/causal"
)

// event is a step in a trace: of a model's action, by its name.
type event interface {
	action() causal.Action
	record(times tlaTimes) tlaRecord
}

// trace is what happened in one epoch of one run.
type trace[E event] struct {
	seed   uint64
	mode   causal.Propagation
	epoch  causal.Epoch
	times  tlaTimes
	events []E
}

func (t *trace[E]) add(e E) { t.events = append(t.events, e) }

func (t *trace[E]) text(number int) string {
	lines := make([]string, len(t.events))
	for i, e := range t.events {
		lines[i] = fmt.Sprintf("(* trace %d at %d *) %s", number, i+1, e.record(t.times))
	}
	var r tlaRecord
	r.put("seed", tlaString(strconv.FormatUint(t.seed, 10))) // TLC's integers are short
	r.put("propagation", tlaString(t.mode.String()))
	r.put("epoch", tlaInt(t.epoch))
	r.put("events", tlaLines(lines))
	return r.String()
}

// traceSet collects the traces of a module.
type traceSet[E event] struct {
	seed   uint64
	mode   causal.Propagation
	traces []*trace[E]
}

func (s *traceSet[E]) runBegins(seed uint64, mode causal.Propagation) { s.seed, s.mode = seed, mode }

// begin begins the trace of an epoch.
func (s *traceSet[E]) begin(epoch causal.Epoch) *trace[E] {
	t := &trace[E]{seed: s.seed, mode: s.mode, epoch: epoch, times: tlaTimes{}}
	s.traces = append(s.traces, t)
	return t
}

// of returns the traces of a mode.
func (s *traceSet[E]) of(mode causal.Propagation) (list []*trace[E]) {
	for _, t := range s.traces {
		if t.mode == mode {
			list = append(list, t)
		}
	}
	return list
}

// mutation makes one step of a good trace wrong, in a way that the model forbids, or
// takes another step in its place that is not possible there.
type mutation[E event] struct {
	action causal.Action // of the step that is there; any if empty
	why    string
	// make returns the wrong step in the place of event i, or false if that one does
	// not lend itself to it. It must not change the event.
	make func(t *trace[E], i int) (E, bool)
}

// mutantsEach is how many traces show each mutation, if so many can.
const mutantsEach = 3

// mutants applies each mutation to the first events that it fits, in different traces.
// All that it mutates must occur, and all that occurs is mutated.
func (s *traceSet[E]) mutants(mode causal.Propagation, mutations []mutation[E]) ([]string, error) {
	missing := map[causal.Action]bool{}
	for _, t := range s.of(mode) {
		for _, e := range t.events {
			missing[e.action()] = true
		}
	}
	var list []string
	for _, m := range mutations {
		made := 0
		for i := 0; i < len(s.traces) && made < mutantsEach; i++ {
			if s.traces[i].mode == mode {
				if text, wrong := s.mutant(i, &m); text != "" {
					delete(missing, wrong)
					list = append(list, text)
					made++
				}
			}
		}
		if made == 0 {
			return nil, fmt.Errorf("no %v run of these seeds has a step %s that could be mutated so: %s; try more seeds", mode, m.action, m.why)
		}
	}
	for a := range missing {
		return nil, fmt.Errorf("%v: a step %s has no mutation", mode, a)
	}
	return list, nil
}

// mutant applies a mutation to the i-th trace, and says which action comes out wrong.
func (s *traceSet[E]) mutant(i int, m *mutation[E]) (string, causal.Action) {
	t := s.traces[i]
	for at, e := range t.events {
		if m.action != "" && m.action != e.action() {
			continue
		}
		if wrong, ok := m.make(t, at); ok {
			var r tlaRecord
			r.put("trace", tlaInt(i+1))
			r.put("at", tlaInt(at+1))
			r.put("why", tlaString(m.why))
			r.put("event", wrong.record(t.times).String())
			return r.String(), wrong.action()
		}
	}
	return "", ""
}

// module is what a trace specification needs: Traces, Mutants, and more.
func (s *traceSet[E]) module(name string, mutations func(causal.Propagation) []mutation[E], more ...tlaDefinition) (string, error) {
	var traces, mutants []string
	modes := map[causal.Propagation]bool{}
	for i, t := range s.traces {
		t.times.rank()
		traces = append(traces, t.text(i+1))
		modes[t.mode] = true
	}
	for _, mode := range slices.Sorted(maps.Keys(modes)) {
		list, err := s.mutants(mode, mutations(mode))
		if err != nil {
			return "", err
		}
		mutants = append(mutants, list...)
	}
	definitions := append([]tlaDefinition{{"Traces", tlaLines(traces)}, {"Mutants", tlaLines(mutants)}}, more...)
	return tlaModule(name, "What the real core did in runs of its simulator: made by simulate -tla.", definitions...), nil
}
