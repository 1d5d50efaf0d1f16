package load

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the result of a load. The fields up to BytesReceived are what other
// programs build upon; the rest tells how they came about.
type Report struct {
	Ops        int64     `json:"ops"` // that succeeded
	Errors     int64     `json:"errors"`
	Throughput float64   `json:"throughput_ops"` // per second
	Latency    Latencies `json:"latency_ns"`
	// ServerCPU is user and system time; null without server processes.
	ServerCPU *float64 `json:"server_cpu_us_per_op"`
	ClientCPU float64  `json:"client_cpu_us_per_op"` // of this generator
	// The latencies of reads and of writes; null if there were none.
	ReadLatency  *Latencies `json:"read_latency_ns"`
	WriteLatency *Latencies `json:"write_latency_ns"`
	// Bytes of requests and of replies, null where the client library has the socket.
	BytesSent     *float64 `json:"bytes_sent_per_op"`
	BytesReceived *float64 `json:"bytes_received_per_op"`

	Reads    int64   `json:"reads"`
	Absent   int64   `json:"reads_absent"` // reads that found nothing
	Writes   int64   `json:"writes"`
	Unserved int64   `json:"unserved"`   // due, and begun by nobody
	Seconds  float64 `json:"measured_s"` // less than the duration if the load was stopped
	// Lag is how late free sessions began what was due; null in a closed loop.
	Lag *Latencies `json:"schedule_lag_ns"`
	// OwnWrites is null but for sessions of causalmesh that read.
	OwnWrites  *OwnWrites `json:"own_writes"`
	FirstError string     `json:"first_error,omitempty"`
	Load       Load       `json:"load"`
}

// Latencies are a mean and percentiles in nanoseconds, exact to three digits: of operations, or of
// the means of runs of them if the load has runs.
type Latencies struct {
	Mean int64 `json:"mean"`
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
	Max  int64 `json:"max"`
}

// OwnWrites tells how many own writes sessions had in flight, per read.
type OwnWrites struct {
	AtBegin float64 `json:"in_flight_at_begin"` // when the request was sent
	AtEnd   float64 `json:"in_flight_at_end"`   // when its reply had been taken in
	// Prepared counts the requests, all told, that brought them into flight. They are
	// in no latency and no throughput, but CPU time is per request, with them.
	Prepared int64 `json:"prepared"`
}

// Load repeats what was asked for.
type Load struct {
	Targets      []string `json:"targets"`
	Conns        int      `json:"conns"`
	Depth        int      `json:"depth"`
	Threads      int      `json:"threads"`
	Roam         float64  `json:"roam"`
	ReadRatio    float64  `json:"read_ratio"`
	Keys         int      `json:"keys"`
	Distribution string   `json:"dist"`
	ValueBytes   int      `json:"value_bytes"`
	Rate         float64  `json:"rate_ops"` // 0: closed loop
	WarmUp       float64  `json:"warmup_s"`
	Preload      bool     `json:"preload"`
	Past         int      `json:"past"`
	OwnWrites    int      `json:"own_writes"`
	Unjoined     bool     `json:"unjoined"`
	Run          int      `json:"run"` // operations for each sample of latency
	Seed         uint64   `json:"seed"`
}

// saturated is the share of unserved operations from which on a report warns. A few
// are due just before the end in any run.
const saturated = 0.01

// percentiles returns nil if there are none.
func percentiles(h *hdrhistogram.Histogram) *Latencies {
	if h.TotalCount() == 0 {
		return nil
	}
	return &Latencies{
		Mean: int64(h.Mean()), P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99),
		P999: h.ValueAtQuantile(99.9), Max: h.Max(),
	}
}

