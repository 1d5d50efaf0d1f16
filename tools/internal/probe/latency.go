package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"causalmesh/bpf"
)

// Latency is what the kernel has measured of a node's requests.
type Latency struct {
	Node       string      `json:"node"`
	PID        int         `json:"pid"`
	Seconds    float64     `json:"seconds"` // that were measured
	Operations []Operation `json:"operations"`
	// WakeUp is how long loops that waited took to run after there was something to do: a
	// part of the queue of those requests that woke them.
	WakeUp Times      `json:"wake_up_ns"`
	Losses bpf.Losses `json:"losses"`
}

// Operation is one kind of requests. Times are in ns.
type Operation struct {
	Name     string  `json:"operation"`
	Requests uint64  `json:"requests"` // answered
	Rate     float64 `json:"requests_per_second"`
	Untimed  uint64  `json:"untimed"` // of them: when they were received is not known
	Unready  uint64  `json:"unready"` // of the others: when they were ready is not known
	Queue    Times   `json:"queue_ns"`
	Service  Times   `json:"service_ns"`
	Send     Times   `json:"send_ns"`  // of replies that are taken whole
	Total    Times   `json:"total_ns"` // see bpf.Operation
}

// Times are a distribution, in ns.
type Times struct {
	Count uint64 `json:"count"`
	Mean  uint64 `json:"mean"`
	P50   uint64 `json:"p50"`
	P99   uint64 `json:"p99"`
	P999  uint64 `json:"p999"`
}

func timesOf(h *bpf.Histogram) Times {
	return Times{h.Count, h.Mean(), h.Quantile(0.5), h.Quantile(0.99), h.Quantile(0.999)}
}

// Read tells what was measured since the probes of nodes were attached; with an interval,
// of that long from now on.
func Read(ctx context.Context, root string, addresses []string, interval time.Duration) ([]Latency, error) {
	all := make([]reader, len(addresses))
	defer func() {
		for _, r := range all {
			if r.probes != nil {
				r.probes.Close()
			}
		}
	}()
	for i, address := range addresses {
		if err := all[i].begin(ctx, root, address, interval > 0); err != nil {
			return nil, err
		}
	}
	if interval > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(interval):
		}
	}
	latencies := make([]Latency, len(all))
	for i := range all {
		if err := all[i].end(&latencies[i]); err != nil {
			return nil, err
		}
	}
	return latencies, nil
}

// reader reads one node's probes.
type reader struct {
	target  bpf.Target
	probes  *bpf.Probes
	earlier *bpf.Snapshot // nil: everything counts
}

func (r *reader) begin(ctx context.Context, root, address string, fromNow bool) (err error) {
	if r.target, err = Find(ctx, address); err != nil {
		return err
	}
	if r.probes, err = bpf.OpenFor(root, r.target); err != nil {
		return needOn(err, &r.target, address)
	}
	if fromNow {
		r.earlier, err = r.probes.Snapshot()
	}
	return err
}

// needOn says what to do about probes that are off.
func needOn(err error, t *bpf.Target, address string) error {
	if errors.Is(err, bpf.ErrOff) {
		return fmt.Errorf("node %s: %w; meshctl probe on --admin %s", t.Node, err, address)
	}
	return err
}

func (r *reader) end(l *Latency) error {
	s, err := r.probes.Snapshot()
	if err != nil {
		return err
	}
	a, err := r.probes.About()
	if err != nil {
		return err
	}
	from := a.Attached
	if r.earlier != nil {
		from, s = r.earlier.At, s.Since(r.earlier)
	}
	*l = Latency{
		Node: r.target.Node, PID: a.PID, Seconds: (s.At - from).Seconds(), Losses: s.Losses, Operations: []Operation{}, WakeUp: timesOf(&s.WakeUp),
	}
	for kind := range s.Operations {
		o, name := &s.Operations[kind], bpf.KindName(kind)
		if name == "" || o.Requests == 0 {
			continue
		}
		l.Operations = append(l.Operations, Operation{
			Name: name, Requests: o.Requests, Rate: float64(o.Requests) / l.Seconds, Untimed: o.Untimed, Unready: o.Unready,
			Queue: timesOf(&o.Queue), Service: timesOf(&o.Service), Send: timesOf(&o.Send), Total: timesOf(&o.Total),
		})
	}
	return nil
}

// WriteLatency writes a line for each operation of each node, with times in µs.
func WriteLatency(w io.Writer, all []Latency) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\t\t\tTOTAL µs\t\t\tQUEUE µs\t\tSERVICE µs\t\tSEND µs\t\t")
	fmt.Fprintln(t, "NODE\tOPERATION\tREQUESTS\tPER SECOND\tp50\tp99\tp99.9\tp50\tp99\tp50\tp99\tp50\tp99\t")
	var notes []string
	for _, l := range all {
		untimed := uint64(0)
		for _, o := range l.Operations {
			untimed += o.Untimed
			fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%s\t\n", l.Node, o.Name, o.Requests, o.Rate,
				columns(&o.Total), slowest(&o.Total), columns(&o.Queue), columns(&o.Service), columns(&o.Send))
		}
		if len(l.Operations) == 0 {
			fmt.Fprintf(t, "%s\t-\t0\t0\t-\t-\t-\t-\t-\t-\t-\t-\t-\t\n", l.Node)
		}
		if w := &l.WakeUp; w.Count > 0 {
			notes = append(notes, fmt.Sprintf("node %s: of the queue, waking up a loop that waits: p50 %s µs, p99 %s µs, p99.9 %s µs",
				l.Node, micros(w.P50), micros(w.P99), micros(w.P999)))
		}
		if untimed > 0 {
			notes = append(notes, fmt.Sprintf("node %s: %d requests are counted, but had come before the probes, or too many others before them", l.Node, untimed))
		}
		if l.Losses != (bpf.Losses{}) {
			notes = append(notes, fmt.Sprintf("node %s: not followed: %d records, %d connections; %d outliers nobody read; %d runs of programs were left out",
				l.Node, l.Losses.Unreadable, l.Losses.Connections, l.Losses.Outliers, l.Losses.Missed))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
	return nil
}

// columns are the median and the 99th percentile of a part, in µs.
func columns(t *Times) string {
	if t.Count == 0 {
		return "-\t-"
	}
	return micros(t.P50) + "\t" + micros(t.P99)
}

func slowest(t *Times) string {
	if t.Count == 0 {
		return "-"
	}
	return micros(t.P999)
}

func micros(ns uint64) string { return fmt.Sprintf("%.1f", float64(ns)/1000) }
