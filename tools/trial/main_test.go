package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asTrial is set where the test binary is to be the program.
const asTrial = "TRIAL_TEST_IS_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asTrial) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestCommandLine: help goes to standard output, an error is one line, and neither
// runs anything.
func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		line      string
		code      int
		out, says string
	}{
		{"", 0, "usage: trial COMMAND", ""},
		{"-help", 0, "usage: trial COMMAND", ""},
		{"demo -help", 0, "-duration time", ""},
		{"demo -h", 0, "usage: trial demo [flags]", ""},
		{"check -help", 0, "usage: trial check FILE", ""},
		{"check --help", 0, "usage: trial check FILE", ""},
		{"foo", exitUsage, "", "trial: no command foo; see trial -help\n"},
		{"check", exitUsage, "", "usage: trial check FILE"},
		{"check a b", exitUsage, "", "usage: trial check FILE"},
		{"check /no/such/file", exitFailed, "", "no such file"},
		{"demo --duration abc", exitUsage, "", "see trial demo -help"},
		{"demo --duration 0s", exitUsage, "", "use more than 0"},
		{"demo --ack never", exitUsage, "", "see trial demo -help"},
		{"demo fast", exitUsage, "", "unexpected argument"},
	} {
		command := exec.Command(os.Args[0], strings.Fields(c.line)...)
		command.Env = append(os.Environ(), asTrial+"=1")
		var out, bad bytes.Buffer
		command.Stdout, command.Stderr = &out, &bad
		code := 0
		var exit *exec.ExitError
		if err := command.Run(); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(bad.String(), c.says) {
			t.Errorf("trial %s: exit code %d, want %d\n%s%s", c.line, code, c.code, &out, &bad)
		}
		if lines := strings.Count(bad.String(), "\n"); (c.code == 0) != (lines == 0) || lines > 1 || (c.out == "") != (out.Len() == 0) {
			t.Errorf("trial %s: %d lines of errors\n%s%s", c.line, lines, &out, &bad)
		}
	}
}
