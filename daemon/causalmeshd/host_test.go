package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/ring/uring"
)

// checkHost runs -check-host in a shell, after a command that changes what there is.
func checkHost(t *testing.T, before string) (code int, lines []string) {
	t.Helper()
	out, err := exec.Command("bash", "-c", fmt.Sprintf("%s; exec %s -check-host", before, program)).CombinedOutput()
	return exitCode(err), strings.Split(strings.TrimSpace(string(out)), "\n")
}

func contain(lines []string, want string) bool {
	for _, line := range lines {
		if strings.Contains(line, want) {
			return true
		}
	}
	return false
}

// What is printed agrees with what the daemon finds when it starts.
func TestCheckHost(t *testing.T) {
	code, lines := checkHost(t, "true")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, strings.Join(lines, "\n"))
	}
	last := lines[len(lines)-1]
	if met := uring.Probe() == nil && bpf.CheckHost() == nil; !strings.Contains(last, "can run here") || met && strings.Contains(last, "no probes") {
		t.Errorf("probes are possible: %v, but: %s", met, last)
	}
	for _, name := range []string{
		"processors", "open files", "sockets", "memory", "io_uring", "rings", "table", "BTF", "capabilities", "PID namespace", "bpffs", "threads",
	} {
		if !contain(lines, "  yes  "+name) && !contain(lines, "  NO   "+name) {
			t.Errorf("nothing is said of %s:\n%s", name, strings.Join(lines, "\n"))
		}
	}
}

// Where it cannot run it says so, and what would help where something would.
func TestCheckHostWithout(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		before string
		code   int
		want   []string
	}{
		// Standard streams and what Go's runtime needs, and nothing else.
		{"ulimit -n 5", exitFailed, []string{"NO   sockets", "NO   memory", "cannot run here"}},
		{"ulimit -n 1000", 0, []string{"up to 436 connections", "ulimit -n 32896"}},
	} {
		code, lines := checkHost(t, c.before)
		for _, want := range c.want {
			if !contain(lines, want) || code != c.code {
				t.Errorf("%s: exit code %d, no %q in\n%s", c.before, code, want, strings.Join(lines, "\n"))
			}
		}
	}
	as := asNobody(t, openDir(t))
	command := exec.Command(program, "-check-host")
	command.SysProcAttr = as
	out, err := command.CombinedOutput()
	for _, want := range []string{"without CAP_BPF CAP_PERFMON", "-> run this as root", "NO   bpffs", "can run here, but: no probes"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("without privileges: %v, no %q in\n%s", err, want, out)
		}
	}
}

// Where a security policy forbids io_uring it is said so, and what goes with it.
func TestCheckHostUnderPolicy(t *testing.T) {
	var out []byte
	var err error
	onFilteredThread(t, func() { out, err = exec.Command(program, "-check-host").CombinedOutput() })
	for _, want := range []string{"NO   io_uring       io_uring", "seccomp profile", "but: bytes move through the net package", "no probes"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: no %q in\n%s", err, want, out)
		}
	}
}

// onFilteredThread runs f where io_uring is forbidden, also to the processes that it starts. The
// thread ends with it.
func onFilteredThread(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // And never unlocked.
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // The number of the call.
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_IO_URING_SETUP},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		}
		policy := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&policy)), 0, 0)
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
