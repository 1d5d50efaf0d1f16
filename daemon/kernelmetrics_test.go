package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"causalmesh/bpf"
)

// probedCluster is a ring in this process whose requests the kernel can time.
func probedCluster(t *testing.T, n int, change func(*Config)) *cluster {
	t.Helper()
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	root := fmt.Sprintf("%s-test-daemon-%d", bpf.Root, os.Getpid())
	c := newCluster(t, n, func(c *Config) {
		c.IO, c.BPFPins = "uring", root
		if change != nil {
			change(c)
		}
	})
	for i := range n {
		c.start(i)
	}
	c.waitReady()
	return c
}

// probe attaches probes to this process in the name of node 0, until the test ends.
func (c *cluster) probe() {
	c.t.Helper()
	n := c.nodes[0].n
	target := n.target()
	target.Loops = 0 // those of all nodes run in this process
	for i := range c.nodes {
		target.Loops += c.status(i).Config.Loops
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := bpf.On(ctx, n.cfg.BPFPins, target); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := bpf.Off(n.cfg.BPFPins, target.Node); err != nil && !errors.Is(err, bpf.ErrOff) {
			c.t.Error(err)
		}
	})
}

// What the kernel has timed is there while probes are attached, each request once.
func TestKernelIsInTheMetrics(t *testing.T) {
	c := probedCluster(t, 1, nil)
	if s := c.scrape(0); s.value(t, "causalmesh_kernel_probes_attached") != 0 || s["causalmesh_kernel_requests_total"] != nil {
		t.Fatal("there are no probes, and metrics of them")
	}
	c.probe()
	began := time.Now()
	s := c.session(0)
	const writes, reads = 30, 70
	for range writes {
		s.write("k", "v")
	}
	for range reads {
		s.read("k")
	}
	got := c.scrape(0)
	if got.value(t, "causalmesh_kernel_probes_attached") != 1 || got.sum("causalmesh_kernel_losses_total") != 0 {
		t.Fatalf("attached: %v, losses: %v", got["causalmesh_kernel_probes_attached"], got["causalmesh_kernel_losses_total"])
	}
	// The programs may be busy with the last of them a little longer.
	for op, n := range map[string]uint64{"write": writes, "read": reads, "handshake": 1, "delete": 0} {
		var last string
		for _, p := range kernelParts {
			eventually(t, fmt.Sprintf("%d of %s are in %s", n, op, p.name), func() bool {
				h := c.scrape(0).find(t, namespace+p.name, "operation", op).GetHistogram()
				if h.GetSampleCount() > n {
					t.Fatalf("%d of %s are in %s, want %d", h.GetSampleCount(), op, p.name, n)
				}
				problem := "too few"
				if h.GetSampleCount() == n {
					problem = checkHistogram(h, time.Since(began).Seconds())
				}
				if problem != "" && problem != last {
					t.Logf("%s of %s: %s", p.name, op, problem)
				}
				last = problem
				return problem == ""
			})
		}
		eventually(t, fmt.Sprintf("%d of %s are counted", n, op), func() bool {
			return c.scrape(0).value(t, "causalmesh_kernel_requests_total", "operation", op) == float64(n)
		})
	}
}

// checkHistogram compares the buckets with the sum, and returns what is wrong with them: requests that
// were made one after the other have not taken longer, all together, than was looked at.
func checkHistogram(h *dto.Histogram, elapsed float64) string {
	least, most, border, below := 0.0, 0.0, 0.0, uint64(0)
	for _, b := range h.Bucket {
		if math.IsInf(b.GetUpperBound(), 1) {
			break // it has all
		}
		n := b.GetCumulativeCount() - below // a fall makes it huge
		least += border * float64(n)
		border, below = b.GetUpperBound(), b.GetCumulativeCount()
		most += border * float64(n)
	}
	beyond := h.GetSampleCount() - below
	least += border * float64(beyond)
	if sum := h.GetSampleSum(); math.IsNaN(least) || math.IsNaN(most) || sum < least || sum > most && beyond == 0 || sum > elapsed ||
		(sum > 0) != (h.GetSampleCount() > 0) {
		return fmt.Sprintf("the sum is %v s, by the buckets %v to %v, in %v", sum, least, most, elapsed)
	}
	return ""
}

// A scrape does not fail for what is pinned: by another life of the daemon, or damaged.
func TestMetricsBesideForeignPins(t *testing.T) {
	c := probedCluster(t, 1, nil)
	pins := c.nodes[0].n.cfg.BPFPins
	check := func(what string, want float64) {
		t.Helper()
		if got := c.scrape(0).value(t, "causalmesh_kernel_probes_attached"); got != want {
			t.Errorf("%s: attached is %v, want %v", what, got, want)
		}
	}
	c.probe()
	check("its own", 1)
	boot := c.nodes[0].n.boot
	c.halt(0)
	c.start(0)
	c.waitReady()
	if c.nodes[0].n.boot == boot {
		t.Fatal("the same boot twice")
	}
	check("of the life before", 0)
	if err := bpf.Off(pins, "0"); err != nil {
		t.Fatal(err)
	}
	check("off", 0)
	c.probe()
	check("its own again", 1)
	if err := os.Remove(filepath.Join(pins, "0", "maps", "operations")); err != nil {
		t.Fatal(err)
	}
	check("damaged", 0)
	if s := c.session(0); s.read("k") != "-" {
		t.Error("the node does not serve")
	}
}
