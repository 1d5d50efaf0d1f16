package top

import (
	"fmt"
	"time"

	"causalmesh/bpf"
	"causalmesh/tools/internal/probe"
)

// take shows readings.
func (s *State) take(readings []probe.Reading, at time.Time) {
	s.At = at
	s.Nodes = make([]Node, len(readings))
	for i := range readings {
		s.Nodes[i] = digest(&readings[i])
	}
}

func digest(r *probe.Reading) Node {
	n := Node{
		Address: r.Address, Name: r.Node, PID: r.PID, Epoch: r.Epoch, Ring: r.Ring, State: r.State,
		Restarted: r.Restarted, Silent: r.Silent, Rate: r.Rate, Seconds: r.Seconds,
	}
	if r.Why != "" {
		n.Notes = append(n.Notes, r.Why)
	}
	if r.Err != nil {
		n.Notes = append(n.Notes, r.Err.Error())
		return n
	}
	if r.Part == nil {
		n.Notes = append(n.Notes, "probes are on; figures come with the next reading")
		return n
	}
	untimed := uint64(0)
	for kind := range r.All.Operations {
		name, o := bpf.KindName(kind), &r.Part.Operations[kind]
		// What there was once stays, so that lines do not come and go.
		if name == "" || r.All.Operations[kind].Requests == 0 {
			continue
		}
		untimed += o.Untimed
		n.Operations = append(n.Operations, operationOf(name, o, r.Seconds))
	}
	if untimed > 0 {
		n.Notes = append(n.Notes, fmt.Sprintf("%d requests without times: they had come before the probes, or too many others before them", untimed))
	}
	if l := r.All.Losses; l != (bpf.Losses{}) {
		n.Notes = append(n.Notes, fmt.Sprintf("not followed since the probes are on: %d records, %d connections; %d runs of programs were left out",
			l.Unreadable, l.Connections, l.Missed))
	}
	return n
}

func operationOf(name string, o *bpf.Operation, seconds float64) Operation {
	whole := &o.Service
	d := Operation{
		Name: name, Count: o.Requests, Rate: float64(o.Requests) / seconds,
		P50: whole.Quantile(0.5), P99: whole.Quantile(0.99), P999: whole.Quantile(0.999),
		Queue: o.Queue.Mean(), Service: o.Service.Mean(),
	}
	d.Spread.add(whole)
	return d
}

// add adds a histogram. Its buckets are finer than columns.
func (s *Spread) add(h *bpf.Histogram) {
	h.Each(func(least, most, n uint64) { s[columnOf(least+(most-least)/2)] += n })
}
