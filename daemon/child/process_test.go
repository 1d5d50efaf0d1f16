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

// startTrapped starts a shell that lives until it is ended, and waits until it has set
// its trap for SIGTERM.
func startTrapped(t *testing.T, trap string) *Process {
	t.Helper()
	ready := t.TempDir() + "/ready"
	p := start(t, "trap '"+trap+"' TERM; touch "+ready+"; while :; do sleep 0.01; done")
	for deadline := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			return p
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestStopOfOneThatEndsWell(t *testing.T) {
	if err := startTrapped(t, "exit 0").Stop(within); err != nil {
		t.Fatal(err)
	}
}

func TestStopKillsTheDeaf(t *testing.T) {
	p := startTrapped(t, "")
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
