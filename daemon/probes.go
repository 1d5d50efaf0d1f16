package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"causalmesh/bpf"
)

// Probes in the kernel that follow this process. Only Run attaches them: they go by the
// process, which is one node then.

// What the status says of probes, besides why there are none.
const (
	probesOn     = "on"
	probesOff    = "off"
	probesNotYet = "not yet"
)

// probesWithin is how long it may take until all loops have shown their rings: each ticks some
// forty times a second.
const probesWithin = 20 * time.Second

// target is this process, for as long as it lives.
func (n *node) target() bpf.Target {
	return bpf.Target{Node: strconv.Itoa(int(n.cfg.NodeID)), PID: os.Getpid(), Boot: uint64(n.boot), Loops: n.cfg.Loops}
}

// checkProbes refuses settings that want what is not possible.
func (n *node) checkProbes() error {
	if n.cfg.BPF != bpfOn {
		return nil
	}
	if reasons := n.noProbes(); len(reasons) > 0 {
		return fault("bpf", "probes are not possible here; use auto or off, or see to it:\n%v", errors.Join(reasons...))
	}
	return nil
}

// noProbes says why probes are not possible, a line each.
func (n *node) noProbes() (reasons []error) {
	if n.cfg.IO != ioUring {
		return []error{fmt.Errorf("io: bytes move through %s, and probes see io_uring only", n.cfg.IO)}
	}
	for _, need := range bpf.Needs(n.cfg.BPFPins) {
		if need.Err != nil {
			reasons = append(reasons, need.Err)
		}
	}
	return reasons
}

// putProbesOn attaches the probes. It is an error only if the settings insist.
func (n *node) putProbesOn(ctx context.Context) error {
	if n.cfg.BPF == bpfOff {
		return nil
	}
	n.probes.Store(probesNotYet)
	defer debug.FreeOSMemory() // max-memory bounds what this has taken, too
	reasons := n.noProbes()
	if len(reasons) == 0 {
		within, cancel := context.WithTimeout(ctx, probesWithin)
		defer cancel()
		err := bpf.On(within, n.cfg.BPFPins, n.target())
		switch {
		case err == nil, errors.Is(err, bpf.ErrOn):
			n.probes.Store(probesOn)
			n.log.Info("probes are on: meshctl latency shows what they count", "pins", n.cfg.BPFPins)
			return nil
		case ctx.Err() != nil: // The node ends.
			return nil
		}
		reasons = []error{err}
	}
	err := errors.Join(reasons...)
	if n.cfg.BPF == bpfOn {
		return fmt.Errorf("bpf on: %w", err)
	}
	lines := strings.Split(err.Error(), "\n")
	n.probes.Store("no: " + strings.Join(lines, ", "))
	for _, line := range lines {
		n.log.Info("bpf auto: no probes in the kernel, all else works", "reason", line)
	}
	return nil
}

// takeProbesOff takes off what follows this life of the node, whoever has attached it.
func (n *node) takeProbesOff() {
	if n.cfg.BPF == bpfOff || n.probes.Load() != probesOn {
		return
	}
	p, err := bpf.OpenFor(n.cfg.BPFPins, n.target())
	if err == nil {
		p.Close()
		err = bpf.Off(n.cfg.BPFPins, n.target().Node)
	}
	switch {
	case err == nil, errors.Is(err, bpf.ErrOff), errors.Is(err, bpf.ErrStale), errors.Is(err, bpf.ErrTaken): // They are no longer its own.
	default:
		n.log.Warn("probes are left behind; meshctl probe on replaces them, or the next start", "pins", n.cfg.BPFPins, "error", err)
	}
}
