//go:build linux

package uring

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// A kernel that refuses the ring ends Run with the reason, and leaves nothing behind.
func TestRunWithoutRing(t *testing.T) {
	check, before := looptest.LeakCheck(t), mapped(t)
	l := newLoop(t, ring.Options{})
	l.submissions = 1 << 20
	address := looptest.Listen(t, l, "unix")
	if err := l.Run(&looptest.Handler{Loop: l}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Run: %v, want %v", err, unix.EINVAL)
	}
	if _, err := os.Lstat(address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's file: %v", err)
	}
	l.Stop(0)
	l.Wake()
	check()
	if after := mapped(t); after != before {
		t.Errorf("mapped %+v, before %+v", after, before)
	}
}

// A kernel that fails the running loop ends it: every connection is closed, every Dial
// answered, and the handler is told.
func TestRingThatFails(t *testing.T) {
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			check := looptest.LeakCheck(t)
			l := newLoop(t, ring.Options{})
			closed, connected := make(chan error, 1), make(chan error, 1)
			s := &looptest.Handler{
				Loop:        l,
				OnClosed:    func(_ ring.ConnID, err error) { closed <- err },
				OnConnected: func(_ uint64, _ ring.ConnID, err error) { connected <- err },
			}
			address := looptest.Listen(t, l, network)
			done := make(chan error, 1)
			go func() { done <- l.Run(s) }()
			nc := looptest.Dial(t, network, address)
			looptest.RoundTrip(t, nc, "all is well")
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			s.Do(t, func() { // The ring's descriptor becomes another file's.
				if err := unix.Dup3(int(null.Fd()), l.kernel.ring.RingFd(), unix.O_CLOEXEC); err != nil {
					t.Error(err)
				}
				l.Dial(1, network, address, looptest.Patience)
			})
			null.Close()
			failed := looptest.Receive(t, done, "Run to return")
			if failed == nil {
				t.Error("Run returned no error")
			}
			if err := looptest.Receive(t, closed, "Closed"); !errors.Is(err, failed) {
				t.Errorf("the connection ended with %v, want %v", err, failed)
			}
			if err := looptest.Receive(t, connected, "Connected"); err == nil {
				t.Error("connected")
			}
			looptest.ExpectEOF(t, nc)
			nc.Close()
			check()
		})
	}
}
