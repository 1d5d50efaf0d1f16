package netloop

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

type phase uint8

const (
	open      phase = iota
	closing         // what is queued goes out; nothing is received
	lingering       // our direction has ended; what arrives is discarded
	condemned       // on Loop.ended: Closed follows in the next turn
	gone            // Closed has been called
)

// Writer states. Only the loop leaves idle, only the writer returns to it.
const (
	idle       uint32 = iota
	busy              // the writer has flight
	busyNotify        // and posts written when it is done
)

// conn is one connection. Invariant: fields belong to the loop goroutine, except
// where a group says otherwise.
type conn struct {
	loop *Loop
	nc   net.Conn
	raw  syscall.RawConn
	id   ring.ConnID

	listener *listener // nil if dialed
	peer     ring.Peer
	token    uint64 // of Dial

	phase       phase
	dirty       bool    // on Loop.dirty
	readerWaits bool    // the reader has handed over a chunk and is not released
	paused      bool    // not released because of HighWater
	inputEnded  bool    // the reader has ended
	reason      error   // for Closed
	out         *buffer // nil if nothing is in it
	handed      uint64  // bytes given to the kernel or to the writer, ever
	seenTaken   uint64  // taken when it was last looked at
	movedAt     time.Time

	// The reader's, from release until received is posted; then the loop's.
	in       *buffer // the received bytes are in.Bytes[start:len(in.Bytes)]
	start    int
	fresh    int // bytes that the last read brought
	readErr  error
	release  chan struct{} // closed with the connection
	readFunc func(fd uintptr) bool

	// The loop's while state is idle, else the writer's.
	flight     *buffer
	flightSent int
	writeErr   error
	writeFunc  func(fd uintptr) bool
	drainFunc  func()

	state atomic.Uint32
	taken atomic.Uint64 // bytes that the kernel has taken, ever
}

// newConn tunes an accepted socket and wraps it.
func newConn(l *Loop, nc net.Conn) (*conn, error) {
	c, err := wrap(l, nc)
	if err != nil {
		return nil, err
	}
	return c, socket.Tune(nc, c.raw, l.opts)
}

// wrap is called by acceptors and dialers.
func wrap(l *Loop, nc net.Conn) (*conn, error) {
	c := &conn{loop: l, nc: nc, release: make(chan struct{}, 1)}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	c.raw = raw
	// Bound once: a method value made per call would be an allocation per call.
	c.readFunc, c.writeFunc, c.drainFunc = c.readFD, c.writeFD, c.drain
	return c, nil
}

// queued is how many bytes the kernel has not taken yet.
func (c *conn) queued() int {
	n := int(c.handed - c.taken.Load())
	if c.out != nil {
		n += len(c.out.Bytes)
	}
	return n
}

// releaseReader lets the reader go on after its chunk was handled.
func (c *conn) releaseReader() {
	c.readerWaits, c.paused = false, false
	c.release <- struct{}{}
}

// closeWrite ends our direction.
func (c *conn) closeWrite() error {
	if h, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return net.ErrClosed
}
