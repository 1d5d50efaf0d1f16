package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"causalmesh/bpf"
	"causalmesh/causal"
	"causalmesh/tools/internal/probe"
)

// needAdmin says what to give to commands on nodes.
func (c *call) needAdmin() error {
	if len(c.admins) == 0 {
		return fmt.Errorf("%w: give --admin ADDRESS for each node", ErrUsage)
	}
	return nil
}

func probeOn(ctx context.Context, c *call) error {
	return c.eachProbed(ctx, probe.On, "probes are on", "probes were on already")
}

func probeOff(ctx context.Context, c *call) error {
	return c.eachProbed(ctx, probe.Off, "probes are off", "probes were off already")
}

// eachProbed switches the probes of all nodes that it can.
func (c *call) eachProbed(ctx context.Context, change func(ctx context.Context, root, address string) (probe.Change, error), done, already string) error {
	if err := c.needAdmin(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var errs []error
	for _, address := range c.admins {
		n, err := change(ctx, c.pins, address)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		says := done
		if n.Already {
			says = already
		}
		fmt.Fprintf(c.stdout, "node %s (process %d): %s\n", n.Node, n.PID, says)
	}
	return errors.Join(errs...)
}

func probeStatus(ctx context.Context, c *call) error {
	if err := c.needAdmin(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	all := make([]probe.State, len(c.admins))
	for i, address := range c.admins {
		var err error
		if all[i], err = probe.Look(ctx, c.pins, address); err != nil {
			return err
		}
	}
	if c.json {
		return writeJSON(c.stdout, all)
	}
	return probe.WriteStates(c.stdout, all)
}

func latency(ctx context.Context, c *call) error {
	if err := c.needAdmin(); err != nil {
		return err
	}
	if c.interval < 0 {
		return fmt.Errorf("%w: --interval %v; give a time above 0", ErrUsage, c.interval)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout+c.interval)
	defer cancel()
	all, err := probe.Read(ctx, c.pins, c.admins, c.interval)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, all)
	}
	return probe.WriteLatency(c.stdout, all)
}

func outliers(ctx context.Context, c *call) error {
	if err := c.needAdmin(); err != nil {
		return err
	}
	if c.interval < 0 || c.least < 0 {
		return fmt.Errorf("%w: --interval %v, --least %v; give times above 0", ErrUsage, c.interval, c.least)
	}
	ctx, cancel := context.WithTimeout(ctx, c.interval) // which may have ended: then what is there is listed
	defer cancel()
	write := probe.WriteOutlier
	if c.json {
		write = func(w io.Writer, o *probe.Outlier) error { return json.NewEncoder(w).Encode(o) }
	} else if err := probe.WriteOutlierHead(c.stdout); err != nil {
		return err
	}
	return probe.Outliers(ctx, c.pins, c.admins, c.least, func(o *probe.Outlier) error { return write(c.stdout, o) })
}

func hash(_ context.Context, c *call) error {
	for _, key := range c.words {
		if _, err := fmt.Fprintf(c.stdout, "%016x  %s\n", causal.KeyHash([]byte(key)), key); err != nil {
			return err
		}
	}
	return nil
}

// defaultPins is where probes are pinned.
const defaultPins = bpf.Root
