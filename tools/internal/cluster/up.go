package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"causalmesh/tools/internal/admin"
)

// downWithin is how long a cluster that did not become ready may take to end.
const downWithin = 30 * time.Second

// Up sets up a cluster and returns when all of its nodes are ready. If it fails,
// or ctx ends, nothing is left but the logs.
func Up(ctx context.Context, o Options) (*State, error) {
	s, err := plan(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.create(); err != nil {
		return nil, err
	}
	k, err := startKeeper(o.Meshctl, s.Dir)
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	s, err = awaitReady(ctx, s, k.ended)
	if err == nil {
		return s, nil
	}
	err = fmt.Errorf("%w: %w", ErrNotUp, err)
	// The keeper is ended here and not by down, which knows it only once it has put
	// itself on record; if it has not by now it never will. How the others end says
	// nothing any more; that they do is what matters.
	k.stop()
	if _, downErr := down(context.WithoutCancel(ctx), s.Dir, downWithin, 0); downErr != nil && !errors.Is(downErr, ErrUnclean) {
		err = errors.Join(err, downErr)
	}
	return nil, err
}

// startedKeeper is the keeper, as long as it is a child of this process.
type startedKeeper struct {
	process *os.Process
	ended   chan struct{} // closed when it has ended
}

// startKeeper starts the keeper in a session of its own, so that it outlives this
// process and its terminal.
func startKeeper(meshctl, dir string) (*startedKeeper, error) {
	log, err := os.Create(filepath.Join(dir, keeperLog))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(meshctl, "cluster", "keep", "--dir", dir)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper: %w", err)
	}
	k := &startedKeeper{command.Process, make(chan struct{})}
	go func() { _ = command.Wait(); close(k.ended) }()
	return k, nil
}

// stop ends the keeper, and its processes with it.
func (k *startedKeeper) stop() {
	_ = k.process.Signal(syscall.SIGTERM) // it fails only if the keeper has ended
	select {
	case <-k.ended:
	case <-time.After(downWithin):
		_ = k.process.Kill()
		<-k.ended
	}
}

// awaitReady polls until all nodes are ready. The state that it returns is never
// nil.
func awaitReady(ctx context.Context, s *State, keeper <-chan struct{}) (*State, error) {
	ready := make([]bool, len(s.Nodes))
	last := errors.New("the keeper has not started the nodes yet")
	for {
		now, err := Read(s.Dir)
		if err != nil {
			return s, err
		}
		s = now
		if err := failed(s); err != nil {
			return s, err
		}
		missing := false
		for i, n := range s.Nodes {
			if ready[i] || n.Process == nil {
				missing = missing || !ready[i]
				continue
			}
			if err := admin.Ready(ctx, n.Admin); err != nil {
				missing, last = true, fmt.Errorf("%s: %w; see %s", n.Name, err, n.Log)
				continue
			}
			ready[i] = true
		}
		if !missing {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-keeper:
			if s, err = Read(s.Dir); err == nil && failed(s) != nil {
				return s, failed(s)
			}
			return s, fmt.Errorf("the keeper has ended; see %s", filepath.Join(s.Dir, keeperLog))
		case <-time.After(pollEvery):
		}
	}
}

// failed tells why the cluster cannot become ready any more.
func failed(s *State) error {
	for _, m := range s.members() {
		if m.Exit != nil {
			return fmt.Errorf("%s has ended: %s; the end of %s:\n%s", m.Name, m.Exit.How, m.Log, tail(m.Log, tailLines))
		}
	}
	if s.Fault != "" {
		return errors.New(s.Fault)
	}
	return nil
}

// tailLines is how much of a log an error repeats.
const tailLines = 5

// tail returns the last lines of a file, or why it cannot be read.
func tail(path string, most int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
