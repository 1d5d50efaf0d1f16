//go:build linux

package uring

const (
	// carryBase is the size of a new carry.
	carryBase = receiveBuffer
	// carryKeep is the largest that is used again; carriesKept is how many are kept.
	carryKeep   = 256 << 10
	carriesKept = 64
)

// carry holds bytes between receive buffers: the part of a frame whose rest is still to
// come, and what arrives while the handler is not to be called.
type carry struct {
	memory []byte
	start  int // memory[start:] is held
	seen   int // so much of it the handler has seen and not used
	// ends says where, in what is held, what a receive has brought ends: of those that
	// the handler has not seen yet.
	ends []int
}

func (c *carry) len() int { return len(c.memory) - c.start }

func (c *carry) bytes() []byte { return c.memory[c.start:] }

// add appends. It moves what is held to the front when that is cheaper than to grow.
func (c *carry) add(more []byte) {
	held := c.len()
	switch need := held + len(more); {
	case len(c.memory)+len(more) <= cap(c.memory):
	case need <= cap(c.memory)/2:
		c.memory = append(c.memory[:0], c.bytes()...)
		c.start = 0
	default:
		grown := make([]byte, held, max(carryBase, 2*need))
		copy(grown, c.bytes())
		c.memory, c.start = grown, 0
	}
	c.memory = append(c.memory, more...)
	c.ends = append(c.ends, c.len())
}

// next is what the handler is to see next: what it has seen, and what one more receive
// has brought.
func (c *carry) next() []byte { return c.bytes()[:c.ends[0]] }

// use drops what the handler has used of next; it has seen the rest of that.
func (c *carry) use(n int) {
	c.seen = c.ends[0] - n
	c.start += n
	c.ends = c.ends[:copy(c.ends, c.ends[1:])]
	for i := range c.ends {
		c.ends[i] -= n
	}
}

// carries lends them; those in use are bounded by the connections.
type carries struct {
	free []*carry
}

func (p *carries) get() *carry {
	last := len(p.free) - 1
	if last < 0 {
		return &carry{}
	}
	c := p.free[last]
	p.free = p.free[:last]
	return c
}

// fit returns a small carry in place of a large one that a big frame has left nearly
// empty.
func (p *carries) fit(c *carry) *carry {
	if cap(c.memory) <= carryKeep || c.len() > carryBase/2 {
		return c
	}
	small := p.get()
	small.add(c.bytes())
	small.use(0) // The handler has seen it all.
	return small
}

func (p *carries) put(c *carry) {
	if c == nil || len(p.free) >= carriesKept || cap(c.memory) > carryKeep {
		return
	}
	*c = carry{memory: c.memory[:0], ends: c.ends[:0]}
	p.free = append(p.free, c)
}
