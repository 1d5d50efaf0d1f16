package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"causalmesh/bpf"
	"causalmesh/tools/internal/admin"
)

// overUring is what a daemon says of how it moves bytes if there is something to probe.
const overUring = "uring"

// Find asks a node who it is.
func Find(ctx context.Context, address string) (bpf.Target, error) {
	code, body, err := admin.Get(ctx, address, "/status")
	if err != nil {
		return bpf.Target{}, err
	}
	if code != http.StatusOK {
		return bpf.Target{}, fmt.Errorf("%s: %w: %.200q", address, admin.ErrAnswer, strings.TrimSpace(string(body)))
	}
	t, err := targetOf(body)
	if err != nil {
		return bpf.Target{}, fmt.Errorf("%s: %w", address, err)
	}
	return t, nil
}

// targetOf reads a status. Its node may be of any version.
func targetOf(status []byte) (t bpf.Target, err error) {
	var s struct {
		Boot    string
		Process struct{ PID int }
		Config  struct {
			IO    string
			Loops int
		}
		Server *struct{ Node uint8 }
	}
	if err := json.Unmarshal(status, &s); err != nil {
		return t, fmt.Errorf("%w: %w", admin.ErrAnswer, err)
	}
	boot, err := strconv.ParseUint(s.Boot, 16, 64)
	switch {
	case err != nil, s.Process.PID <= 0, s.Config.Loops <= 0:
		return t, fmt.Errorf("%w: no boot, process or loops in it", admin.ErrAnswer)
	case s.Config.IO != overUring:
		return t, fmt.Errorf("the node %w: it moves bytes with --io %.40q; probes see io_uring only (--io uring)", ErrNode, s.Config.IO)
	case s.Server == nil:
		return t, fmt.Errorf("the node %w: it has no epoch yet; try again when it is ready", ErrNode)
	}
	return bpf.Target{Node: strconv.Itoa(int(s.Server.Node)), PID: s.Process.PID, Boot: boot, Loops: s.Config.Loops}, nil
}

// Change is what came of switching a node's probes.
type Change struct {
	Node    string
	PID     int
	Already bool // they were as they should be
}

// On attaches probes to a node. What a daemon that has ended left behind is replaced.
func On(ctx context.Context, root, address string) (c Change, err error) {
	t, err := Find(ctx, address)
	if err != nil {
		return c, err
	}
	c = Change{Node: t.Node, PID: t.PID}
	if err = bpf.On(ctx, root, t); errors.Is(err, bpf.ErrOn) {
		c.Already, err = true, nil
	}
	return c, err
}

// Off detaches a node's probes, whichever life of its daemon they are of.
func Off(ctx context.Context, root, address string) (c Change, err error) {
	t, err := Find(ctx, address)
	if err != nil {
		return c, err
	}
	c = Change{Node: t.Node, PID: t.PID}
	if err = bpf.Off(root, t.Node); errors.Is(err, bpf.ErrOff) {
		// Should somebody have removed the pins, the daemon does not know.
		c.Already, err = true, bpf.Unwatch(t)
	}
	return c, err
}
