//go:build linux

package uring

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// alarm wakes the loop's thread. The eventfd is written only if the thread sleeps or
// is about to, once per sleep, and is never read: a multishot poll completes with
// every write.
type alarm struct {
	asleep atomic.Bool
	mu     sync.Mutex // guards fd against being closed during a write
	fd     int        // -1 while the loop does not run
}

func (a *alarm) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	a.mu.Lock()
	a.fd = fd
	a.mu.Unlock()
	return nil
}

func (a *alarm) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
	}
}

var one = [8]byte{0: 1} // In either byte order, more than nothing.

// ring follows the storing of a reason to wake up. The loop looks for reasons after
// it has set asleep, so one of the two sees the other.
func (a *alarm) ring() {
	if !a.asleep.Load() || !a.asleep.Swap(false) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		// It fails only when 2^64-2 writes are unread: the poll has completed then.
		_, _ = unix.Write(a.fd, one[:])
	}
}

// Wake implements ring.Loop.
func (l *Loop) Wake() {
	if !l.woken.Load() && !l.woken.Swap(true) {
		l.alarm.ring()
	}
}
