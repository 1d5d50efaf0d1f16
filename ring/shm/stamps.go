package shm

import "sync/atomic"

// FlagStamp has the client note when it publishes requests.
const FlagStamp uint64 = 1 << 0

// stampCount is of how many requests that were not taken yet it is noted: more than wait
// together mostly. Of the others it is not.
const stampCount = 64

// stamp says when the byte at a position of the requests was published.
type stamp struct{ position, at atomic.Uint64 }

const stampBytes = 16

// stamps are all of them, taken in turn.
type stamps [stampCount]stamp

// stamp is called before the byte at the ring's end is published.
func (p *Producer) stamp() {
	s := &p.stamps[p.stamped%stampCount]
	if p.stamped >= stampCount && !p.consumed(s.position.Load()) {
		return
	}
	s.at.Store(Now())
	s.position.Store(p.end)
	p.stamped++
}

// consumed reports whether a byte was read. It looks at head, which is mostly in the other
// side's cache, once for all stamps.
func (p *Producer) consumed(position uint64) bool {
	if int64(p.read-position) <= 0 {
		p.read = p.head.Load()
	}
	return int64(p.read-position) > 0
}

// Since says when what CopyOut takes next was published, as the producer says, who may say
// anything; 0 if it says nothing. Of a ring that was not emptied it is what it was before.
// Call it when there is something new.
func (c *Consumer) Since() uint64 {
	if at := c.find(c.begin); at != 0 {
		c.since = at
	} else if c.begin == c.ready {
		c.since = 0
	}
	return c.since
}

// find looks for a stamp, from the one on that should be next.
func (c *Consumer) find(position uint64) uint64 {
	if c.stamps == nil { // closed
		return 0
	}
	for i := range uint64(stampCount) {
		s := &c.stamps[(c.looked+i)%stampCount]
		if s.position.Load() != position {
			continue
		}
		if at := s.at.Load(); at != 0 {
			c.looked += i + 1
			return at
		}
	}
	return 0
}
