package load

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pollAtMost is how long a driver sleeps at most: it may be told to end.
	pollAtMost = 50 * time.Millisecond
	// overdueEvery is how often it looks for operations that take too long.
	overdueEvery = 100 * time.Millisecond
)

// driver drives some connections and their sessions on a thread of its own. It sends
// the requests of all sessions that are free in one write per connection, and reads
// what has arrived in one read: so it costs little beside a server on the same
// machine.
type driver struct {
	crew
	run     *run
	codec   codec
	conns   []*conn
	at      [][]*conn // by target
	into    *recorder
	polled  []unix.PollFd
	checked time.Duration // when it looked for overdue operations
}

// work has the sessions do what a source says, until there is no more.
func (d *driver) work(from source) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Timers of a thread may be late by 50 µs otherwise. It is an optimisation.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	d.start(from)
	d.checked = 0
	for {
		now := d.run.elapsed()
		d.into.mu.Lock()
		err := d.begin(now, func(s *session) error { return d.send(s, now) })
		d.into.mu.Unlock()
		if err != nil || d.atRest() {
			return err
		}
		for _, c := range d.conns {
			if err := c.flush(); err != nil {
				return d.failed(c, err)
			}
		}
		if err := d.wait(d.idle(now, pollAtMost)); err != nil {
			return err
		}
		if now-d.checked >= overdueEvery {
			d.checked = now
			if err := d.overdue(now); err != nil {
				return err
			}
		}
	}
}

// send queues the request of a session's operation.
func (d *driver) send(s *session, now time.Duration) error {
	if s.op.to != s.at {
		there := d.at[s.op.to]
		s.conn, s.at = there[s.rng.IntN(len(there))], s.op.to
	}
	c := s.conn
	before := len(c.out)
	out, err := d.codec.request(c.out, s)
	if err != nil {
		return d.failed(c, err)
	}
	c.out, s.asked = out, now
	s.sent += len(out) - before
	return nil
}

// wait waits for replies, at most for a time, and takes them in. One that spins does not wait.
func (d *driver) wait(most time.Duration) error {
	for i, c := range d.conns {
		d.polled[i] = unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN}
		if len(c.out) > 0 {
			d.polled[i].Events |= unix.POLLOUT
		}
	}
	if d.run.o.Spin {
		most = 0
	}
	timeout := unix.NsecToTimespec(int64(most))
	n, err := unix.Ppoll(d.polled, &timeout, nil)
	if n == 0 || err == unix.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	for i, c := range d.conns {
		if d.polled[i].Revents&^unix.POLLOUT == 0 {
			continue
		}
		err := c.receive()
		if err == nil {
			err = d.take(c)
		}
		if err != nil {
			return d.failed(c, err)
		}
	}
	return nil
}

// take takes in the replies that a connection has received.
func (d *driver) take(c *conn) error {
	now := d.run.elapsed()
	d.into.mu.Lock()
	defer d.into.mu.Unlock()
	buf := c.in
	for len(buf) > 0 {
		a, err := d.codec.reply(c, buf)
		if err != nil {
			return err
		}
		if a.size == 0 {
			break
		}
		buf = buf[a.size:]
		if s := a.session; s != nil {
			s.received += a.size
			if err := d.goOn(s, &a, now); err != nil {
				return err
			}
		}
	}
	c.used(len(c.in) - len(buf))
	return nil
}

// goOn takes a session's operation a step further.
func (d *driver) goOn(s *session, a *answer, now time.Duration) error {
	switch a.step {
	case stepPrepared:
		now = d.run.elapsed() // without the time that the preparation's end took
		s.due, s.began, s.sent, s.received = now, now, 0, 0
		return d.send(s, now)
	case stepAgain:
		if now-s.began > d.run.o.Timeout {
			return d.end(s, false, fmt.Errorf("%w: not begun within %v: %w", ErrRefused, d.run.o.Timeout, a.err), now)
		}
		d.pause(s, now)
		return nil
	}
	return d.end(s, a.found, a.err, now)
}

// overdue returns an error if some operation has waited too long for a reply.
func (d *driver) overdue(now time.Duration) error {
	for _, s := range d.sessions {
		if s.under && s.until <= s.asked && now-s.asked > d.run.o.Timeout {
			what := "write"
			if s.op.read {
				what = "read"
			}
			return d.failed(s.conn, fmt.Errorf("no reply to a %s of %s within %v", what, d.run.keys.key(s.op.rank), d.run.o.Timeout))
		}
	}
	return nil
}

func (d *driver) failed(c *conn, err error) error {
	return fmt.Errorf("%s: %w", d.run.o.Targets[c.target], err)
}
