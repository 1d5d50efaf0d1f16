//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const disabledSwitch = "/proc/sys/kernel/io_uring_disabled"

// Probe says whether this host can run the loop: nil, or ErrUnavailable with what is
// missing and what to do about it. It leaves nothing open.
func Probe() error { return ProbeLoops(1) }

// ProbeLoops says whether it can run so many of them at once: their rings may take memory of
// which a user has a limit.
func ProbeLoops(n int) error {
	// The ring that is tried takes operations from its own thread only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := try(n)
	if err == nil {
		return nil
	}
	disabled, _ := os.ReadFile(disabledSwitch)
	return fmt.Errorf("%w: %w; %s", ErrUnavailable, err, remedy(err, strings.TrimSpace(string(disabled))))
}

// try makes n rings of the size that loops have, and uses each of the three system calls of one.
func try(n int) error {
	if n > 1 {
		k, err := newKernel(submissions)
		if err != nil {
			return err
		}
		defer k.close()
		return try(n - 1)
	}
	k, err := newKernel(submissions)
	if err != nil {
		return err
	}
	defer k.close()
	p, err := newPool(k, 1, os.Getpagesize())
	if err != nil {
		return err
	}
	defer p.free()
	k.ring.GetSQE().PrepareNop()
	if err := k.enter(noWait, true); err != nil {
		return err
	}
	if !k.submitted() || k.drained() {
		return errors.New("io_uring_enter: a submitted operation does not complete")
	}
	return nil
}

// remedy is for what the kernel has answered and what its switch says.
func remedy(err error, disabled string) string {
	const feature = "single-issuer rings with deferred task running and receive buffer rings, in Linux 6.1 or later"
	switch {
	case disabled == "2" || disabled == "1" && errors.Is(err, unix.EPERM):
		return "the sysctl kernel.io_uring_disabled is " + disabled + ": set it to 0"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "a security policy forbids it: allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"
	case errors.Is(err, unix.ENOSYS):
		return "the kernel lacks io_uring, or a seccomp profile hides it: it takes " + feature
	case errors.Is(err, unix.EINVAL):
		return "the kernel lacks " + feature
	case errors.Is(err, unix.ENOMEM):
		return "memory may not be locked: raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or the container's memory limit"
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "no file descriptors are left: raise RLIMIT_NOFILE (ulimit -n)"
	}
	return "it takes " + feature
}
