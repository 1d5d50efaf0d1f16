package child

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const within = 30 * time.Second

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(exec.Command("/bin/sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestStop(t *testing.T) {
	p := start(t, "exec sleep 60")
	if p.Err() != nil {
		t.Fatalf("ended: %v", p.Err())
	}
	var exit *exec.ExitError
	if err := p.Stop(within); !errors.As(err, &exit) {
		t.Fatalf("a process that SIGTERM ended: %v, want how it ended", err)
	}
	if !gone(p.PID()) {
		t.Fatal("it still runs")
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, ErrEnded) {
		t.Fatalf("signal: %v, want %v", err, ErrEnded)
	}
}

func TestStopOfOneThatEndsWell(t *testing.T) {
	ready := t.TempDir() + "/ready"
	p := start(t, "trap 'exit 0' TERM; touch "+ready+"; while :; do sleep 0.01; done")
	for deadline := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if err := p.Stop(within); err != nil {
		t.Fatal(err)
	}
}

func TestStopKillsTheDeaf(t *testing.T) {
	p := start(t, "trap '' TERM; while :; do sleep 0.01; done")
	_ = p.Signal(syscall.SIGSTOP) // deaf for certain, trap or not
	if err := p.Stop(20 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within") {
		t.Fatalf("error %v", err)
	}
	if !gone(p.PID()) {
		t.Fatal("it still runs")
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(exec.Command("/no/such/program")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("error %v, want %v", err, os.ErrNotExist)
	}
}

func TestOwnProcessGroup(t *testing.T) {
	p := start(t, "exec sleep 60")
	group, err := syscall.Getpgid(p.PID())
	if err != nil || group != p.PID() {
		t.Fatalf("process group %d, %v; want its own, %d", group, err, p.PID())
	}
}
