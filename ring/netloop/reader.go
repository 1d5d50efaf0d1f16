package netloop

import (
	"io"

	"golang.org/x/sys/unix"
)

const (
	// readChunk is the most that one read brings, so that a connection with much
	// to say takes its turn with the others.
	readChunk = 64 << 10
	// minRoom is how much room a read must find.
	minRoom = 4 << 10
)

// read is the reader goroutine.
func (c *conn) read() {
	defer c.loop.routines.Done()
	for {
		err := c.raw.Read(c.readFunc)
		if err == nil {
			err = c.readErr
		}
		if err != nil {
			c.loop.mail.post(event{kind: readEnded, c: c, err: err})
			break
		}
		c.loop.mail.post(event{kind: received, c: c})
		if _, ok := <-c.release; !ok {
			break
		}
	}
}

// readFD reads once; false means that it must be called again when the socket is
// readable.
func (c *conn) readFD(fd uintptr) bool {
	c.makeRoom()
	used := len(c.in.Bytes)
	room := c.in.Bytes[used:min(cap(c.in.Bytes), used+readChunk)]
	for {
		n, err := unix.Read(int(fd), room)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			if c.start == used { // An idle connection holds no memory.
				putBuffer(c.in)
				c.in, c.start = nil, 0
			}
			return false
		case err != nil:
			c.readErr = err
		case n == 0:
			c.readErr = io.EOF
		default:
			c.in.Bytes = c.in.Bytes[:used+n]
			c.fresh = n
		}
		return true
	}
}

// makeRoom sees to minRoom bytes behind the unused ones. It moves them to the
// front when that is cheap, and lets go of a buffer that a big frame has left.
func (c *conn) makeRoom() {
	if c.in == nil {
		c.in, c.start = getBuffer(), 0
	}
	unused := c.in.Bytes[c.start:]
	size := cap(c.in.Bytes)
	switch {
	case size > keepBuffer && len(unused) <= baseBuffer/2:
		next := getBuffer()
		next.Bytes = append(next.Bytes, unused...)
		c.in, c.start = next, 0
		return
	case len(unused) == 0:
		c.in.Bytes, c.start = c.in.Bytes[:0], 0
		return
	case size-len(c.in.Bytes) >= minRoom:
		return
	case size-len(unused) >= max(minRoom, size/2):
		c.in.Bytes = append(c.in.Bytes[:0], unused...)
		c.start = 0
		return
	default:
		// The loop closes the connection when more than MaxUnused is unused, so
		// this much always has room.
		size = min(2*size, c.loop.opts.MaxUnused+readChunk)
		size = max(size, len(unused)+minRoom)
	}
	next := newBuffer(size)
	next.Bytes = append(next.Bytes, unused...)
	putBuffer(c.in)
	c.in, c.start = next, 0
}
