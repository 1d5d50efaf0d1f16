//go:build linux

package uring

import (
	"fmt"
	"time"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

// touch makes settle look at a connection after EndOfTurn.
func (l *Loop) touch(c *conn) {
	if !c.dirty && c.phase < gone {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// settleAll prepares the operations of the turn. Who finds no room among the
// submissions is looked at in the next turn.
func (l *Loop) settleAll() {
	for _, c := range l.starved {
		l.settleInput(c)
	}
	clear(l.starved)
	l.starved = l.starved[:0]
	done := 0
	for ; done < len(l.dirty); done++ {
		c := l.dirty[done]
		c.dirty = false
		if !l.settle(c) {
			c.dirty = true
			break
		}
	}
	left := copy(l.dirty, l.dirty[done:])
	clear(l.dirty[left:])
	l.dirty = l.dirty[:left]
}

// settle does what a connection needs at the end of a turn: send, pause or go on
// receiving, end it. It is false if no submission is left.
func (l *Loop) settle(c *conn) bool {
	if c.phase <= closing {
		if !l.flush(c) {
			return false
		}
		switch queued := c.queued(); {
		case queued > l.opts.MaxQueued:
			l.stats.Stalled++
			l.condemn(c, fmt.Errorf("%d bytes queued: %w", queued, ring.ErrStalled))
		case c.phase == closing && queued == 0:
			l.linger(c)
		default:
			l.mayResume(c)
		}
	}
	return l.settleInput(c)
}

// settleInput arms, or cancels, the receive; for a condemned connection it cancels all.
func (l *Loop) settleInput(c *conn) bool {
	wanted := !c.inputEnded && (c.phase != open || !c.paused)
	switch {
	case c.phase == gone:
		return true
	case c.phase == condemned:
		return !c.busy() || c.cancelling || l.cancelAll(c)
	case wanted && !c.receiving:
		return l.receive(c)
	case !wanted && c.receiving && !c.cancelling && c.sending != sendAtOnce:
		// What was sent at once may make room, and is not known yet.
		return l.cancelReceive(c)
	}
	return true
}

// receive arms a receive that goes on until it is cancelled or fails.
func (l *Loop) receive(c *conn) bool {
	sqe := l.kernel.ring.GetSQE()
	if sqe == nil {
		return false
	}
	sqe.PrepareRecvMultishot(c.fd, 0, 0, 0)
	sqe.Flags |= giouring.SqeBufferSelect
	sqe.BufIG = bufferGroup
	sqe.UserData = l.records.at(receiveRecord(c.slot)).begin(opReceive, c.id)
	c.receiving, c.fresh = true, 0
	return true
}

// cancelReceive ends a receive; it completes, if only with that.
func (l *Loop) cancelReceive(c *conn) bool {
	c.cancelling = l.cancel(receiveRecord(c.slot), cancelRecord(c.slot), c.id)
	return c.cancelling
}

// cancelAll ends the operations of a connection. A send at once ends by itself.
func (l *Loop) cancelAll(c *conn) bool {
	if c.receiving && !l.cancelReceive(c) {
		return false
	}
	if c.sending == sendLater {
		c.cancelling = l.cancel(sendRecord(c.slot), cancelRecord(c.slot), c.id)
		return c.cancelling
	}
	return true
}

// cancel ends the operation with a record, which then completes. The cancel itself
// completes only if it fails: the operation has just ended, or the kernel has it on its
// way between two queues and does not find it.
func (l *Loop) cancel(what, by int, c ring.ConnID) bool {
	sqe := l.kernel.ring.GetSQE()
	if sqe == nil {
		return false
	}
	sqe.PrepareCancel64(l.records.address(what), 0)
	sqe.Flags |= giouring.SqeCQESkipSuccess
	rec := l.records.at(by)
	rec.Bytes = uint64(l.records.at(what).Kind)
	sqe.UserData = rec.begin(opCancel, c)
	return true
}

// onNotCancelled has settle look whether something is left to cancel.
func (l *Loop) onNotCancelled(c *conn) {
	c.cancelling = false
	l.touch(c)
}

// beginClose ends a connection after what is queued has been sent.
func (l *Loop) beginClose(c *conn, reason error) {
	if c.phase == open {
		c.phase, c.reason = closing, reason
		l.touch(c)
	}
}

// linger ends our direction and waits for the other side to end its own. When the
// loop ends there is no such wait.
func (l *Loop) linger(c *conn) {
	if c.inputEnded || l.ending || unix.Shutdown(c.fd, unix.SHUT_WR) != nil {
		l.condemn(c, c.reason) // In the last case the other side is gone already.
		return
	}
	c.phase = lingering
	l.carries.put(c.carried)
	c.carried = nil
	l.lingerers.add(c.id, l.now+instant(l.opts.LingerTimeout))
}

// condemn ends a connection as soon as the kernel has let go of its socket.
func (l *Loop) condemn(c *conn, reason error) {
	if c.phase >= condemned {
		return
	}
	c.phase, c.reason, c.cancelling = condemned, reason, false
	l.touch(c)
	l.buryIfIdle(c)
}

// buryIfIdle hands a condemned connection over to finishEnded: the handler must not be
// called after EndOfTurn or from within its own call.
func (l *Loop) buryIfIdle(c *conn) {
	if c.phase == condemned && !c.busy() {
		c.phase = gone
		l.ended = append(l.ended, c)
	}
}

func (l *Loop) finishEnded() {
	for i := 0; i < len(l.ended); i++ {
		c := l.ended[i]
		id, reason := c.id, c.reason
		l.remove(c)
		l.stats.Closed++
		l.handler.Closed(id, reason)
	}
	clear(l.ended)
	l.ended = l.ended[:0]
}

// remove closes the socket.
func (l *Loop) remove(c *conn) {
	c.phase = gone
	unix.Close(c.fd)
	if c.listener != nil {
		c.listener.open.Add(-1)
	}
	l.blocks.put(c.out)
	l.blocks.put(c.flight)
	l.carries.put(c.carried)
	c.out, c.flight, c.carried = nil, nil, nil
	l.vacate(c)
}

// sweep finds connections whose queued bytes have not moved.
func (l *Loop) sweep() {
	for _, c := range l.slots {
		if c.id == 0 || c.phase > closing || c.flight == nil {
			continue
		}
		if idle := time.Duration(l.now - c.movedAt); idle >= l.opts.StallTimeout {
			l.stats.Stalled++
			l.condemn(c, fmt.Errorf("%d bytes queued for %v: %w", c.queued(), idle.Round(time.Millisecond), ring.ErrStalled))
		}
	}
}
