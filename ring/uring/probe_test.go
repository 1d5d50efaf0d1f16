//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

// Where the suite runs, the loop does.
func TestProbe(t *testing.T) {
	if err := Probe(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	before := mapped(t)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := Probe(); err != nil {
			t.Fatal(err)
		}
	}
	after, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	if len(after) > len(files) {
		t.Errorf("%d open files, before %d", len(after), len(files))
	}
	if after := mapped(t); after != before {
		t.Errorf("mapped %+v, before %+v", after, before)
	}
}

// A container's seccomp profile answers for the kernel.
func TestProbeWhereForbidden(t *testing.T) {
	const setup, enter, register = 425, 426, 427
	cases := []struct {
		call   uint32
		answer syscall.Errno
		say    string
	}{
		{setup, unix.EPERM, "seccomp"},
		{enter, unix.EPERM, "seccomp"},
		{register, unix.EPERM, "seccomp"},
		{setup, unix.ENOSYS, "6.1"},
		{setup, unix.EINVAL, "6.1"},
		{register, unix.EINVAL, "6.1"},
		{setup, unix.ENOMEM, "RLIMIT_MEMLOCK"},
		{setup, unix.EMFILE, "RLIMIT_NOFILE"},
	}
	if err := Probe(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%d %v", c.call, c.answer), func(t *testing.T) {
			var probed, made error
			onFilteredThread(t, c.call, c.answer, func() {
				probed = Probe()
				_, made = New(ring.Options{})
			})
			for _, err := range []error{probed, made} {
				if !errors.Is(err, ErrUnavailable) || !errors.Is(err, c.answer) || !strings.Contains(fmt.Sprint(err), c.say) {
					t.Errorf("%v; want %v because of %v, and to hear of %s", err, ErrUnavailable, c.answer, c.say)
				}
			}
		})
	}
}

// onFilteredThread runs f where a system call is answered with an error. The thread
// ends with it.
func onFilteredThread(t *testing.T, call uint32, answer syscall.Errno, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // And never unlocked.
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // The number of the call.
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(answer)},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		}
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skipf("NOT TESTED: no seccomp filter: %v", err)
	}
}

func TestRemedyNamesTheSwitch(t *testing.T) {
	for _, c := range []struct{ disabled, say string }{
		{"2", "kernel.io_uring_disabled is 2"},
		{"1", "kernel.io_uring_disabled is 1"},
		{"0", "seccomp"},
		{"", "seccomp"},
	} {
		if got := remedy(unix.EPERM, c.disabled); !strings.Contains(got, c.say) {
			t.Errorf("with the switch at %q: %s; want %s", c.disabled, got, c.say)
		}
	}
}
