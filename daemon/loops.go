package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/netloop"
	"causalmesh/ring/uring"
)

// maxLoops bounds the loops of a node: more than cores serve nobody.
const maxLoops = 64

// newLoops makes the loops that the settings ask for, and notes in c.IO what they are.
func newLoops(c *Config, log *slog.Logger) ([]ring.Loop, error) {
	if c.IO != ioNet {
		switch err := uring.ProbeLoops(c.Loops); {
		case err == nil:
			c.IO = ioUring
		case c.IO == ioUring:
			return nil, fault("io", "uring does not work here: %v; use auto or net", err)
		default:
			log.Info("io auto: bytes move through the standard net package, since io_uring does not work here", "reason", err)
			c.IO = ioNet
		}
	}
	options := ring.Options{MaxConns: maxConns(c.MaxConns, log), HighWater: highWater, MaxQueued: maxQueued}
	loops := make([]ring.Loop, c.Loops)
	for i := range loops {
		if c.IO == ioNet {
			loops[i] = netloop.New(options)
			continue
		}
		l, err := uring.New(options)
		if err != nil {
			for _, l := range loops[:i] {
				l.Stop(0)
			}
			return nil, fmt.Errorf("io uring: %w", err)
		}
		loops[i] = l
	}
	return loops, nil
}

// runLoops runs the loops until the node's own one ends, and then the others.
func (n *node) runLoops() error {
	var others sync.WaitGroup
	errs := make([]error, len(n.remotes)+1)
	for i, r := range n.remotes {
		others.Go(func() {
			if errs[i+1] = r.loop.Run(r); errs[i+1] != nil {
				n.loop.Stop(0) // it was never told to end
			}
		})
	}
	errs[0] = n.loop.Run(n)
	for _, r := range n.remotes {
		r.loop.Stop(stopGrace)
	}
	others.Wait()
	if n.table != nil {
		errs = append(errs, n.table.Close())
	}
	return errors.Join(errs...)
}

// stopLoops ends all loops, also those that do not run yet.
func (n *node) stopLoops(grace time.Duration) {
	n.loop.Stop(grace)
	for _, r := range n.remotes {
		r.loop.Stop(grace)
	}
}
