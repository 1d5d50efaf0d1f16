package trial

import (
	"fmt"
	"io"
	"strings"
	"time"

	"causalmesh/tools/internal/workload"
)

// table is the summary at the end: one fact per line.
type table struct {
	rows [][2]string
}

func (t *table) add(name, format string, args ...any) {
	t.rows = append(t.rows, [2]string{name, fmt.Sprintf(format, args...)})
}

// addStage tells what the trial ran on.
func (t *table) addStage(s *stage, e *ending) {
	t.add("processes", "%s", s.processes())
	t.add("transport", "clients %s, links between nodes over TCP", s.o.transport())
	t.add("io", "%s", e.statuses[0].Config.IO)
	t.add("store", "%s", s.store)
	t.add("writes", "propagation %s, acknowledged %s", e.statuses[0].Server.Propagation, e.statuses[0].Server.Ack)
}

// addWork tells what the workflows did.
func (t *table) addWork(w *workload.Tally, over time.Duration) {
	t.add("operations", "%s in %.1f s: %s", grouped(w.Done()), over.Seconds(), w.DescribeDone())
	t.add("throughput", "%s operations/s", grouped(uint64(float64(w.Done())/over.Seconds())))
	t.add("latency", "p50 %s, p99 %s, p99.9 %s", shortly(w.Latencies.Quantile(0.5)), shortly(w.Latencies.Quantile(0.99)),
		shortly(w.Latencies.Quantile(0.999)))
}

func (t *table) addVerdict(v *verdict) {
	t.add("checked", "%s recorded operations of %s processes, in %s", grouped(uint64(v.ops)), grouped(uint64(v.processes)), shortly(v.checkTime))
	t.add("anomalies", "%d", v.anomalies())
	t.add("lost writes", "%d", v.lost())
}

func (t *table) addUsage(s *stage) error {
	var peaks, cpus []string
	for _, n := range s.ring.Nodes {
		u, err := n.Usage()
		if err != nil {
			return fmt.Errorf("usage of node %d: %w", n.ID, err)
		}
		peaks = append(peaks, mebibytes(u.PeakRSSBytes))
		cpus = append(cpus, fmt.Sprintf("%.1f s", u.CPU.Seconds()))
	}
	t.add("peak memory", "%s", strings.Join(peaks, ", "))
	t.add("CPU time", "%s", strings.Join(cpus, ", "))
	return nil
}

func (t *table) print(w io.Writer) {
	widest := 0
	for _, r := range t.rows {
		widest = max(widest, len(r[0]))
	}
	fmt.Fprintln(w)
	for _, r := range t.rows {
		fmt.Fprintf(w, "  %-*s  %s\n", widest, r[0], r[1])
	}
	fmt.Fprintln(w)
}

// grouped writes a number with its thousands apart.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// shortly writes a duration with three digits or so.
func shortly(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
