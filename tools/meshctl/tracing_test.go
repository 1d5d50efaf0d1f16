package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causalmesh/bpf"
)

// TestTracingSession runs the commands of docs/tracing.md, one after the other.
func TestTracingSession(t *testing.T) {
	document, err := os.ReadFile("../../docs/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("bpftool"); err != nil {
		t.Skip("NOT TESTED: there is no bpftool; install it (Debian: apt-get install bpftool)")
	}
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	s := newShell(t)
	state := s.up("-n", "1", "--store", "mem", "--", "--io", "uring")
	root := fmt.Sprintf("%s-test-%d", bpf.Root, os.Getpid())
	t.Cleanup(func() { _ = bpf.Off(root, "0") })
	// What the page does not say: where things are here, and something to see.
	prologue := fmt.Sprintf(`set -euo pipefail
ADMIN=%s
PATH=%s:$PATH
meshctl() {
	case $1 in
	hash) command meshctl "$@" ;;
	top) command meshctl "$@" --pins %[3]s ;;
	*) command meshctl "$@" --pins %[3]s --timeout %[4]s ;;
	esac
}
`, state.Nodes[0].Admin, s.bin, root, commandTimeout)
	put := fmt.Sprintf("command meshctl --target unix:%s --timeout %s put key value\n", state.Nodes[0].Unix, commandTimeout)
	script, commands := prologue, 0
	for i, part := range strings.Split(string(document), "```") {
		lines, is := strings.CutPrefix(part, "sh\n")
		if i%2 == 0 || !is {
			continue
		}
		for line := range strings.Lines(lines) {
			script += put + strings.ReplaceAll(line, bpf.Root, root)
			commands++
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*within) // some 50 programs
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script)
	shell.Dir, shell.WaitDelay = s.dir, time.Second // a child may hold the output
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if commands < 24 {
		t.Errorf("%d commands", commands)
	}
	for _, want := range []string{
		"node 0 (process", "OPERATION", "programs/answered", "raw_tracepoint", "\"loops\": 1", "STRUCT 'cm_operation'",
		"io_uring_submit_", "on_ready", "\"requests\"", "\"unreadable\": 0", "run_time_ns", "probes are off",
		"KEY HASH", "3dc94a190b925af5  key", "STRUCT 'cm_histogram'", "\"sum\"", "\"outlier_ns\": 5000000",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "0")); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", root, err)
	}
}
