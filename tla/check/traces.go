package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
)

// Traces has the simulator write what the real core did as modules for TLC, once for
// each number of seeds. It may be used from any goroutine.
type Traces struct {
	temp string
	mu   sync.Mutex
	made map[int]error
}

// Library returns the directory of the modules for so many seeds.
func (t *Traces) Library(ctx context.Context, seeds int) (string, error) {
	dir := filepath.Join(t.temp, fmt.Sprintf("traces-%d", seeds))
	t.mu.Lock()
	defer t.mu.Unlock()
	err, ok := t.made[seeds]
	if !ok {
		if err = os.Mkdir(dir, 0o755); err == nil {
			err = simulate(ctx, dir, seeds)
		}
		if t.made == nil {
			t.made = make(map[int]error)
		}
		t.made[seeds] = err
	}
	return dir, err
}

func simulate(ctx context.Context, dir string, seeds int) error {
	cmd := exec.CommandContext(ctx, "go", "run", "./causal/sim/simulate", "-tla", dir, "-seeds", strconv.Itoa(seeds))
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, output)
	}
	return nil
}
