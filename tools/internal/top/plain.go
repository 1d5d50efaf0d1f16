package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// ErrUnmeasured: of a node there are no figures. The text says why, and what would help.
var ErrUnmeasured = errors.New("no figures")

// write writes a table for each interval, until ctx ends or there were enough. What is
// unmeasured in the last one is its error.
func write(ctx context.Context, o Options, read reader, out io.Writer) error {
	s := &State{Interval: o.Interval}
	next := time.NewTicker(o.Interval)
	defer next.Stop()
	take := func() {
		ctx, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		s.take(read(ctx, false), time.Now())
	}
	take()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		take()
		if ctx.Err() != nil {
			return nil // What was read is not all.
		}
		if err := s.write(out); err != nil || n == o.Count {
			return errors.Join(err, s.unmeasured())
		}
	}
}

// unmeasured has a line for each node without figures.
func (s *State) unmeasured() error {
	var errs []error
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Seconds == 0 {
			errs = append(errs, fmt.Errorf("%w of node %s: %s", ErrUnmeasured, n.label(), printable(n.Notes[len(n.Notes)-1])))
		}
	}
	return errors.Join(errs...)
}

// label names a node, known or not.
func (n *Node) label() string {
	if n.Name == "" {
		return printable(n.Address)
	}
	return n.Name
}

// write writes one table, with times in µs, and an empty line.
func (s *State) write(w io.Writer) error {
	fmt.Fprintf(w, "%s  %s\n", s.At.Format(time.RFC3339), strings.Join(s.cluster(), ""))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\t\tTOTAL µs\t\t\tMEAN µs\t\t\t")
	fmt.Fprintln(t, "NODE\tOPERATION\tPER SECOND\tp50\tp99\tp99.9\tQUEUE\tSERVICE\tSEND\t")
	for i := range s.Nodes {
		n := &s.Nodes[i]
		all := n.Operations
		if n.WakeUp.Name != "" {
			all = append(all[:len(all):len(all)], n.WakeUp)
		}
		for j := range all {
			o := &all[j]
			fmt.Fprintf(t, "%s\t%s\t%.0f", n.label(), o.Name, o.Rate)
			for _, ns := range []uint64{o.P50, o.P99, o.P999, o.Queue, o.Service, o.Send} {
				if ns == 0 {
					fmt.Fprint(t, "\t-")
				} else {
					fmt.Fprintf(t, "\t%.1f", float64(ns)/1000)
				}
			}
			fmt.Fprintln(t, "\t")
		}
		if len(all) == 0 {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t\n", n.label())
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		for _, note := range n.Notes {
			fmt.Fprintf(w, "node %s: %s\n", n.label(), printable(note))
		}
		if !n.Restarted.IsZero() {
			fmt.Fprintf(w, "node %s: restarted at %s\n", n.label(), n.Restarted.Format(clock))
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}
