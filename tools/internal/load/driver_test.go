package load

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestSpin: a driver that spins does not wait for what is not there.
func TestSpin(t *testing.T) {
	d := &driver{run: &run{o: &Options{Spin: true}}}
	if err := d.wait(time.Hour); err != nil {
		t.Error(err)
	}
}

// busyDriver has a session with an operation that began, and was asked for, a while ago.
func busyDriver(t *testing.T) (*driver, *session) {
	t.Helper()
	o, err := ParseArgs([]string{"--target", "redis:unix:none"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(&o)
	r.ends.Store(int64(time.Hour))
	s := &session{chooser: newChooser(&o, 0), conn: &conn{}, op: op{read: true}, under: true, began: o.WarmUp, asked: o.WarmUp}
	d := &driver{run: r, into: newRecorder(&o), crew: crew{sessions: []*session{s}}}
	d.source = &load{run: r, into: &d.into.tally}
	return d, s
}

// TestOverdue: a request is overdue after the timeout, unless none is under way.
func TestOverdue(t *testing.T) {
	d, s := busyDriver(t)
	late := s.asked + d.run.o.Timeout + 1
	if err := d.overdue(late - 1); err != nil {
		t.Errorf("after the timeout: %v", err)
	}
	if err := d.overdue(late); err == nil || !strings.Contains(err.Error(), "no reply to a read of k00000000000 within 5s") {
		t.Errorf("after more than the timeout: %v", err)
	}
	if s.until = s.asked + 1; d.overdue(late) != nil {
		t.Error("overdue while it pauses")
	}
	if s.until, s.under = 0, false; d.overdue(late) != nil {
		t.Error("overdue without an operation")
	}
}

// TestGivenUp: an operation that cannot begin is tried again until the timeout, and is
// then an error.
func TestGivenUp(t *testing.T) {
	d, s := busyDriver(t)
	again := &answer{session: s, step: stepAgain, err: errInFlight}
	late := s.began + d.run.o.Timeout + 1
	if err := d.goOn(s, again, late-1); err != nil || !s.under || d.pausing.pop() != s || d.into.counts.errors != 0 {
		t.Errorf("after the timeout: %v, %+v", err, d.into.counts)
	}
	if err := d.goOn(s, again, late); err != nil || s.under || d.into.counts.errors != 1 {
		t.Errorf("after more than the timeout: %v, %+v", err, d.into.counts)
	}
	if err := d.into.firstError; !errors.Is(err, ErrRefused) || !errors.Is(err, errInFlight) {
		t.Errorf("given up with %v", err)
	}
}
