package stress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this binary be the load, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == burnFlag {
		burn()
	}
	os.Exit(m.Run())
}

// fixture is a package some of whose tests do not pass.
const fixture = `package fixture

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

func TestPasses(t *testing.T) { t.Run("part", func(*testing.T) {}) }

func TestIsLong(t *testing.T) { time.Sleep(50 * time.Millisecond) }

// TestFailsOnce fails in one run of all.
func TestFailsOnce(t *testing.T) {
	if os.Getenv("FAIL") != "" && os.Remove("once") == nil {
		t.Error("by chance")
	}
}

func TestSkips(t *testing.T) {
	if os.Getenv("SKIP") != "" {
		t.Skip()
	}
}

// TestEndsTheProcess ends its process in one run of all.
func TestEndsTheProcess(t *testing.T) {
	if os.Getenv("EXIT") != "" && os.Remove("once") == nil {
		os.Exit(3)
	}
}

// TestLeaves leaves a process behind.
func TestLeaves(t *testing.T) {
	if os.Getenv("LEAVE") == "" {
		return
	}
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("left-"+strconv.Itoa(c.Process.Pid), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFails(t *testing.T) {
	if os.Getenv("HANG") != "" {
		t.Error("always")
	}
}

// TestHangs hangs at its third run.
func TestHangs(t *testing.T) {
	if os.Getenv("HANG") == "" {
		return
	}
	for _, name := range []string{"first", "second"} {
		if f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0o644); err == nil {
			f.Close()
			return
		}
	}
	if err := os.WriteFile("hangs", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour)
}

// TestMain ends one process with an exit code that no test is to blame for.
func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("LEAK") != "" && os.Remove("once") == nil {
		code = 1
	}
	os.Exit(code)
}
`

// module makes a module of the fixture the working directory.
func module(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module fixture\n\ngo 1.26\n", "fixture_test.go": fixture, "once": ""} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(folder)
}

// runFixture runs the command on the fixture, and returns what it printed and its table.
func runFixture(t *testing.T, code int, args ...string) (printed, table string) {
	t.Helper()
	module(t)
	return runHere(t, code, args...)
}

