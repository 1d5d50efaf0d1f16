package rig

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon"
)

func TestStartWithoutBinary(t *testing.T) {
	for _, path := range []string{"/no/such/causalmeshd", t.TempDir()} {
		_, err := Start(t.Context(), Config{Binary: path, Dir: t.TempDir(), Nodes: 3, Store: "mem"})
		if !errors.Is(err, ErrBinary) {
			t.Errorf("binary %s: %v, want %v", path, err, ErrBinary)
		}
	}
}

// TestStartOfWhatIsNoNode starts programs that never become a ring.
func TestStartOfWhatIsNoNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := Start(ctx, Config{Binary: "/bin/false", Dir: t.TempDir(), Nodes: 3, Store: "mem"})
	if !errors.Is(err, ErrStart) || !strings.Contains(err.Error(), "exit status 1") {
		t.Fatalf("error %v, want %v and how the process ended", err, ErrStart)
	}
}

func TestUnrest(t *testing.T) {
	resting := func() []daemon.Status {
		all := make([]daemon.Status, 2)
		for i := range all {
			all[i].Server = &causal.Status{
				Self: causal.ReplicaID(i), Received: causal.VectorClock{3, 4}, Stable: causal.VectorClock{3, 4},
			}
		}
		return all
	}
	if err := unrest(resting()); err != nil {
		t.Fatalf("at rest: %v", err)
	}
	for name, move := range map[string]func(*causal.Status){
		"I-cache":      func(s *causal.Status) { s.Pending = 1 },
		"not stable":   func(s *causal.Status) { s.Received = causal.VectorClock{3, 5} },
		"not the same": func(s *causal.Status) { s.Received, s.Stable = causal.VectorClock{3, 5}, causal.VectorClock{3, 5} },
		"held":         func(s *causal.Status) { s.Held = 1 },
		"dirty":        func(s *causal.Status) { s.Dirty = 1 },
	} {
		all := resting()
		move(all[1].Server)
		if unrest(all) == nil {
			t.Errorf("%s: taken for rest", name)
		}
	}
}

func TestStatusField(t *testing.T) {
	const text = "Name:\tcausalmeshd\nVmHWM:\t   10 kB\nVmRSS:\t    8 kB\nVmBad:\t8 MB\n"
	for _, c := range []struct {
		name string
		want int64
		good bool
	}{
		{"VmRSS:", 8 << 10, true}, {"VmHWM:", 10 << 10, true}, {"VmBad:", 0, false}, {"VmNone:", 0, false}, {"Name:", 0, false},
	} {
		got, err := statusField([]byte(text), c.name)
		if got != c.want || (err == nil) != c.good {
			t.Errorf("%s %d, %v; want %d, good %v", c.name, got, err, c.want, c.good)
		}
	}
}
