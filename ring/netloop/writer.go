package netloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// send hands Out to a writer, all that the turn has collected at once. It does
// nothing while the writer is busy: more collects meanwhile.
func (l *Loop) send(c *conn, now time.Time) {
	if c.out == nil || c.state.Load() != idle {
		return
	}
	if len(c.out.Bytes) == 0 {
		putBuffer(c.out)
		c.out = nil
		return
	}
	c.flight, c.flightSent, c.out = c.out, 0, nil
	c.handed += uint64(len(c.flight.Bytes))
	c.seenTaken, c.movedAt = c.taken.Load(), now
	c.state.Store(busy)
	l.routines.Add(1)
	go c.drainFunc()
}

// drain is the writer goroutine. It ends when flight is sent: a connection that
// is silent costs no second stack.
func (c *conn) drain() {
	defer c.loop.routines.Done()
	err := c.raw.Write(c.writeFunc)
	if err == nil {
		err = c.writeErr
	}
	if err != nil {
		// The state stays busy: nothing must be sent any more.
		c.loop.mail.post(event{kind: writeFailed, c: c, err: err})
		return
	}
	putBuffer(c.flight)
	c.flight = nil
	if c.state.Swap(idle) == busyNotify {
		c.loop.mail.post(event{kind: written, c: c})
	}
}

// writeFD writes what the kernel takes; false means that it must be called again
// when the socket is writable.
func (c *conn) writeFD(fd uintptr) bool {
	for c.flightSent < len(c.flight.Bytes) {
		n, err := unix.Write(int(fd), c.flight.Bytes[c.flightSent:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil:
			c.writeErr = err
			return true
		}
		c.flightSent += n
		c.taken.Add(uint64(n))
		c.loop.bytesOut.Add(uint64(n))
	}
	return true
}
