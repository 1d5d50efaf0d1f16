package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/daemon/store/redisproc"
	"causalmesh/tools/internal/workload"
)

// causalmeshd is the program that the tests run, built from this tree.
var causalmeshd string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "trialtest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	causalmeshd = filepath.Join(dir, "causalmeshd")
	build := exec.Command("go", "build", "-o", causalmeshd, "causalmesh/daemon/causalmeshd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build causalmeshd:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// needRedis skips a test of what cannot be had without a real redis-server.
func needRedis(t *testing.T) {
	t.Helper()
	if _, err := redisproc.Find(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
}

// options are for a short trial, whose output is shown if the test fails.
func options(t *testing.T, duration time.Duration) (Options, *strings.Builder) {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED with -short: it runs real processes for seconds")
	}
	t.Setenv("TMPDIR", shortDir(t))
	out := &strings.Builder{}
	o := Defaults(duration)
	o.Binary, o.Out, o.leastOps = causalmeshd, out, 5000
	if way := os.Getenv("TRIAL_TRANSPORT"); way != "" { // as make loops has it
		o.Transport = way
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return o, out
}

// shortDir is a directory whose path leaves room for a Unix socket's name; that of
// t.TempDir has the test's name in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// wantClean demands that a trial has left no directory behind.
func wantClean(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func wantRows(t *testing.T, out *strings.Builder, rows ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, row := range rows {
		if !strings.Contains(text, row) {
			t.Errorf("the output lacks %q", row)
		}
	}
}

func TestDemo(t *testing.T) {
	needRedis(t)
	o, out := options(t, time.Second)
	if err := Demo(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantClean(t)
	wantRows(t, out, "3 × causalmeshd", o.transport(), "store redis-server", "joins", "writes with a TTL", "anomalies 0", "lost writes 0")
}

func TestDemoOfTheOtherSettings(t *testing.T) {
	o, out := options(t, 500*time.Millisecond)
	o.Store, o.Propagation, o.Ack = memStore, causal.TwoRound, causal.AckReplicated
	if err := Demo(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantClean(t)
	wantRows(t, out, "propagation two-round, acknowledged replicated", "store none (mem)", "anomalies 0")
}

func TestSoak(t *testing.T) {
	needRedis(t)
	o, out := options(t, 4*time.Second)
	if err := Soak(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantClean(t)
	wantRows(t, out, "links half-open", "redis-server restarted", "anomalies 0", "lost writes 0")
}

func TestPartition(t *testing.T) {
	o, out := options(t, 2*time.Second)
	o.PendingBytes, o.readGap = 1<<20, calmPatience // on a busy machine
	if err := Partition(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantClean(t)
	wantRows(t, out, "--max-memory 256MiB, pending bytes 1MiB", "anomalies 0", "lost writes 0")
}

func TestOutage(t *testing.T) {
	needRedis(t)
	o, out := options(t, time.Second)
	if err := Outage(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantClean(t)
	wantRows(t, out, "all gave ErrUnavailable", "0 differ", "anomalies 0", "lost writes 0")
}

func TestReplicated(t *testing.T) {
	o, out := options(t, 500*time.Millisecond)
	if err := Replicated(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantClean(t)
	wantRows(t, out, "link restored: Retry returned", "lost with its head, as documented")
}

// TestReplicatedNoticesLoss does what Replicated does with nodes that acknowledge
// before the next one has the write.
func TestReplicatedNoticesLoss(t *testing.T) {
	o, _ := options(t, 100*time.Millisecond)
	o.Ack = causal.AckLocal
	s, err := newStage(t.Context(), &o, needs{noStore: true, cuttable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.endKilled(t.Context(), nil) }()
	if err := s.cutWrite(t.Context()); !errors.Is(err, ErrVerdict) {
		t.Errorf("a write that was acknowledged without the successor: %v, want %v", err, ErrVerdict)
	}
	// The link works until it is frozen: what is lost is lost then.
	s.node(successor).Incoming.Restore()
	linked, cancel := context.WithTimeout(t.Context(), enoughWithin)
	defer cancel()
	awaitWork(linked, func() bool {
		status, err := s.node(successor).Status(linked)
		return err == nil && status.Server.Received[head] > 0
	})
	s.heldBack = enoughWithin // which it ends before
	var tally workload.Tally
	highest, err := s.writeUntilKilled(t.Context(), world{hot: replicatedKeys}.keys(), &tally)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.node(successor).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if received := status.Server.Received; received[head] <= 1 || received.Covers(highest) {
		t.Errorf("node %d has %v of the writes up to %v, want some and not the last: the trial would not notice a loss", successor, received, highest)
	}
}

// TestInterrupt ends a trial in its midst, as Ctrl-C does.
func TestInterrupt(t *testing.T) {
	o, out := options(t, time.Minute)
	o.Store = memStore
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := newStage(ctx, &o, needs{cuttable: true})
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, n := range s.ring.Nodes {
		pids = append(pids, n.PID())
	}
	go func() {
		defer cancel()
		awaitWork(ctx, func() bool {
			status, err := s.node(head).Status(ctx)
			return err == nil && status.Daemon.Requests > 100
		})
	}()
	err = s.demo(ctx)
	if err = s.finish(ctx, err); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want %v; output %s", err, context.Canceled, out)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("pid %d: %v; it still runs", pid, err)
		}
	}
	wantClean(t)
}

// TestFailureKeepsTheEvidence lets a trial fail and looks for what is needed to find
// out why.
func TestFailureKeepsTheEvidence(t *testing.T) {
	o, _ := options(t, time.Minute)
	o.Store = memStore
	s, err := newStage(t.Context(), &o, needs{})
	if err != nil {
		t.Fatal(err)
	}
	s.recorder = check.NewRecorder([]string{"k"})
	if err := s.finish(t.Context(), ErrVerdict); !errors.Is(err, ErrVerdict) || !strings.Contains(err.Error(), s.dir) {
		t.Fatalf("error %v, want %v and the directory", err, ErrVerdict)
	}
	if log, err := os.ReadFile(filepath.Join(s.dir, "node0.log")); err != nil || len(log) == 0 {
		t.Errorf("the log of node 0 is %q, %v", log, err)
	}
	if err := CheckFile(o, filepath.Join(s.dir, "history")); err != nil {
		t.Errorf("the history: %v", err)
	}
}

// TestSabotage changes a history that real processes have made, in the ways in which a
// wrong program would have made it, and has it judged again.
func TestSabotage(t *testing.T) {
	o, _ := options(t, 500*time.Millisecond)
	o.Store, o.History = memStore, filepath.Join(t.TempDir(), "history")
	if err := Demo(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := CheckFile(o, o.History); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	text, err := os.ReadFile(o.History)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range sabotages {
		t.Run(name, func(t *testing.T) {
			lines := strings.SplitAfter(string(text), "\n")
			want := spoil(t, lines)
			path := filepath.Join(t.TempDir(), "history")
			if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
				t.Fatal(err)
			}
			out := &strings.Builder{}
			o.Out = out
			if err := CheckFile(o, path); !errors.Is(err, want) {
				t.Fatalf("error %v, want %v; output %s", err, want, out)
			}
		})
	}
}

// sabotages change lines in place (the form is described in package check) and return
// what the judge must say. Each line is a letter and fields.
var sabotages = map[string]func(*testing.T, []string) error{
	"a session does not find what it wrote": func(t *testing.T, lines []string) error {
		var written []string // keys, by the process at hand
		for i, l := range lines {
			switch f := strings.Fields(l); {
			case len(f) == 0:
			case f[0] == "p":
				written = written[:0]
			case f[0] == "w" && f[len(f)-1] == "a":
				written = append(written, f[1])
			case f[0] == "r" && f[2] == "v" && slices.Contains(written, f[1]):
				lines[i] = fmt.Sprintf("r %s n 0 0.0.0 0@0\n", f[1])
				return ErrVerdict
			}
		}
		t.Fatal("no session reads what it wrote")
		return nil
	},
	"a value that nobody wrote": func(t *testing.T, lines []string) error {
		return change(t, lines, func(f []string) bool { return f[0] == "r" && f[2] == "v" }, 3, "9223372036854775000")
	},
	"a node has another value at the end": func(t *testing.T, lines []string) error {
		return change(t, lines, func(f []string) bool { return f[0] == "i" && f[2] == "v" }, 2, "n")
	},
	"a node has something in its I-cache at the end": func(t *testing.T, lines []string) error {
		return change(t, lines, func(f []string) bool { return f[0] == "s" }, 2, "1")
	},
	"all nodes have lost a key": func(t *testing.T, lines []string) error {
		at := map[string][]int{} // lines by key
		for i, l := range lines {
			f := strings.Fields(l)
			if len(f) == 0 || f[0] != "i" || f[2] != "v" {
				continue
			}
			key := f[1]
			if at[key] = append(at[key], i); len(at[key]) < nodes {
				continue
			}
			for _, i := range at[key] {
				lines[i] = fmt.Sprintf("i %s n 0 0.0.0 0@0\n", key)
			}
			return ErrVerdict
		}
		t.Fatal("no key has a value at all nodes at the end")
		return nil
	},
	"two writes have one dot": func(t *testing.T, lines []string) error {
		dot := ""
		for i, l := range lines {
			f := strings.Fields(l)
			if len(f) == 0 || f[0] != "w" || f[len(f)-1] != "a" {
				continue
			}
			if dot != "" {
				f[3] = dot
				lines[i] = strings.Join(f, " ") + "\n"
				return ErrVerdict
			}
			dot = f[3]
		}
		t.Fatal("no writes")
		return nil
	},
	"the end is missing": func(_ *testing.T, lines []string) error {
		clear(lines[len(lines)/2:])
		return check.ErrSyntax
	},
}

// change replaces a field of the first line that is chosen.
func change(t *testing.T, lines []string, chosen func(fields []string) bool, field int, text string) error {
	for i, l := range lines {
		if f := strings.Fields(l); len(f) > field && chosen(f) {
			f[field] = text
			lines[i] = strings.Join(f, " ") + "\n"
			return ErrVerdict
		}
	}
	t.Fatal("no line to change")
	return nil
}
