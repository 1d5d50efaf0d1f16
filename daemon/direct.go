package daemon

import (
	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
	"causalmesh/ring/table"
)

// directTries is how often a read beside the writer starts before the core is asked.
const directTries = 3

// directReader reads the table without the core: the way of nearly all reads.
type directReader struct {
	table  *table.Table
	reader *table.Reader
	read   causal.DirectRead
	reply  causal.Reply
}

// answer answers a read from the table; false if only the core can. It decides nothing
// that the core would decide otherwise: what is over a limit, of another epoch or ahead
// of the table goes there.
func (f *front) answer(r *causal.Request, out *ring.Outgoing) bool {
	state, d := f.state.Load(), &f.direct
	if r.Op != causal.OpRead && r.Op != causal.OpReadMany || state.table == nil ||
		r.Epoch != 0 && r.Epoch != state.epoch || len(r.Keys) == 0 || len(r.Keys) > f.limits.BatchKeys {
		return false
	}
	if r.Op == causal.OpRead && len(r.Keys) > 1 || r.Time > f.now.Add(f.limits.ClockSkew) || len(r.Known) > f.limits.Branches {
		return false
	}
	if d.table != state.table {
		d.table, d.reader = state.table, state.table.NewReader()
	}
	d.read.Known, d.read.Epoch, d.read.Keys, d.read.Tries = r.Known, state.epoch, r.Keys, directTries
	d.read.Begin()
	for outcome := causal.DirectAgain; outcome != causal.DirectDone; {
		if outcome = d.read.Step(d.reader); outcome == causal.DirectFallback {
			return false
		}
	}
	if r.Op == causal.OpReadMany && bytesOf(d.read.Versions) > f.limits.BatchBytes {
		return false
	}
	a := &d.reply // all but these fields stay zero
	a.ID, a.Op, a.Epoch, a.Stability, a.Time, a.Versions = r.ID, r.Op, state.epoch, d.read.Stability, r.Time, d.read.Versions
	out.Bytes = wire.AppendReply(out.Bytes, a, r.Known)
	out.Answers[kindOf(r.Op)]++
	f.counters.DirectReads++
	return true
}

func bytesOf(versions []causal.Version) (n int) {
	for i := range versions {
		n += len(versions[i].Key) + len(versions[i].Value)
	}
	return n
}
