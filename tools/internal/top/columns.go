package top

import "strings"

// columns are which figures a window has room for.
type columns struct {
	look   Look
	split  bool // means of the parts
	bar    int  // cells, 0: none
	spread int
}

// Cells of the columns. A number has one cell before it.
const (
	nameCells   = 9 // read-many, handshake
	rateCells   = 6
	numberCells = 7
	splitCells  = len(" _queue") + len(" _service") + len(" _send.")
	fixedCells  = nameCells + rateCells + 3*numberCells
	leastBar    = 7
	mostBar     = 24
)

// columnsFor goes by the width: figures first, then the spread, then the bar.
func columnsFor(width int, look Look) columns {
	c := columns{look: look}
	room := width - fixedCells
	if room < splitCells {
		return c
	}
	c.split = true
	room -= splitCells
	for _, w := range spreadWidths {
		if need := 1 + w; room >= need+1+leastBar || w == spreadWidths[len(spreadWidths)-1] && room >= need {
			c.spread = w
			room -= need
			break
		}
	}
	if room > leastBar {
		c.bar = min(room-1, mostBar)
	}
	return c
}

// head are the two lines above the figures.
func (c *columns) head(width int) [2]string {
	group, names := c.line(width), c.line(width)
	group.left(faint, nameCells+rateCells, "").right(faint, 3*numberCells, "total time")
	names.left(faint, nameCells, "operation").right(faint, rateCells, "req/s")
	names.right(faint, numberCells, "p50").right(faint, numberCells, "p99").right(faint, numberCells, "p99.9")
	if c.split {
		p := c.look.parts()
		group.right(faint, splitCells, "mean of its parts")
		names.put(plain, " ").put(queue, string(p[0])).put(faint, "queue")
		names.put(plain, " ").put(service, string(p[1])).put(faint, "service")
		names.put(plain, "  ").put(send, string(p[2])).put(faint, "send")
	}
	if c.bar > 0 {
		group.left(faint, 1+c.bar, "")
		names.put(plain, " ").left(faint, c.bar, "shares")
	}
	if c.spread > 0 {
		group.put(plain, " ").put(faint, "how many")
		names.put(plain, " ").put(faint, spreadScale(c.spread, c.look))
	}
	return [2]string{group.end(), names.end()}
}

func (c *columns) line(width int) *line { return &line{look: c.look, width: width} }

// row is an operation's line.
func (c *columns) row(o *Operation, width int) string {
	l := c.line(width)
	if o.Count == 0 {
		l.left(faint, nameCells, o.Name).right(faint, rateCells, "0")
		for range 3 {
			l.right(faint, numberCells, "-")
		}
		return l.end()
	}
	l.left(plain, nameCells, o.Name).right(plain, rateCells, perSecond(o.Rate))
	number := func(s style, cells int, ns uint64) { l.right(s, cells, duration(ns, c.look)) }
	number(plain, numberCells, o.P50)
	number(strong, numberCells, o.P99)
	number(plain, numberCells, o.P999)
	split := [3]uint64{o.Queue, o.Service, o.Send}
	if split == [3]uint64{} { // a wake-up has no parts
		if c.split {
			l.left(plain, splitCells, "")
		}
		if c.bar > 0 {
			l.left(plain, 1+c.bar, "")
		}
	} else {
		if c.split {
			number(plain, len(" _queue"), o.Queue)
			number(plain, len(" _service"), o.Service)
			number(plain, len(" _send."), o.Send)
		}
		c.drawBar(l, split)
	}
	if c.spread > 0 {
		l.put(plain, " ").put(plain, o.Spread.draw(c.spread, c.look))
	}
	return l.end()
}

func (c *columns) drawBar(l *line, split [3]uint64) {
	if c.bar == 0 {
		return
	}
	l.put(plain, " ")
	styles, glyphs := [3]style{queue, service, send}, c.look.parts()
	for i, n := range parts(c.bar, split) {
		l.put(styles[i], strings.Repeat(string(glyphs[i]), n))
	}
}
