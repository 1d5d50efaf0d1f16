package stress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// unit is one process: it runs some tests of a suite count times, in random order.
type unit struct {
	suite *suite
	tests []string // empty: those that match choice
	// choice is a pattern of names, empty for all.
	choice string
	count  int
	seed   int64 // of the order
}

// tally is what became of a test.
type tally struct {
	runs, failures, skips int
	longest               time.Duration
}

// result is what became of a unit.
type result struct {
	unit    *unit
	tests   map[string]*tally
	failed  bool // a test failed, or the process did
	output  []byte
	command string
}

// args are those of the test binary.
func (u *unit) args(timeout time.Duration) []string {
	args := []string{"-test.v=test2json", fmt.Sprint("-test.count=", u.count), fmt.Sprint("-test.shuffle=", u.seed), fmt.Sprint("-test.timeout=", timeout)}
	if len(u.tests) > 0 {
		args = append(args, "-test.run="+pattern(u.tests))
	} else if u.choice != "" {
		args = append(args, "-test.run="+u.choice)
	}
	return args
}

// endWithin is how long a process may take to end, after its own time-out and after it was killed.
const endWithin = 30 * time.Second

// run runs a unit to its end. The error is one of this program: a test that fails is a result. If the
// context ends first, the result has the tests that ended until then.
func (u *unit) run(ctx context.Context, test2json string, timeout time.Duration) (*result, error) {
	args := u.args(timeout)
	unbounded := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout+endWithin) // a process that a test left may keep the output open
	defer cancel()
	command := exec.CommandContext(ctx, test2json, append([]string{"-t", "-p", u.suite.pkg, u.suite.binary}, args...)...)
	command.Dir = u.suite.folder
	command.Env = append(command.Environ(), u.suite.env...)
	// The binary and what it starts are in a process group of their own, which is killed at the end: a test
	// that failed or hung may leave processes behind.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = endWithin
	var events, bad bytes.Buffer
	command.Stdout, command.Stderr = &events, &bad
	err := command.Run()
	if command.Process != nil {
		_ = command.Cancel() // often the group is empty
	}
	interrupted := unbounded.Err()
	if exit := (*exec.ExitError)(nil); err != nil && ctx.Err() == nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("run the tests of %s: %w", u.suite.pkg, err)
	}
	r := &result{unit: u, failed: err != nil && interrupted == nil, command: fmt.Sprintf("cd %s && %s %s '%s'",
		u.suite.folder, strings.Join(u.suite.env, " "), u.suite.binary, strings.Join(args, "' '"))}
	r.tests, r.output = count(events.Bytes(), interrupted == nil)
	r.output = append(r.output, bad.Bytes()...)
	for _, t := range r.tests {
		r.failed = r.failed || t.failures > 0
	}
	return r, interrupted
}

// event is a line of test2json.
type event struct {
	Action, Test, Output string
	Elapsed              float64 // s
}

// count counts the top-level tests in the output of test2json, and returns the output of the
// tests. A test that began and did not end was running when its process ended: it failed if the
// process ended by itself.
func count(events []byte, byItself bool) (map[string]*tally, []byte) {
	tests := map[string]*tally{}
	var output []byte
	running := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(events))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			output = append(append(output, lines.Bytes()...), '\n')
			continue
		}
		output = append(output, e.Output...)
		if e.Test == "" || strings.Contains(e.Test, "/") {
			continue
		}
		t := tests[e.Test]
		if t == nil {
			t = &tally{}
			tests[e.Test] = t
		}
		switch e.Action {
		case "run":
			running[e.Test] = true
			continue
		case "fail":
			t.failures++
		case "skip":
			t.skips++
		case "pass":
		default:
			continue
		}
		t.runs++
		t.longest = max(t.longest, time.Duration(e.Elapsed*float64(time.Second)))
		delete(running, e.Test)
	}
	if byItself {
		for name := range running {
			tests[name].runs++
			tests[name].failures++
		}
	}
	return tests, output
}
