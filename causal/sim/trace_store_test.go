package sim

import (
	"testing"

	"causalmesh/causal"
)

// found counts what traces have, by description.
type found map[string]int

func (f found) note(what string, is bool) {
	if is {
		f[what]++
	}
}

func (f found) want(t *testing.T, list ...string) {
	t.Helper()
	for _, what := range list {
		if f[what] == 0 {
			t.Errorf("no trace has a %s", what)
		}
	}
}

// TestStoreTracesHaveAll: what is not in the traces TLC cannot refuse.
func TestStoreTracesHaveAll(t *testing.T) {
	r := &storeTracer{}
	for seed := range uint64(20) {
		r.runBegins(seed, causal.OneRound)
		runTraced(&traceModules[1], seed, causal.OneRound, r, nil)
	}
	f := found{}
	for _, trace := range r.traces {
		describeStore(trace, f)
	}
	f.want(t, "later epoch", "version of an earlier epoch", "tombstone", "late version", "late version at its home",
		"late version that gives way", "load amid a rise of S", "load that fails", "answer that comes too late",
		"flush that is late", "flush that changes nothing", "version that was flushed over", "tombstone that is dropped", "cut of many keys")
}

func describeStore(t *storeTrace, f found) {
	f.note("later epoch", t.epoch > 1)
	for i, e := range t.events {
		p := pastOf(t, i)
		before := p.entry(e.server, e.key)
		var next storeEvent
		if i+1 < len(t.events) {
			next = *t.events[i+1]
		}
		switch e.do {
		case causal.ActionWrite:
			f.note("tombstone", e.tombstone)
		case causal.ActionRead:
			f.note("version of an earlier epoch", e.dot.Origin == storeServers)
			f.note("cut of many keys", next.do == e.do && next.server == e.server && next.key != e.key)
		case actionRaise:
			for k, v := range e.after.entries {
				late := !v.complete && !v.dot.IsZero() && v != p.entry(e.server, k)
				f.note("late version", late)
				f.note("late version at its home", late && isHome(e.server, k))
			}
		case causal.ActionMiss:
			amid := next.do == actionRaise && next.server == e.server && i > 0 && t.events[i-1].do == actionRaise
			f.note("load amid a rise of S", amid)
		case causal.ActionInstallMiss, causal.ActionLoaded:
			f.note("late version that gives way", !before.dot.IsZero() && before.dot != e.after.entries[e.key].dot)
		case causal.ActionLoadFails:
			l := p.loads[loadOf{e.server, e.key}]
			f.note("load that fails", !l.answered)
			f.note("answer that comes too late", l.answered)
		case actionStoreUpwards:
			f.note("flush that is late", p.flushing[e.key] != e.dot)
			f.note("flush that changes nothing", e.stored == p.stored[e.key])
		case causal.ActionFlushed:
			f.note("version that was flushed over", !e.after.dirty[e.key].IsZero())
		case actionPurge:
			f.note("tombstone that is dropped", true)
		}
	}
}
