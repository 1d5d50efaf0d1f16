package sim

import (
	"testing"

	"causalmesh/causal"
)

// TestReaderTracesHaveAll: what is not in the traces TLC cannot refuse.
func TestReaderTracesHaveAll(t *testing.T) {
	r := &readerTracer{}
	for seed := range uint64(20) {
		r.runBegins(seed, causal.OneRound)
		runTraced(&traceModules[2], seed, causal.OneRound, r, nil)
	}
	f := found{}
	for _, trace := range r.traces {
		describeReader(trace, f)
	}
	f.want(t, "read of many keys", "read that goes on while the writer puts", "value of an older S", "value that is too new",
		"slot with nothing", "slot that is absent", "slot that is being written", "late version", "version below another",
		"load of an older S", "load with a new S")
}

func describeReader(t *readerTrace, f found) {
	reading, putting := false, false
	for i, e := range t.events {
		p := pastOfReader(t, i)
		switch e.do {
		case actionPut:
			putting = true
			f.note("read that goes on while the writer puts", reading)
			f.note("late version", e.table.slots[e.key] == noDot)
			f.note("version below another", e.table.slots[e.key] != e.dot && e.table.slots[e.key] != noDot)
		case actionLoad:
			f.note("load with a new S", !p.stable.Equal(p.table.published))
			f.note("load of an older S", p.stable.Equal(p.table.published))
		case actionPublish:
			putting = false
		case actionDirectReadSlot:
			f.note("value of an older S", e.read.stage == readerDone && putting)
			f.note("value that is too new", e.read.stage == readerIdle && e.dot != noDot)
			f.note("slot with nothing", e.dot == noDot)
			f.note("slot that is absent", e.dot == causal.Dot{})
			f.note("read of many keys", len(e.read.got) > 1)
		case actionGiveUp:
			f.note("slot that is being written", true)
		}
		if e.read != nil {
			reading = e.read.stage == readerReading
		}
	}
}
