//go:build linux

package uring

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// An end that the receive under way has missed, which kernels let happen (listenAgain),
// is brought by the next one.
func TestMissedEndIsFound(t *testing.T) {
	l := newLoop(t, ring.Options{Tick: time.Hour, StallTimeout: time.Hour})
	s := &looptest.Handler{Loop: l}
	closed := make(chan error, 1)
	s.OnClosed = func(_ ring.ConnID, err error) { closed <- err }
	nc := looptest.Dial(t, "unix", looptest.Serve(t, "unix", s))
	looptest.RoundTrip(t, nc, "before")
	s.Do(t, func() {
		// The receive stays with the socket that it was armed on, whose other side is open;
		// the descriptor becomes that of a socket whose other side has closed.
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		unix.Close(pair[1])
		if err := unix.Dup3(pair[0], l.slots[0].fd, unix.O_CLOEXEC); err != nil {
			t.Error(err)
		}
		unix.Close(pair[0])
	})
	if err := looptest.Receive(t, closed, "Closed"); err != nil {
		t.Errorf("ended with %v, want an orderly end", err)
	}
}
