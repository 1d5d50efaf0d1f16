package admin

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"causalmesh/causal"
)

// WriteTable writes a line for each node.
func WriteTable(w io.Writer, answers []Answer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tREADY\tEPOCH\tRECEIVED (R)\tSTABLE (S)\tPENDING\tDIRTY\tENTRIES\tMEMORY\tLINKS")
	var notes []string
	for _, a := range answers {
		s, ok := a.Parsed()
		if !ok {
			fmt.Fprintln(t, "?\tno"+strings.Repeat("\t-", 8))
			notes = append(notes, fmt.Sprintf("%s: %s", a.Address, a.Error))
			continue
		}
		ready := "yes"
		switch {
		case s.Draining:
			ready = "draining"
		case !s.Ready:
			ready = "no"
			notes = append(notes, fmt.Sprintf("%s: not ready: %s", a.Address, s.NotReady))
		}
		node, core := "?", "-\t-\t-\t-\t-"
		if c := s.Server; c != nil {
			node = fmt.Sprint(uint8(c.Node))
			core = fmt.Sprintf("%s\t%s\t%d\t%d\t%d", clock(c.Received), clock(c.Stable), c.Pending, c.Dirty, c.Entries)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", node, ready, s.Epoch, core, size(s.Process.RSSBytes), links(&s))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
	return nil
}

func clock(v causal.VectorClock) string {
	texts := make([]string, len(v))
	for i, c := range v {
		texts[i] = fmt.Sprint(uint64(c))
	}
	if len(texts) == 0 {
		return "-"
	}
	return strings.Join(texts, ",")
}

func size(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// links tells how many links to and from other nodes are up, and which are not.
func links(s *Status) string {
	up, down := 0, ""
	for _, p := range s.Peers {
		for _, l := range []struct {
			up    bool
			arrow string
		}{{p.To, "→"}, {p.From, "←"}} {
			if l.up {
				up++
			} else {
				down += fmt.Sprintf(" no %s%d", l.arrow, p.Node)
			}
		}
	}
	return fmt.Sprintf("%d/%d%s", up, 2*len(s.Peers), down)
}