func runHere(t *testing.T, code int, args ...string) (printed, table string) {
	t.Helper()
	var out, bad bytes.Buffer
	args = append([]string{"-dir", "out", "-short-runs", "7", "-long-runs", "2", "-long-from", "1h", "-load", "1"}, args...)
	if got := Main(args, &out, &bad); got != code {
		t.Fatalf("exit code %d, want %d:\n%s%s", got, code, &out, &bad)
	}
	text, err := os.ReadFile(filepath.Join("out", "tests.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return out.String() + bad.String(), string(text)
}

// row returns the fields of a test's line: suite, runs, wanted, failed, skipped.
func row(t *testing.T, table, test string, env ...string) []string {
	t.Helper()
	for _, line := range strings.Split(table, "\n") {
		if f := strings.Fields(line); len(f) == len(env)+8 && f[0] == test && strings.Join(f[2:2+len(env)], " ") == strings.Join(env, " ") {
			return f[2+len(env) : 6+len(env)]
		}
	}
	t.Fatalf("no row of %s %v:\n%s", test, env, table)
	return nil
}

func expectRow(t *testing.T, table, want, test string, env ...string) {
	t.Helper()
	if got := strings.Join(row(t, table, test, env...), " "); got != want {
		t.Errorf("%s: runs, wanted, failed, skipped are %s, want %s", test, got, want)
	}
}

func TestAllPass(t *testing.T) {
	printed, table := runFixture(t, exitDone, "-variant", "A=1 B=2 .", ".")
	for _, env := range [][]string{nil, {"A=1", "B=2"}} {
		expectRow(t, table, "7 7 0 0", "TestPasses", env...)
	}
	if strings.Contains(table, "part") {
		t.Errorf("subtests are not counted by themselves:\n%s", table)
	}
	if !strings.Contains(printed, "16 tests, 112 runs, 0 failures; 0 tests") {
		t.Error(printed)
	}
}

func TestLong(t *testing.T) {
	_, table := runFixture(t, exitDone, "-long-from", "1ns", "-run", "^TestIsLong$", ".")
	expectRow(t, table, "2 2 0 0", "TestIsLong")
}

// A failure, a skip, and the sudden end of a process are each told apart, counted, and kept.
func TestWhatDoesNotPass(t *testing.T) {
	for _, c := range []struct{ name, env, test, row, says string }{
		{"failure", "FAIL=1", "TestFailsOnce", "8 7 1 0", "TestFailsOnce"},
		{"skip", "SKIP=1", "TestSkips", "7 7 0 7", "TestSkips"},
	} {
		t.Run(c.name, func(t *testing.T) {
			printed, table := runFixture(t, exitFailed, "-variant", c.env+" .", ".")
			expectRow(t, table, c.row, c.test, c.env)
			if !strings.Contains(printed, c.says) || !strings.Contains(printed, ErrFailed.Error()) {
				t.Error(printed)
			}
		})
	}
	t.Run("exit", func(t *testing.T) {
		_, table := runFixture(t, exitFailed, "-variant", "EXIT=1 .", ".")
		if f := row(t, table, "TestEndsTheProcess", "EXIT=1"); f[2] != "1" {
			t.Errorf("failures: %v", f)
		}
		text, err := os.ReadFile(filepath.Join("out", "failure-1.txt"))
		if err != nil || !strings.HasPrefix(string(text), "cd ") || !strings.Contains(string(text), "EXIT=1") {
			t.Errorf("%v: %s", err, text)
		}
	})
	t.Run("exit code", func(t *testing.T) {
		printed, _ := runFixture(t, exitFailed, "-variant", "LEAK=1 .", ".")
		if !strings.Contains(printed, "failed though none of its tests did") {
			t.Error(printed)
		}
	})
}

func TestChoice(t *testing.T) {
	printed, table := runFixture(t, exitDone, "-run", "^TestPasses$", ".")
	expectRow(t, table, "7 7 0 0", "TestPasses")
	if !strings.Contains(printed, "1 tests, 7 runs, 0 failures") {
		t.Error(printed)
	}
	var out, bad bytes.Buffer
	if code := Main([]string{"-dir", "out", "-run", "^TestPass$", "."}, &out, &bad); code != exitUsage || !strings.Contains(bad.String(), "no test of . matches") {
		t.Errorf("exit code %d: %s%s", code, &out, &bad)
	}
}

func TestMaySkip(t *testing.T) {
	_, table := runFixture(t, exitDone, "-may-skip", "-variant", "SKIP=1 .", ".")
	expectRow(t, table, "7 7 0 7", "TestSkips", "SKIP=1")
}

// What a test leaves behind in its process group is killed.
func TestLeftProcesses(t *testing.T) {
	runFixture(t, exitDone, "-variant", "LEAVE=1 .", ".")
	left, err := filepath.Glob("left-*")
	if err != nil || len(left) != 8 {
		t.Fatal(left, err)
	}
	for _, name := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(name, "left-"))
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); runs(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

// runs reports whether a process has not ended yet. One that nobody has waited for has ended.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// What failed before an interruption has failed; what was running then has not.
func TestInterrupted(t *testing.T) {
	watched, stop := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	module(t)
	watch.Go(func() {
		for watched.Err() == nil {
			if _, err := os.Stat("hangs"); err == nil {
				_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	_, table := runHere(t, exitInterrupted, "-run", "^Test(Fails|Hangs)$", "-jobs", "1", "-variant", "HANG=1 .", ".")
	stop()
	watch.Wait()
	if f := row(t, table, "TestHangs", "HANG=1"); f[0] != "1" || f[2] != "0" {
		t.Errorf("TestHangs: runs, wanted, failed, skipped are %v", f)
	}
	if f := row(t, table, "TestFails", "HANG=1"); f[2] == "0" || f[2] == "1" || f[0] != f[2] {
		t.Errorf("TestFails: runs, wanted, failed, skipped are %v", f)
	}
	if _, err := os.Stat(filepath.Join("out", "failure-2.txt")); err != nil {
		t.Error(err)
	}
}

// A test that ran less often than was wanted has not passed.
func TestTooFewRuns(t *testing.T) {
	r := &report{records: []*record{{suite: &suite{pkg: "p"}, name: "TestA", wanted: 3, tally: tally{runs: 2}}}}
	if text, err := r.verdict(); !errors.Is(err, ErrFailed) {
		t.Error(text, err)
	}
	r.records[0].runs = 3
	if text, err := r.verdict(); err != nil {
		t.Error(text, err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		line, says string
		code       int
	}{
		{"-help", "usage: stress", exitDone},
		{"-nonsense", "see stress -help", exitUsage},
		{"-short-runs 0", "above 0", exitUsage},
		{"-variant ./daemon", "NAME=VALUE ./package", exitUsage},
		{"-run (", "-run", exitUsage},
	} {
		var out, bad bytes.Buffer
		code := Main(strings.Fields(c.line), &out, &bad)
		if printed := out.String() + bad.String(); code != c.code || !strings.Contains(printed, c.says) {
			t.Errorf("stress %s: exit code %d, want %d: %s", c.line, code, c.code, printed)
		}
	}
}

// The runs of a test add up, however they are cut into units.
func TestPlan(t *testing.T) {
	o := &options{shortRuns: 300, longRuns: 30, longFrom: time.Second}
	tests := []known{{"TestShort", 700 * time.Millisecond}, {"TestTiny", 0}, {"TestLong", time.Second}}
	runs := map[string]int{}
	for _, u := range plan(&suite{}, tests, o, newRandom(1)) {
		for _, name := range u.tests {
			runs[name] += u.count
		}
		if took := time.Duration(u.count) * 700 * time.Millisecond; took > unitTime {
			t.Errorf("a unit of %v", took)
		}
	}
	if runs["TestShort"] != 300 || runs["TestTiny"] != 300 || runs["TestLong"] != 30 {
		t.Error(runs)
	}
}
