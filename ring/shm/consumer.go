package shm

import "fmt"

// Consumer is the end of a ring that bytes are read from.
type Consumer struct {
	ring
	begin uint64 // of what is unread: head, which only this end moves
	shown uint64 // up to here, what is unread was returned by Peek
	ready uint64 // tail as it was last seen: up to here there are bytes
	err   error  // ErrCorrupt, with what was seen

	stamps *stamps
	looked uint64 // how many stamps were passed
	since  uint64 // what Since has said
}

// Ready says whether there is something new, or an error to be had: what Peek has shown is
// not. It costs one atomic load while there is nothing.
func (c *Consumer) Ready() bool { return c.err != nil || c.tail.Load() != c.shown }

// Peek returns all bytes that are unread, in place. They stay unread until Advance.
// The other side can change them all the time.
func (c *Consumer) Peek() ([]byte, error) {
	if err := c.look(); err != nil {
		return nil, err
	}
	b := c.span(c.begin, c.ready-c.begin)
	c.shown = c.begin + uint64(len(b))
	return b, nil
}

// Advance makes room of the first n bytes that Peek has returned.
func (c *Consumer) Advance(n int) {
	if n < 0 || uint64(n) > c.shown-c.begin {
		panic(fmt.Sprintf("shm: advance by %d bytes of %d", n, c.shown-c.begin)) // the caller has read elsewhere
	}
	if n == 0 { // head's cache line is left alone
		return
	}
	c.begin += uint64(n)
	publish(c.head, c.begin)
}

// CopyOut appends unread bytes to memory of the caller's, as many as there is capacity
// for, and makes room of them.
func (c *Consumer) CopyOut(into []byte) ([]byte, error) {
	if err := c.look(); err != nil {
		return into, err
	}
	n := min(c.ready-c.begin, uint64(cap(into)-len(into)))
	if n == 0 { // head's cache line is left alone
		return into, nil
	}
	for n > 0 {
		b := c.span(c.begin, n)
		into = append(into, b...)
		c.begin += uint64(len(b))
		n -= uint64(len(b))
	}
	c.shown = c.begin
	publish(c.head, c.begin)
	return into, nil
}

// MustRing says, after bytes were read, whether the producer waits for room and its bell
// has to be rung. It says so once.
func (c *Consumer) MustRing() bool { return takeFlag(c.waits) }

// Sleep says whether to wait for the consumer's bell. If not, there is something that
// Peek has not shown and CopyOut has not taken, or an error to be had. What Peek has shown
// and is still unread does not count: it is the beginning of something, of which more
// has to come.
func (c *Consumer) Sleep() bool {
	// First the flag, then the look: the producer does it the other way round.
	publish(c.sleeps, 1)
	if c.tail.Load() == c.shown && c.err == nil {
		return true
	}
	c.Awake()
	return false
}

// Awake is for who has slept and was not woken by the bell.
func (c *Consumer) Awake() { dropFlag(c.sleeps) }

// look learns how far the producer has come.
func (c *Consumer) look() error {
	tail := c.tail.Load()
	if tail == c.ready && c.err == nil {
		return nil
	}
	return c.learn(tail)
}

// learn believes a new tail only if it has moved on, and no further than there is room.
func (c *Consumer) learn(tail uint64) error {
	if c.err != nil {
		return c.err
	}
	if unread := tail - c.begin; unread > c.size || unread < c.ready-c.begin {
		c.err = fmt.Errorf("%w: tail %d, was %d, and head is %d", ErrCorrupt, tail, c.ready, c.begin)
		return c.err
	}
	c.ready = tail
	return nil
}
