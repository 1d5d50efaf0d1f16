package sim

import (
	"fmt"
	"math/rand/v2"

	"causalmesh/causal"
)

// tracer is told what happens in a world, in order, in the words of the models (tla/).
// It only looks on: a run is the same with and without one.
type tracer interface {
	// epochBegins: the world has fresh servers; sessions of before are gone.
	epochBegins(w *world)
	// took: a server has taken a step of a model, and is in the state to which that
	// leads.
	took(n *node, t *causal.Transition)
	// shown: what the writer did to the table has come into view of others.
	shown(n *node, s *tableStep)

	// A session begins an operation (its context is still as before) …
	begins(c *client)
	// … which arrives at the server, perhaps not for the first time …
	arrives(c *client)
	// … which replies, perhaps more than once; the client may wait for it no more …
	replied(n *node, to causal.ClientID, r *causal.Reply, awaited bool)
	// … and the session has taken the reply, or will never have one.
	finished(c *client, versions []causal.Version)
	gaveUp(c *client)
	// joined: c has merged what b knows; one that has just branched off is one that
	// joins. b may have an operation under way.
	joined(c, b *client)
	// readBeside: a direct read took a step.
	readBeside(c *client, outcome causal.DirectOutcome)

	// The database has carried out a load (the result is in q), or a flush.
	lookedUp(q *dbRequest)
	stored(q *dbRequest, r *causal.FlushResult)
	// answers: its answer is about to reach the server, which takes it for a failure if
	// it is lost; if q was never carried out it has neither loaded nor done.
	answers(q *dbRequest, lost bool)
	// foreign: another program has written a value, or removed what was there (nil).
	foreign(key string, value []byte)
	// purged: a tombstone's grace is over.
	purged(key string)
}

// deaf is a tracer to whom nobody needs to listen. Others embed it.
type deaf struct{}

func (deaf) epochBegins(*world)                                  {}
func (deaf) took(*node, *causal.Transition)                      {}
func (deaf) shown(*node, *tableStep)                             {}
func (deaf) begins(*client)                                      {}
func (deaf) arrives(*client)                                     {}
func (deaf) replied(*node, causal.ClientID, *causal.Reply, bool) {}
func (deaf) finished(*client, []causal.Version)                  {}
func (deaf) gaveUp(*client)                                      {}
func (deaf) joined(*client, *client)                             {}
func (deaf) readBeside(*client, causal.DirectOutcome)            {}
func (deaf) lookedUp(*dbRequest)                                 {}
func (deaf) stored(*dbRequest, *causal.FlushResult)              {}
func (deaf) answers(*dbRequest, bool)                            {}
func (deaf) foreign(string, []byte)                              {}
func (deaf) purged(string)                                       {}

// TraceModule is a TLA+ module with what the real core did in some runs, and with
// mutants of that. The model of the same name, with Trace for Traces, says which
// behaviours are allowed: it has to allow all of these and none of the mutants.
type TraceModule struct{ Name, Text string }

// moduleTracer makes such a module.
type moduleTracer interface {
	tracer
	// runBegins: what it is told from now on is of this run.
	runBegins(seed uint64, mode causal.Propagation)
	// module ends the last run. The error says which step of the model no run has
	// taken.
	module(name string) (string, error)
}

// traceModule says of which runs a module is made.
type traceModule struct {
	name  string
	plan  func(r *Runner, rng *rand.Rand) plan
	new   func() moduleTracer
	modes []causal.Propagation
}

var traceModules = []traceModule{
	{"RingTraces", ringPlan, newRingTracer, []causal.Propagation{causal.OneRound, causal.TwoRound}},
	{"StoreTraces", storePlan, newStoreTracer, []causal.Propagation{causal.OneRound, causal.TwoRound}},
	{"ReaderTraces", readerPlan, newReaderTracer, []causal.Propagation{causal.OneRound, causal.TwoRound}},
}

// Traces makes the modules of seeds from, from+1, …
func Traces(from, seeds uint64) ([]TraceModule, error) {
	var modules []TraceModule
	for _, m := range traceModules {
		text, err := m.text(from, seeds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		modules = append(modules, TraceModule{m.name, text})
	}
	return modules, nil
}

func (m *traceModule) text(from, seeds uint64) (string, error) {
	t := m.new()
	for _, mode := range m.modes {
		r := Runner{Options: Options{Propagation: mode}}
		for seed := from; seed < from+seeds; seed++ {
			rng := newRand(seed)
			p := m.plan(&r, rng)
			p.cfg.tracer = t
			t.runBegins(seed, mode)
			if res := r.run(seed, p, rng); !res.OK() {
				return "", fmt.Errorf("%v: %s", mode, res.String())
			}
		}
	}
	return t.module(m.name)
}
