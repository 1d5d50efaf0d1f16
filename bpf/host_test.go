package bpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEffective(t *testing.T) {
	got, err := effective([]byte("Name:\tx\nCapPrm:\t00ff\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n"))
	if err != nil || got != 0x1fffeffffff {
		t.Errorf("%#x, %v", got, err)
	}
	for _, bad := range []string{"", "CapPrm:\t00ff\n", "CapEff:\tall\n"} {
		if _, err := effective([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMissingCapabilities(t *testing.T) {
	const bpf, perfmon, admin = uint64(1) << unix.CAP_BPF, uint64(1) << unix.CAP_PERFMON, uint64(1) << unix.CAP_SYS_ADMIN
	for has, says := range map[uint64]string{
		bpf | perfmon: "", admin: "", bpf: "without CAP_PERFMON;", perfmon: "without CAP_BPF;", 1: "without CAP_BPF CAP_PERFMON;",
	} {
		if err := missing(has); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%#x: %v, want %q", has, err, says)
		}
	}
}

// A process with other rings than it is said to have is an error that says so, and
// leaves nothing.
func TestRingsAreMissing(t *testing.T) {
	if err := CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	root := fmt.Sprintf("%s-test-%d", Root, os.Getpid())
	ended, end := context.WithCancel(t.Context())
	end() // It looks once.
	err := On(ended, root, Target{Node: "n", PID: os.Getpid(), Loops: 1})
	if !errors.Is(err, ErrRings) || !strings.Contains(err.Error(), "1 loops, 0 rings") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", root, err)
	}
}

// Pins belong into a BPF file system.
func TestPinsElsewhere(t *testing.T) {
	err := folderOf(t.TempDir(), "n").create()
	if !errors.Is(err, ErrHost) || !strings.Contains(err.Error(), filesystem) {
		t.Errorf("%v", err)
	}
}

// Each need that is not met has a line, and the others say what was found.
func TestNeeds(t *testing.T) {
	needs := Needs(t.TempDir())
	last := needs[len(needs)-1]
	if last.Name != "bpffs" || last.Err == nil || !strings.Contains(last.Err.Error(), "in no BPF file system") {
		t.Errorf("pins in a folder of another file system: %+v", last)
	}
	for _, n := range needs {
		if n.Name == "" || (n.Err == nil) != (n.Found != "") || n.Err != nil && (!strings.HasPrefix(n.Err.Error(), n.Name+": ") || strings.Contains(n.Err.Error(), "\n")) {
			t.Errorf("%+v", n)
		}
	}
	if _, err := firstOf("pid:[4026532000]"); err == nil || !strings.Contains(err.Error(), "outside the container") {
		t.Errorf("another PID namespace: %v", err)
	}
}
