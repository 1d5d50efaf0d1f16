package netloop

import (
	"errors"
	"fmt"
	"io"
	"time"

	"causalmesh/ring"
)

// register gives a connection its id.
func (l *Loop) register(c *conn) {
	l.lastID++
	c.id = l.lastID
	l.conns[c.id] = c
}

func (l *Loop) startReader(c *conn) {
	l.routines.Add(1)
	go c.read()
}

func (l *Loop) onAccepted(c *conn) {
	<-c.listener.waiting
	if l.ending || !c.listener.admit() {
		l.stats.Refused++
		c.nc.Close()
		return
	}
	l.register(c)
	if err := l.handler.Accepted(c.id, c.listener.id, c.peer); err != nil {
		l.stats.Refused++
		l.remove(c)
		return
	}
	l.stats.Accepted++
	l.startReader(c)
}

func (l *Loop) onReceived(c *conn) {
	c.readerWaits = true
	switch c.phase {
	case open:
		l.deliver(c)
	case lingering:
		c.start = len(c.in.Bytes)
		c.releaseReader()
	}
}

// deliver hands a chunk to the handler. The reader is released by settle.
func (l *Loop) deliver(c *conn) {
	l.touch(c)
	l.stats.BytesIn += uint64(c.fresh)
	data := c.in.Bytes[c.start:]
	used, err := l.handler.Received(c.id, data)
	if used < 0 || used > len(data) {
		panic(fmt.Sprintf("netloop: handler used %d of %d bytes", used, len(data)))
	}
	c.start += used
	switch {
	case err != nil:
		l.beginClose(c, err)
	case len(data)-used > l.opts.MaxUnused:
		l.beginClose(c, ring.ErrUnused)
	}
}

func (l *Loop) onReadEnded(c *conn, err error) {
	c.inputEnded = true
	switch {
	case c.phase == lingering:
		l.condemn(c, c.reason) // However it ended: we have said all.
	case errors.Is(err, io.EOF):
		l.beginClose(c, nil)
		l.touch(c)
	default:
		l.condemn(c, err)
	}
}

// beginClose ends a connection after what is queued has been sent.
func (l *Loop) beginClose(c *conn, reason error) {
	if c.phase == open {
		c.phase, c.reason = closing, reason
		l.touch(c)
	}
}

// touch makes settle look at a connection after EndOfTurn.
func (l *Loop) touch(c *conn) {
	if !c.dirty && c.phase < condemned {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// settle does what a connection needs at the end of a turn: send, pause or
// release its reader, end it.
func (l *Loop) settle(c *conn, now time.Time) {
	c.dirty = false
	for c.phase < condemned {
		l.send(c, now)
		queued := c.queued()
		switch {
		case c.phase >= lingering:
			return
		case queued > l.opts.MaxQueued:
			l.stats.Stalled++
			l.condemn(c, fmt.Errorf("%d bytes queued: %w", queued, ring.ErrStalled))
			return
		case c.phase == closing && queued == 0:
			l.linger(c)
			return
		case c.phase == open && c.readerWaits:
			l.throttle(c, queued)
		}
		waits := c.out != nil || c.phase == closing || c.paused
		if !waits || c.state.Load() == busyNotify || c.state.CompareAndSwap(busy, busyNotify) {
			return
		}
		// The writer has just become idle and will not tell: look again.
	}
}

// throttle releases the reader unless too much is queued. A paused one is looked
// at when its flight is sent, and stays paused until half of HighWater is gone,
// lest it start and stop with every write.
func (l *Loop) throttle(c *conn, queued int) {
	limit := l.opts.HighWater
	if c.paused {
		limit /= 2
	}
	if queued <= limit {
		c.releaseReader()
	} else {
		c.paused = true
	}
}

// linger ends our direction and waits for the other side to end its own. When the
// loop ends there is no such wait.
func (l *Loop) linger(c *conn) {
	if c.inputEnded || l.ending {
		l.condemn(c, c.reason)
		return
	}
	if err := errors.Join(c.closeWrite(), c.nc.SetReadDeadline(time.Now().Add(l.opts.LingerTimeout))); err != nil {
		l.condemn(c, c.reason) // The other side is gone already.
		return
	}
	c.phase = lingering
	if c.readerWaits {
		c.start = len(c.in.Bytes)
		c.releaseReader()
	}
}

// condemn ends a connection at once. The handler hears of it in the next turn,
// because it must not be called after EndOfTurn or from within its own call.
func (l *Loop) condemn(c *conn, reason error) {
	if c.phase < condemned {
		c.phase, c.reason = condemned, reason
		l.ended = append(l.ended, c)
	}
}

func (l *Loop) finishEnded() {
	ended := l.ended
	l.ended = l.endedSwap[:0]
	for _, c := range ended {
		l.remove(c)
		l.stats.Closed++
		l.handler.Closed(c.id, c.reason)
	}
	clear(ended)
	l.endedSwap = ended
}

// remove closes the socket and lets the connection's goroutines end.
func (l *Loop) remove(c *conn) {
	c.phase = gone
	delete(l.conns, c.id)
	if c.listener != nil {
		c.listener.open.Add(-1)
	}
	c.nc.Close()
	close(c.release)
	putBuffer(c.out)
	c.out = nil
}

// sweep finds connections whose queued bytes have not moved.
func (l *Loop) sweep(now time.Time) {
	for _, c := range l.conns {
		if c.phase > closing || c.handed == c.taken.Load() {
			continue
		}
		if taken := c.taken.Load(); taken != c.seenTaken {
			c.seenTaken, c.movedAt = taken, now
		} else if idle := now.Sub(c.movedAt); idle >= l.opts.StallTimeout {
			l.stats.Stalled++
			l.condemn(c, fmt.Errorf("%d bytes queued for %v: %w", c.queued(), idle.Round(time.Millisecond), ring.ErrStalled))
		}
	}
}

// Stop implements ring.Loop.
func (l *Loop) Stop(grace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.opts.Now().Add(grace)
	if !l.stopped {
		l.stopped, l.stopAt = true, at
		for _, ln := range l.listeners {
			ln.nl.Close() // Removes a Unix socket's file.
		}
		l.cancelDials()
		if !l.running {
			l.closeMail()
		}
		close(l.stopping)
	} else if at.Before(l.stopAt) {
		l.stopAt = at
	}
	l.mail.nudge()
	time.AfterFunc(grace, l.mail.nudge)
}

// seeStop begins the end of the loop, and completes it when the grace is over.
func (l *Loop) seeStop(now time.Time) {
	select {
	case <-l.stopping:
	default:
		return
	}
	l.mu.Lock()
	deadline := l.stopAt
	l.mu.Unlock()
	expired := !now.Before(deadline)
	first := !l.ending
	l.ending = true
	if !first && !expired {
		return
	}
	for _, c := range l.conns {
		switch {
		case c.phase == lingering:
			l.condemn(c, c.reason)
		case expired:
			l.condemn(c, ring.ErrLoopEnded)
		default:
			l.beginClose(c, ring.ErrLoopEnded)
		}
	}
}
