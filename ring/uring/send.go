//go:build linux

package uring

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

const (
	// sendOnceFlags make a send complete within its submission: as a success, of
	// which the kernel says nothing (SqeCQESkipSuccess), only if it has taken all.
	// So the wait that follows in the same call is not ended by our own send.
	sendOnceFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT | unix.MSG_WAITALL
	// sendLaterFlags let it take a part, which shows that the other side reads.
	sendLaterFlags = unix.MSG_NOSIGNAL
	// maxSend is the most that one operation is asked to send.
	maxSend = 1 << 30
)

// flush sends what the turn has to say, unless something is under way: more collects
// meanwhile. It is false if no submission is left.
func (l *Loop) flush(c *conn) bool {
	switch {
	case c.sending != sendNothing:
		return true
	case c.flight != nil:
		return l.send(c, opRest)
	case c.out == nil:
		return true
	case len(c.out.Bytes) == 0:
		l.blocks.put(c.out)
		c.out = nil
		return true
	}
	c.flight, c.out, c.sent, c.movedAt = c.out, nil, 0, l.now
	c.flight.hold()
	switch size := len(c.flight.Bytes); {
	case size > smallBlock:
		c.large = true
	case size < smallBlock/2:
		c.large = false
	}
	return l.send(c, opSend)
}

func (l *Loop) send(c *conn, kind opKind) bool {
	sqe := l.kernel.ring.GetSQE()
	if sqe == nil {
		return false
	}
	rest := c.flight.Bytes[c.sent:]
	c.asked = min(len(rest), maxSend)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(rest)))
	if kind == opSend {
		sqe.PrepareSend(c.fd, at, uint32(c.asked), sendOnceFlags)
		sqe.Flags |= giouring.SqeCQESkipSuccess
		c.sending = sendAtOnce
		// Who waits for room in the queue must not wait for the next event as well.
		l.hurry = l.hurry || c.paused || c.phase != open
		l.undecided = append(l.undecided, c)
	} else {
		sqe.PrepareSend(c.fd, at, uint32(c.asked), sendLaterFlags)
		sqe.IoPrio |= giouring.RecvsendPollFirst // It has just been full.
		c.sending = sendLater
	}
	rec := l.records.at(sendRecord(c.slot))
	rec.Bytes, rec.Answers = uint64(c.asked), c.flight.Answers
	rec.setOrigins(&c.flight.Outgoing)
	sqe.UserData = rec.begin(kind, c.id)
	return true
}

// decide follows the fetching of all completions: the sends at once that none has come
// for have succeeded.
func (l *Loop) decide() {
	for _, c := range l.undecided {
		if c.sending == sendAtOnce {
			c.sending = sendNothing
			l.took(c, c.asked)
			l.buryIfIdle(c)
		}
	}
	clear(l.undecided)
	l.undecided = l.undecided[:0]
}

func (l *Loop) onSent(c *conn, e event) {
	if c.sending == sendNothing {
		panic(fmt.Sprintf("uring: connection %d has sent unasked", c.id))
	}
	c.sending = sendNothing
	switch {
	case e.res >= 0:
		l.took(c, int(e.res))
	case e.errno() == unix.EAGAIN, e.errno() == unix.EINTR:
		l.touch(c)
	default:
		l.condemn(c, os.NewSyscallError("send", e.errno()))
	}
	l.buryIfIdle(c)
}

// took counts what the kernel has taken of flight.
func (l *Loop) took(c *conn, n int) {
	c.sent += n
	c.movedAt = l.now
	l.stats.BytesOut += uint64(n)
	if c.sent == len(c.flight.Bytes) {
		l.blocks.put(c.flight)
		c.flight = nil
	}
	if c.flight != nil || c.out != nil || c.phase != open {
		l.touch(c)
	}
	l.mayResume(c)
}
