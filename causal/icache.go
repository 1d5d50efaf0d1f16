package causal

// icache holds the versions of one origin that have arrived and are not visible,
// oldest first, in memory that is used again: versions come and go in the same order,
// so neither the queue nor what their bytes lie in is garbage in between.
type icache struct {
	entries []pendingVersion // ring buffer; its length is a power of two
	first   int
	count   int
	bytes   arena
}

type pendingVersion struct {
	Version
	chunk *chunk // that key and value lie in
}

// keepEntries is the longest ring buffer that an empty icache holds on to.
const keepEntries = 4096

func (c *icache) len() int { return c.count }

// at returns the i-th oldest version. It is valid until the next push or drop.
func (c *icache) at(i int) *Version { return &c.entry(i).Version }

func (c *icache) entry(i int) *pendingVersion {
	return &c.entries[(c.first+i)&(len(c.entries)-1)]
}

// push appends a copy of v and returns it; it is valid until the next push or drop.
func (c *icache) push(v *Version) *Version {
	if c.count == len(c.entries) {
		c.grow()
	}
	c.count++
	e := c.entry(c.count - 1)
	deps := append(e.Deps[:0], v.Deps...)
	e.Version = *v
	e.Key, e.Value, e.chunk = c.bytes.copy(v.Key, v.Value)
	e.Deps = deps
	return &e.Version
}

// drop removes the oldest version.
func (c *icache) drop() {
	e := c.entry(0)
	c.first = (c.first + 1) & (len(c.entries) - 1)
	c.count--
	c.bytes.release(e.chunk)
	e.chunk = nil
	if c.count == 0 && len(c.entries) > keepEntries {
		c.entries, c.first = nil, 0
	}
}

func (c *icache) grow() {
	entries := make([]pendingVersion, max(16, 2*len(c.entries)))
	for i := range c.count {
		entries[i] = *c.entry(i)
	}
	c.entries, c.first = entries, 0
}

// arena gives out pieces of chunks, one behind the other. A chunk is used again when
// all of its pieces have been released.
type arena struct {
	last  *chunk
	spare []*chunk
}

type chunk struct {
	bytes  []byte // those given out
	pieces int    // not released
}

const (
	chunkBytes  = 64 << 10
	spareChunks = 4
)

// copy puts key and value next to each other.
func (a *arena) copy(key, value []byte) (k, v []byte, c *chunk) {
	n := len(key) + len(value)
	if c = a.last; c == nil || cap(c.bytes)-len(c.bytes) < n {
		c = a.next(n)
	}
	c.pieces++
	at := len(c.bytes)
	c.bytes = append(append(c.bytes, key...), value...)
	middle, end := at+len(key), len(c.bytes)
	k = c.bytes[at:middle:middle]
	if value != nil {
		v = c.bytes[middle:end:end]
	}
	return k, v, c
}

// next returns a chunk with room for n bytes, and makes it the last one but where it
// is for one large piece.
func (a *arena) next(n int) *chunk {
	if n > chunkBytes {
		return &chunk{bytes: make([]byte, 0, n)}
	}
	if l := a.last; l != nil && l.pieces == 0 {
		a.keep(l)
	}
	if i := len(a.spare) - 1; i >= 0 {
		a.last, a.spare = a.spare[i], a.spare[:i]
	} else {
		a.last = &chunk{bytes: make([]byte, 0, chunkBytes)}
	}
	return a.last
}

// release takes a piece back.
func (a *arena) release(c *chunk) {
	c.pieces--
	if c.pieces > 0 {
		return
	}
	if invariants { // whoever reads on shall not get away with it
		for i := range c.bytes {
			c.bytes[i] = 0xdb
		}
	}
	if c == a.last {
		c.bytes = c.bytes[:0]
	} else {
		a.keep(c)
	}
}

func (a *arena) keep(c *chunk) {
	if cap(c.bytes) == chunkBytes && len(a.spare) < spareChunks {
		c.bytes = c.bytes[:0]
		a.spare = append(a.spare, c)
	}
}
