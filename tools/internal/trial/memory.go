package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"causalmesh/tools/internal/rig"
)

// memory samples what the nodes' processes have resident.
type memory struct {
	nodes   []*rig.Node
	every   time.Duration
	samples [][]int64 // by node
}

const (
	sampleEvery = time.Second
	leastPoints = 30 // of a short trial
	// growthShare and growthBytes are how far the last third's median may be above
	// the middle third's: the larger of the two. The first third is for filling up.
	growthShare = 0.10
	growthBytes = 16 << 20
)

func newMemory(s *stage) *memory {
	m := &memory{nodes: s.ring.Nodes, every: min(sampleEvery, s.o.Duration/leastPoints)}
	m.samples = make([][]int64, len(m.nodes))
	return m
}

// run samples until stop is closed.
func (m *memory) run(ctx context.Context, stop <-chan struct{}) error {
	for {
		for i, n := range m.nodes {
			u, err := n.Usage()
			if err != nil {
				return fmt.Errorf("memory of node %d: %w", n.ID, err)
			}
			m.samples[i] = append(m.samples[i], u.RSSBytes)
		}
		if !sleep(ctx, stop, m.every) {
			return ctx.Err()
		}
	}
}

// peak is the largest sample of any node.
func (m *memory) peak() int64 {
	var most int64
	for _, s := range m.samples {
		most = max(most, slices.Max(s))
	}
	return most
}

// thirds returns the median of each third of the samples.
func thirds(samples []int64) (medians [3]int64) {
	for i := range medians {
		third := slices.Clone(samples[i*len(samples)/3 : (i+1)*len(samples)/3])
		if len(third) > 0 {
			slices.Sort(third)
			medians[i] = third[len(third)/2]
		}
	}
	return medians
}

// flat says whether memory has stopped to grow by the middle third.
func flat(medians [3]int64) bool {
	most := medians[1] + max(int64(growthShare*float64(medians[1])), growthBytes)
	return medians[2] <= most
}

// judge demands that every node's memory is flat, and tells the medians.
func (m *memory) judge(v *verdicts) string {
	var parts []string
	for i, s := range m.samples {
		t := thirds(s)
		v.demand(flat(t), "the memory of node %d grows: the medians of the thirds of the trial are %s, %s and %s",
			m.nodes[i].ID, mebibytes(t[0]), mebibytes(t[1]), mebibytes(t[2]))
		parts = append(parts, fmt.Sprintf("%s → %s → %s", mebibytes(t[0]), mebibytes(t[1]), mebibytes(t[2])))
	}
	return strings.Join(parts, "; ")
}