// report is called when all sessions have ended.
func (r *run) report(m *meter) (*Report, error) {
	o, t := r.o, r.tally()
	window := r.end() - o.WarmUp
	if window <= 0 {
		return nil, fmt.Errorf("%w: the load was stopped during its warm-up", ErrNothingMeasured)
	}
	ops := t.counts.done()
	if ops == 0 && t.counts.errors > 0 {
		return nil, fmt.Errorf("%w: all of %d operations failed, the first with: %w", ErrNothingMeasured, t.counts.errors, t.firstError)
	}
	if ops == 0 {
		return nil, fmt.Errorf("%w: no operation began within the measured %v; use a longer --duration", ErrNothingMeasured, window)
	}
	p := &Report{
		Ops: ops, Errors: t.counts.errors, Throughput: float64(ops) / window.Seconds(),
		Latency: *percentiles(t.latency()), ReadLatency: percentiles(t.reads), WriteLatency: percentiles(t.writes),
		Reads: t.counts.reads, Absent: t.counts.absent, Writes: t.counts.writes,
		Unserved: t.counts.unserved, Seconds: window.Seconds(), Load: o.load(),
	}
	p.ServerCPU, p.ClientCPU = m.perRequest(float64(ops+t.counts.flight.prepared) / window.Seconds())
	if o.system.codec != nil {
		sent, received := float64(t.counts.sent)/float64(ops), float64(t.counts.received)/float64(ops)
		p.BytesSent, p.BytesReceived = &sent, &received
	}
	if o.system.sessions && t.counts.reads > 0 {
		reads := float64(t.counts.reads)
		f := &t.counts.flight
		p.OwnWrites = &OwnWrites{float64(f.atBegin) / reads, float64(f.atEnd) / reads, f.prepared}
	}
	if t.lag != nil {
		// Nobody was late if there is none.
		p.Lag = cmp.Or(percentiles(t.lag), &Latencies{})
	}
	if t.firstError != nil {
		p.FirstError = t.firstError.Error()
	}
	return p, nil
}

func (o *Options) load() Load {
	return Load{
		Targets: o.Targets, Conns: o.Conns, Depth: o.Depth, Threads: o.Threads, Roam: o.Roam, ReadRatio: o.ReadRatio,
		Keys: o.Keys, Distribution: o.Distribution, ValueBytes: o.ValueBytes, Rate: o.Rate, WarmUp: o.WarmUp.Seconds(),
		Preload: o.Preload, Past: o.Past, OwnWrites: o.OwnWrites, Unjoined: o.Unjoined, Run: o.Run, Seed: o.Seed,
	}
}

// WriteJSON writes the report as one line.
func (p *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(p) }

// WriteText writes the report as a table for people.
func (p *Report) WriteText(w io.Writer, o *Options) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	for _, target := range p.Load.Targets {
		row("target", "%s", target)
	}
	loop := "closed loop"
	if o.Rate > 0 {
		loop = fmt.Sprintf("open loop, %.10g operations/s due", o.Rate)
	}
	row("load", "%s", o.describe())
	row("sessions", "%d: %d connections with %d each, %s", o.sessions(), o.Conns, o.Depth, loop)
	row("measured", "%.1f s after %v of warm-up", p.Seconds, o.WarmUp)
	row("operations", "%d: %d reads (%d found nothing), %d writes", p.Ops, p.Reads, p.Absent, p.Writes)
	row("throughput", "%.0f operations/s", p.Throughput)
	row("latency", "%s", p.Latency)
	if o.Run > 1 {
		row("  of means", "of runs of %d operations each", o.Run)
	}
	if p.ReadLatency != nil && p.WriteLatency != nil {
		row("  of reads", "%s", p.ReadLatency)
		row("  of writes", "%s", p.WriteLatency)
	}
	if p.Lag != nil {
		row("  of it lag", "%s (this generator's own lateness)", p.Lag)
	}
	if p.ServerCPU != nil {
		row("server CPU", "%.2f µs per operation", *p.ServerCPU)
	}
	row("own CPU", "%.2f µs per operation", p.ClientCPU)
	if p.BytesSent != nil {
		row("bytes", "%.1f sent and %.1f received per operation", *p.BytesSent, *p.BytesReceived)
	}
	if w := p.OwnWrites; w != nil {
		row("own writes", "%.2f in flight when a read began, %.2f when it ended", w.AtBegin, w.AtEnd)
	}
	row("errors", "%d", p.Errors)
	if p.FirstError != "" {
		row("first error", "%s", p.FirstError)
	}
	if o.Rate > 0 {
		row("unserved", "%d operations that were due had not begun at the end", p.Unserved)
	}
	if float64(p.Unserved) > saturated*float64(p.Ops) {
		row("SATURATED", "the load is more than the target or these sessions can do, and the percentiles are")
		row("", "those of the operations that had their turn: lower --rate, or raise --conns and --depth")
	}
	return t.Flush()
}

func (l Latencies) String() string {
	text := ""
	for _, p := range []struct {
		name string
		ns   int64
	}{{"p50", l.P50}, {"p90", l.P90}, {"p99", l.P99}, {"p99.9", l.P999}, {"max", l.Max}} {
		text += fmt.Sprintf("%s %s  ", p.name, showLatency(p.ns))
	}
	return text[:len(text)-2]
}
