package top

import (
	"fmt"
	"strings"
	"time"

	"causalmesh/tools/internal/probe"
)

// The smallest window in which anything is shown but a line that says so.
const (
	leastWidth  = 36
	leastHeight = 6
)

// clock is how times of day are written.
const clock = "15:04:05"

// View returns the lines of a window, each as wide as it and not more than its height. It
// scrolls no further than to the end, and returns how far.
func View(s *State, look Look, width, height int) (lines []string, scroll int) {
	if width < leastWidth || height < leastHeight {
		l := line{look: look, width: max(width, 0)}
		return []string{l.put(plain, "make the window larger").end()}[:min(max(height, 0), 1)], 0
	}
	c := columnsFor(width, look)
	head := c.head(width)
	lines = append(lines, s.top(look, width), head[0], head[1])
	room := height - len(lines) - 1 // the last one is for the keys
	body := s.body(&c, width, false)
	if roomy := s.body(&c, width, true); len(roomy) <= room {
		body = roomy
	}
	scroll = min(s.Scroll, max(len(body)-room, 0))
	hidden := max(len(body)-room, 0)
	lines = append(lines, body[scroll:min(scroll+room, len(body))]...)
	for len(lines) < height-1 {
		lines = append(lines, strings.Repeat(" ", width))
	}
	return append(lines, s.keys(look, width, hidden)), scroll
}

// top is the first line: which cluster, of when, and over which time.
func (s *State) top(look Look, width int) string {
	span := fmt.Sprintf("every %v", s.Interval)
	switch {
	case s.reset:
		span = "since now"
	case !s.Since.IsZero():
		span = fmt.Sprintf("%v since %s", s.At.Sub(s.Since).Round(time.Second), s.Since.Format(clock))
	}
	at := ""
	if !s.At.IsZero() {
		at = "  " + s.At.Format(clock)
	}
	paused := ""
	if s.Paused {
		paused = " paused "
	}
	l := line{look: look, width: width}
	l.put(strong, "causalmesh").put(plain, "  ")
	// What has no room is left out whole.
	room := width - l.used - len(paused) - len("  ") - len(span) - len(at)
	text := ""
	for _, part := range s.cluster() {
		if len(text)+len(part) > room {
			break
		}
		text += part
	}
	l.left(plain, room, text).put(inverse, paused).put(plain, "  "+span).put(strong, at)
	return l.end()
}

// cluster names it, as far as nodes agree.
func (s *State) cluster() []string {
	nodes := fmt.Sprintf("%d nodes", len(s.Nodes))
	if len(s.Nodes) == 1 {
		nodes = "1 node"
	}
	var first *Node
	for i := range s.Nodes {
		n := &s.Nodes[i]
		switch {
		case n.Ring == 0:
		case first == nil:
			first = n
		case n.Ring != first.Ring || n.Epoch != first.Epoch:
			return []string{nodes, " of different rings or epochs"}
		}
	}
	if first == nil {
		return []string{nodes}
	}
	return []string{nodes, fmt.Sprintf(" of a ring of %d", first.Ring), fmt.Sprintf(", epoch %d", uint64(first.Epoch))}
}

// keys is the last line.
func (s *State) keys(look Look, width, hidden int) string {
	l := line{look: look, width: width}
	if hidden > 0 {
		l.put(inverse, fmt.Sprintf(" %d more lines: j k ", hidden)).put(plain, " ")
	}
	reset := "since now"
	if !s.Since.IsZero() {
		reset += "  i each interval"
	}
	pause := "pause"
	if s.Paused {
		pause = "go on"
	}
	for _, k := range [][2]string{{"q", "quit"}, {"p", pause}, {"r", reset}, {"s", "sort: " + s.Order.String()}, {"+ -", "interval"}} {
		l.put(strong, k[0]).put(faint, " "+k[1]+"  ")
	}
	return l.end()
}

// body are the lines of all nodes.
func (s *State) body(c *columns, width int, roomy bool) (lines []string) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if roomy && i > 0 {
			lines = append(lines, c.line(width).end())
		}
		lines = append(lines, n.title(c, width))
		if n.Seconds > 0 {
			all := s.sorted(n)
			if n.WakeUp.Name != "" {
				all = append(all, n.WakeUp)
			}
			for j := range all {
				lines = append(lines, c.row(&all[j], width))
			}
		}
		for _, note := range n.Notes {
			for _, part := range wrap(printable(note), width-2, mostNoteLines, c.look.dots()) {
				lines = append(lines, c.line(width).put(plain, "  ").put(plain, part).end())
			}
		}
	}
	return lines
}

// mostNoteLines bounds a note.
const mostNoteLines = 4

// title is a node's first line. What matters most comes first: the rest may be cut off.
func (n *Node) title(c *columns, width int) string {
	name := n.Name
	if name == "" {
		name = "?"
	}
	l := c.line(width).put(strong, "node "+name).put(plain, "  ")
	switch n.State {
	case "":
		if n.Silent.IsZero() {
			l.put(faint, "is asked")
		} else {
			l.put(bad, "does not answer since "+n.Silent.Format(clock))
		}
		return l.put(faint, "  "+printable(n.Address)).end()
	case probe.NodeReady:
		l.put(good, string(n.State))
	default:
		l.put(bad, string(n.State))
	}
	if n.Rate >= 0 {
		l.put(plain, "  "+perSecond(n.Rate)+" requests/s")
	}
	l.put(faint, fmt.Sprintf("  pid %d", n.PID))
	if !n.Restarted.IsZero() {
		l.put(bad, "  restarted "+n.Restarted.Format(clock))
	}
	return l.put(faint, "  "+printable(n.Address)).end()
}
