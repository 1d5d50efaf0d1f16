package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"causalmesh/bpf"
)

// State is how a node's probes are.
type State struct {
	Node     string        `json:"node"`
	PID      int           `json:"pid"`
	On       bool          `json:"on"`
	Why      string        `json:"why,omitempty"` // they are not
	Programs []bpf.Program `json:"programs,omitempty"`
	Losses   bpf.Losses    `json:"losses"`
	// Requests are all that were counted, and Untimed those of them without times.
	Requests uint64 `json:"requests"`
	Untimed  uint64 `json:"untimed"`
}

// Look tells how a node's probes are.
func Look(ctx context.Context, root, address string) (s State, err error) {
	t, err := Find(ctx, address)
	if err != nil {
		return s, err
	}
	s = State{Node: t.Node, PID: t.PID}
	p, err := bpf.OpenFor(root, t)
	switch {
	case errors.Is(err, bpf.ErrOff):
		return s, nil
	case errors.Is(err, bpf.ErrStale), errors.Is(err, bpf.ErrTaken), errors.Is(err, bpf.ErrPins):
		s.Why = err.Error()
		return s, nil
	case err != nil:
		return s, err
	}
	defer p.Close()
	s.On = true
	now, err := p.Snapshot()
	if err != nil {
		return s, err
	}
	s.Losses = now.Losses
	for kind := range now.Operations {
		if o := &now.Operations[kind]; bpf.KindName(kind) != "" {
			s.Requests += o.Requests
			s.Untimed += o.Untimed
		}
	}
	s.Programs, err = p.Programs()
	return s, err
}

// WriteStates writes a line for each node, and why probes are not on.
func WriteStates(w io.Writer, all []State) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tPID\tPROBES\tPROGRAMS\tREQUESTS\tUNTIMED\tMISSED RUNS")
	for _, s := range all {
		if !s.On {
			fmt.Fprintf(t, "%s\t%d\toff\t-\t-\t-\t-\n", s.Node, s.PID)
			continue
		}
		ids := ""
		for i, p := range s.Programs {
			if i > 0 {
				ids += " "
			}
			ids += fmt.Sprintf("%s=%d", p.Name, p.ID)
		}
		fmt.Fprintf(t, "%s\t%d\ton\t%s\t%d\t%d\t%d\n", s.Node, s.PID, ids, s.Requests, s.Untimed, s.Losses.Missed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range all {
		if s.Why != "" {
			fmt.Fprintln(w, s.Why)
		}
	}
	return nil
}
