package daemon

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"causalmesh/bpf"
)

// The metrics of the kernel: what probes that are attached to this daemon have counted.
// To read them takes no privilege but that of reading their pins.

// kernelPart is one of the times that an operation's latency consists of.
type kernelPart struct {
	name string
	desc *prometheus.Desc
	of   func(*bpf.Operation) *bpf.Histogram
}

func part(name, help string, of func(*bpf.Operation) *bpf.Histogram) kernelPart {
	name = "kernel_request_" + name + "_seconds"
	return kernelPart{name, describe(name, help, "operation"), of}
}

var kernelParts = []kernelPart{
	part("queue", "Time from the kernel's noting that there is something to receive until the daemon's loop has received it.",
		func(o *bpf.Operation) *bpf.Histogram { return &o.Queue }),
	part("service", "Time from the daemon's receiving a request until it submits the send with the reply.",
		func(o *bpf.Operation) *bpf.Histogram { return &o.Service }),
	part("send", "Time from the daemon's submitting the send with a reply until the socket has taken the reply whole; not measured on kernels before 6.3.",
		func(o *bpf.Operation) *bpf.Histogram { return &o.Send }),
	part("total", "Queue, service and send together: from the kernel's noting that there is something to receive until the end of the send that was submitted.",
		func(o *bpf.Operation) *bpf.Histogram { return &o.Total }),
}

var (
	attachedDesc = describe("kernel_probes_attached", "1 if probes of this life of the daemon are attached and can be read, else 0: then no other kernel_ metric is there.")
	answeredDesc = describe("kernel_requests_total", "Requests of clients, over sockets and in shared memory, that were answered since the probes are on.", "operation")
	untimedDesc  = describe("kernel_untimed_requests_total", "Requests of kernel_requests_total whose times are not known, by reason: untimed (when they were received) or unready (when they were ready; they have a service time).", "operation", "reason")
	wakeUpDesc   = describe("kernel_wake_up_seconds", "Time from there being something to do for a loop that waits until it runs; all loops together.")
	lossesDesc   = describe("kernel_losses_total", "What could not be followed, by reason: unreadable-record, no-room (for a connection), outlier (no room to tell of it), missed-run (of a program).", "reason")
)

// The borders of buckets: powers of two in ns, where the probes' finer buckets have borders,
// too, so the counts are exact. From half a µs to a second.
const (
	firstBorder = 9
	lastBorder  = 30
)

func describeKernel(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{attachedDesc, answeredDesc, untimedDesc, wakeUpDesc, lossesDesc} {
		out <- d
	}
	for _, p := range kernelParts {
		out <- p.desc
	}
}

// kernel reads the probes of this life of the daemon, nil if there are none.
func (c *collector) kernel() *bpf.Snapshot {
	s, err := c.readProbes()
	switch {
	case err == nil:
	case errors.Is(err, bpf.ErrOff):
	default:
		c.n.log.Debug("a scrape without the kernel's probes", "error", err)
	}
	return s
}

func (c *collector) readProbes() (*bpf.Snapshot, error) {
	p, err := bpf.OpenFor(c.n.cfg.BPFPins, c.n.target())
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Snapshot()
}

func collectKernel(s *bpf.Snapshot, out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(attachedDesc, prometheus.GaugeValue, truth(s != nil))
	if s == nil {
		return
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	count(lossesDesc, s.Losses.Unreadable, "unreadable-record")
	count(lossesDesc, s.Losses.Connections, "no-room")
	count(lossesDesc, s.Losses.Outliers, "outlier")
	count(lossesDesc, s.Losses.Missed, "missed-run")
	out <- histogram(wakeUpDesc, &s.WakeUp)
	for kind := range s.Operations {
		o, name := &s.Operations[kind], bpf.KindName(kind)
		if name == "" {
			continue
		}
		count(answeredDesc, o.Requests, name)
		count(untimedDesc, o.Untimed, name, "untimed")
		count(untimedDesc, o.Unready, name, "unready")
		for _, p := range kernelParts {
			out <- histogram(p.desc, p.of(o), name)
		}
	}
}

// histogram makes one of Prometheus' of a finer one, in seconds.
func histogram(d *prometheus.Desc, h *bpf.Histogram, labels ...string) prometheus.Metric {
	below := map[float64]uint64{}
	for border := firstBorder; border <= lastBorder; border++ {
		ns := uint64(1) << border
		below[float64(ns)/1e9] = h.CountBelow(ns)
	}
	return prometheus.MustNewConstHistogram(d, h.Count, float64(h.Sum)/1e9, below, labels...)
}
