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
	untimed, handshakes := uint64(0), Operation{}
	for kind := range r.All.Operations {
		name, o := bpf.KindName(kind), &r.Part.Operations[kind]
		// What there was once stays, so that lines do not come and go.
		if name == "" || r.All.Operations[kind].Requests == 0 {
			continue
		}
		untimed += o.Untimed
		line := operationOf(name, o, r.Seconds)
		if kind == 0 {
			handshakes = line
			continue
		}
		n.Operations = append(n.Operations, line)
	}
	if handshakes.Name != "" { // the least interesting
		n.Operations = append(n.Operations, handshakes)
	}
	if r.All.WakeUp.Count > 0 {
		n.WakeUp = lineOf(wakeUp, &r.Part.WakeUp, r.Part.WakeUp.Count, r.Seconds)
	}
	if untimed > 0 {
		n.Notes = append(n.Notes, fmt.Sprintf("%d requests without times: they had come before the probes, or too many others before them", untimed))
	}
	l := r.All.Losses
	l.Outliers = 0 // They are for who reads them; figures lack nothing.
	if l != (bpf.Losses{}) {
		n.Notes = append(n.Notes, fmt.Sprintf("not followed since the probes are on: %d records, %d connections; %d runs of programs were left out",
			l.Unreadable, l.Connections, l.Missed))
	}
	return n
}

// wakeUp names the line of loops that wake up.
const wakeUp = "wake-up"

func operationOf(name string, o *bpf.Operation, seconds float64) Operation {
	d := lineOf(name, &o.Total, o.Requests, seconds)
	d.Queue, d.Service, d.Send = o.Queue.Mean(), o.Service.Mean(), o.Send.Mean()
	return d
}

// lineOf tells of n of something, which took as long as the histogram says.
func lineOf(name string, h *bpf.Histogram, n uint64, seconds float64) Operation {
	o := Operation{
		Name: name, Count: n, Rate: float64(n) / seconds, P50: h.Quantile(0.5), P99: h.Quantile(0.99), P999: h.Quantile(0.999),
	}
	// Buckets are finer than columns.
	h.Each(func(least, most, n uint64) { o.Spread[columnOf(least+(most-least)/2)] += n })
	return o
}
