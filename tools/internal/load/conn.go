package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// firstBufferBytes is what a connection starts to receive with. Its buffer grows
	// as bytes arrive, not as lengths claim.
	firstBufferBytes = 64 << 10
	// keptBufferBytes is the largest buffer that is kept once it is empty.
	keptBufferBytes = 4 << 20
)

// errEnded: the other side has closed the connection.
var errEnded = errors.New("the server closed the connection")

// conn is a socket that does not block. It belongs to one driver.
type conn struct {
	fd     int
	target int
	asked  queue // sessions whose replies come in order; unused where replies name theirs
	in     []byte
	out    []byte
	sent   int // of out
}

// dial connects to a server, greets it, and takes the socket from the net package.
func dial(ctx context.Context, at address, timeout time.Duration, greet func(net.Conn) error) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, at.network, at.name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }()
	// Whatever ends ctx also ends the greeting.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := greet(nc); err != nil {
		return nil, err
	}
	fd, err := detach(nc)
	if err != nil {
		return nil, err
	}
	return &conn{fd: fd, in: make([]byte, 0, firstBufferBytes)}, nil
}

// detach returns a descriptor of its own for a connection's socket.
func detach(nc net.Conn) (fd int, err error) {
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := rc.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(controlErr, err)
}

// flush sends what is queued, as much as the kernel takes.
func (c *conn) flush() error {
	for c.sent < len(c.out) {
		n, err := unix.Write(c.fd, c.out[c.sent:])
		switch {
		case err == nil:
			c.sent += n
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return nil
		default:
			return fmt.Errorf("send: %w", err)
		}
	}
	if c.sent = 0; cap(c.out) > keptBufferBytes {
		c.out = nil
	}
	c.out = c.out[:0]
	return nil
}

// receive reads once behind what is there.
func (c *conn) receive() error {
	if len(c.in) == cap(c.in) {
		larger := make([]byte, len(c.in), 2*cap(c.in))
		copy(larger, c.in)
		c.in = larger
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
	case err != nil:
		return fmt.Errorf("receive: %w", err)
	case n == 0 && len(c.in) > 0:
		return fmt.Errorf("%w in the middle of a reply: %w", errEnded, unexpected(c.in, "a whole one"))
	case n == 0:
		return errEnded
	default:
		c.in = c.in[:len(c.in)+n]
	}
	return nil
}

// used drops the first n bytes of what was received.
func (c *conn) used(n int) {
	rest := c.in[n:]
	if len(rest) == 0 && cap(c.in) > keptBufferBytes {
		c.in = make([]byte, 0, firstBufferBytes)
		return
	}
	c.in = c.in[:copy(c.in, rest)]
}

func (c *conn) close() { _ = unix.Close(c.fd) }
