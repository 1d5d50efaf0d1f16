package daemon

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// collector makes metrics of a node's status, for Prometheus. It keeps nothing: each scrape
// asks the loop once, as /status does, so it is one moment's and costs requests nothing.
type collector struct {
	n        *node
	families []family // of the status
}

// family is all that is said under one name.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	from source
}

// source finds a family's values in a status, and says each with the values of its labels.
type source func(s *Status, say say)

type say func(value float64, labels ...string)

// namespace opens all names but those of the process and the Go runtime.
const namespace = "causalmesh_"

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+name, help, labels, nil)
}

func gauge(name, help string, from source, labels ...string) family {
	return family{describe(name, help, labels...), prometheus.GaugeValue, from}
}

// counter: the name ends with _total, by convention.
func counter(name, help string, from source, labels ...string) family {
	return family{describe(name, help, labels...), prometheus.CounterValue, from}
}

var upDesc = describe("up", "1 if the node's event loop has answered this scrape within a second, else 0: then nothing but the process's own metrics and the kernel's are there.")

func newCollector(n *node) *collector {
	var all []family
	for _, section := range [][]family{nodeFamilies, clientFamilies, peerFamilies, loopFamilies, coreFamilies, clockFamilies, storeFamilies} {
		all = append(all, section...)
	}
	return &collector{n, all}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- upDesc
	for _, f := range c.families {
		out <- f.desc
	}
	describeKernel(out)
}

// Collect implements prometheus.Collector. A loop that does not answer is no error: that
// is when an operator wants to see what the process does.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	collectKernel(c.kernel(), out)
	s, err := ask(context.Background(), c.n, c.n.status)
	out <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, truth(err == nil))
	if err != nil {
		c.n.log.Debug("a scrape without the node's status", "error", err)
		return
	}
	c.collect(&s, out)
}

func (c *collector) collect(s *Status, out chan<- prometheus.Metric) {
	for _, f := range c.families {
		f.from(s, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
		})
	}
}

// maxScrapes is how many scrapes may be under way; more are refused.
const maxScrapes = 4

// newMetricsHandler serves all metrics of a process with one node.
func newMetricsHandler(c *collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(c.n.log.Handler(), slog.LevelWarn), MaxRequestsInFlight: maxScrapes,
	})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
