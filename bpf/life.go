package bpf

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Nodes have the same names in every life of theirs, and in every cluster on a machine, so
// what is pinned under a name may be another daemon's.

// On attaches probes to a daemon that runs, and pins them below root. It waits, until ctx
// ends, for all of the daemon's loops to show their rings. From its return on everything
// is counted. When it fails it leaves nothing. What a daemon that has ended left behind
// under the node's name is replaced; ErrOn says that the daemon's own probes are there, and
// ErrTaken that those of another one are, which runs.
func On(ctx context.Context, root string, t Target) error {
	err := attach(ctx, root, t)
	if !errors.Is(err, ErrOn) {
		return err
	}
	p, owner := OpenFor(root, t)
	switch {
	case owner == nil:
		p.Close()
		return err
	case !errors.Is(owner, ErrStale):
		return owner
	}
	if err := Off(root, t.Node); err != nil && !errors.Is(err, ErrOff) {
		return err
	}
	return attach(ctx, root, t)
}

// OpenFor opens the probes of a daemon's present life. ErrStale says that those under its
// name are of an earlier one, or of another daemon that has ended; ErrTaken that it runs.
func OpenFor(root string, t Target) (*Probes, error) {
	p, err := Open(root, t.Node)
	if err != nil {
		return nil, err
	}
	a, err := p.About()
	switch {
	case err != nil:
	case a.Boot == t.Boot && a.PID == t.PID:
		return p, nil
	case a.PID != t.PID && runs(a.PID):
		err = fmt.Errorf("node %s: %w: process %d, which runs, is followed; meshctl probe off ends that", t.Node, ErrTaken, a.PID)
	default:
		err = fmt.Errorf("node %s: %w (process %d); meshctl probe on replaces them", t.Node, ErrStale, a.PID)
	}
	p.Close()
	return nil, err
}

// runs reports whether there is a process.
func runs(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
