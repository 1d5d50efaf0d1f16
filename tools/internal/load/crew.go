package load

import (
	"errors"
	"time"
)

// errorPause is what a session waits after an error, so that a server that refuses
// everything at once is not flooded with more than it would serve.
const errorPause = time.Millisecond

// session is one session of a driver.
type session struct {
	chooser
	index int
	conn  *conn
	flow  *workflow // causalmesh's half of the protocol; nil for other systems
	op    op
	// due is when the operation began, or should have in an open loop: latency counts
	// from then. began is when it did, and asked when its last request was sent.
	due, began, asked time.Duration
	lag               time.Duration
	freed             time.Duration // when the session had nothing to do any more
	until             time.Duration // end of its pause
	under             bool          // an operation is under way
	sent, received    int           // bytes of the operation
	flight            flight
}

// choice is what a source has for a session.
type choice uint8

const (
	begins choice = iota // s.op, which is due since s.due
	waits                // nothing is due yet
	rests                // nothing more in this phase
)

// source says what sessions do, and takes what became of it.
type source interface {
	// take chooses for a session that is free.
	take(s *session, now time.Duration) choice
	// next is when something falls due for sessions that wait.
	next() time.Duration
	// ended is told of each operation that has ended, with err or without. It returns
	// what becomes of the session.
	ended(s *session, found bool, err error, now time.Duration) (verdict, error)
}

// verdict is what becomes of a session whose operation has ended.
type verdict uint8

const (
	goesOn  verdict = iota
	pauses          // and goes on then
	repeats         // the same operation, after a pause
)

// crew is the sessions of one driver: which are free, which pause and which are done.
// It does no I/O and has no clock.
type crew struct {
	sessions []*session
	source   source
	free     queue // that for longest first
	pausing  queue // all pause equally long, so in the order of until
	resting  int
}

// start gives all sessions, which must be at rest, to a source.
func (c *crew) start(from source) {
	c.source, c.resting = from, 0
	for _, s := range c.sessions {
		s.freed, s.until = 0, 0
		c.free.push(s)
	}
}

func (c *crew) atRest() bool { return c.resting == len(c.sessions) }

// begin has send send what is due, one request for each session that is free.
func (c *crew) begin(now time.Duration, send func(*session) error) error {
	for s := c.pausing.head(); s != nil && s.until <= now; s = c.pausing.head() {
		c.pausing.pop()
		if !s.under {
			s.freed = now
			c.free.push(s)
		} else if err := send(s); err != nil {
			return err
		}
	}
	for s := c.free.head(); s != nil; s = c.free.head() {
		switch c.source.take(s, now) {
		case waits:
			return nil
		case rests:
			c.free.pop()
			c.resting++
			continue
		}
		c.free.pop()
		s.under, s.began, s.sent, s.received, s.flight = true, now, 0, 0, flight{}
		if err := send(s); err != nil {
			return err
		}
	}
	return nil
}

// idle is how long nothing will be due, if no reply comes; at most as long as given.
func (c *crew) idle(now, most time.Duration) time.Duration {
	if c.free.count > 0 {
		most = min(most, c.source.next()-now)
	}
	if s := c.pausing.head(); s != nil {
		most = min(most, s.until-now)
	}
	return max(0, most)
}

// end takes the end of a session's operation.
func (c *crew) end(s *session, found bool, failure error, now time.Duration) error {
	v, err := c.source.ended(s, found, failure, now)
	if err != nil {
		return err
	}
	s.under = v == repeats
	if v == goesOn {
		s.freed = now
		c.free.push(s)
		return nil
	}
	c.pause(s, now)
	return nil
}

func (c *crew) pause(s *session, now time.Duration) {
	s.until = now + errorPause
	c.pausing.push(s)
}

// load is the source of a driver's sessions while the load lasts.
type load struct {
	run      *run
	arrivals *arrivals // nil in a closed loop
	into     *tally
}

func (l *load) take(s *session, now time.Duration) choice {
	end := l.run.end()
	if l.arrivals == nil {
		if now >= end {
			return rests
		}
		s.op, s.due, s.lag = s.chooser.next(), now, 0
		return begins
	}
	due := l.arrivals.due()
	if due >= end || now >= end {
		l.into.counts.unserved += l.arrivals.leave(end)
		return rests
	}
	if due > now {
		return waits
	}
	l.arrivals.take()
	s.op, s.due, s.lag = s.chooser.next(), due, 0
	if s.freed <= due {
		s.lag = now - due
	}
	return begins
}

func (l *load) next() time.Duration { return min(l.arrivals.due(), l.run.end()) }

func (l *load) ended(s *session, found bool, err error, now time.Duration) (verdict, error) {
	o := operation{
		read: s.op.read, count: 1, err: err, latency: now - s.due, lag: s.lag,
		sent: s.sent, received: s.received, flight: s.flight,
		measured: s.began >= l.run.o.WarmUp && s.began < l.run.end(),
	}
	if s.op.read && !found {
		o.absent = 1
	}
	l.into.add(o)
	if err != nil && l.arrivals == nil {
		return pauses, nil
	}
	return goesOn, nil
}

// chore is the source of a driver's sessions while they prepare.
type chore struct{ *preparation }

func (c chore) take(s *session, now time.Duration) choice {
	var more bool
	if s.op, more = c.preparation.next(s.index, &s.chooser); !more {
		return rests
	}
	s.due = now
	return begins
}

func (c chore) next() time.Duration { return 0 }

func (c chore) ended(s *session, found bool, err error, now time.Duration) (verdict, error) {
	switch err = c.judge(found, err); {
	case err == nil:
		c.done.Add(1)
		return goesOn, nil
	case errors.Is(err, ErrRefused) && now-s.began < c.patience && c.ctx.Err() == nil:
		return repeats, nil
	}
	return goesOn, c.refused(err)
}
