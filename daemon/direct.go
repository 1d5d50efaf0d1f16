package daemon

import (
	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
	"causalmesh/ring/table"
)

// directTries is how often a read beside the writer starts before the core is asked.
const directTries = 3

// maxAhead is how many requests are decoded before the first of them is answered.
const maxAhead = 16

// arrival is a request that was decoded. It refers to the bytes that came.
type arrival struct {
	request causal.Request
	body    []byte // of its frame
	end     int    // of its frame, in the bytes
	ahead   table.Ahead
}

// lookAhead decodes the first requests in data and has the processor fetch what they
// will read, all at once: most of the time of a read is waiting for memory otherwise.
// An error says what stands behind the requests that it returns.
func (f *front) lookAhead(data []byte) (requests []arrival, err error) {
	n, at := 0, 0
	for ; n < maxAhead; n++ {
		body, rest, bad := wire.Next(data[at:], f.requestBytes)
		if err = bad; err != nil || body == nil {
			break
		}
		q := &f.ahead[n]
		if err = wire.DecodeRequest(body, &q.request); err != nil {
			break
		}
		at = len(data) - len(rest)
		q.body, q.end = body, at
	}
	requests = f.ahead[:n]
	if r := f.tableReader(f.state.Load()); r != nil && n > 1 {
		for i := range requests {
			if q := &requests[i]; len(q.request.Keys) > 0 {
				r.Approach(q.request.Keys[0], &q.ahead)
			}
		}
		for i := range requests {
			if q := &requests[i]; len(q.request.Keys) > 0 {
				r.Reach(&q.ahead)
			}
		}
	}
	return requests, err
}

// tableReader reads the node's table, nil before there is one.
func (f *front) tableReader(state *nodeState) *table.Reader {
	d := &f.direct
	if t := state.table; d.table != t {
		if d.table, d.reader = t, nil; t != nil {
			d.reader = t.NewReader()
		}
	}
	return d.reader
}

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
	if r.Op != causal.OpRead && r.Op != causal.OpReadMany || f.tableReader(state) == nil ||
		r.Epoch != 0 && r.Epoch != state.epoch || len(r.Keys) == 0 || len(r.Keys) > f.limits.BatchKeys {
		return false
	}
	if r.Op == causal.OpRead && len(r.Keys) > 1 || r.Time > f.now.Add(f.limits.ClockSkew) || len(r.Known) > f.limits.Branches {
		return false
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
	count(out, r)
	f.counters.DirectReads++
	return true
}

func bytesOf(versions []causal.Version) (n int) {
	for i := range versions {
		n += len(versions[i].Key) + len(versions[i].Value)
	}
	return n
}
