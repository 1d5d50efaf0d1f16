package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeJava is in Java's place: it says what TLC said of the configuration whose claim
// names it, or tells that it has started and runs until it is told to end.
const fakeJava = `#!/bin/sh
for arg; do
	[ "$last" != -config ] || config=$arg
	last=$arg
done
said=$(sed -n 's/^\\\* said: *//p;1q' "$config")
if [ "$said" = nothing ]; then
	trap 'kill $!; echo "told $$" > "$EVENTS"; exit 143' TERM
	sleep 600 > /dev/null 2>&1 &
	echo "started $$" > "$EVENTS"
	wait
	exit 1
fi
cat "$OUTPUTS/${said%+}.txt"
if [ "$said" != "${said%+}" ]; then
	echo "said $$" > "$EVENTS"
	exec sleep 600
fi
`

// project is a folder with configurations that end as TLC once said.
func project(t *testing.T, said map[string]string) settings {
	t.Helper()
	home, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(home, "bin", "java"), fakeJava)
	if err := os.Chmod(filepath.Join(home, "bin", "java"), 0o755); err != nil {
		t.Fatal(err)
	}
	outputs, err := filepath.Abs("testdata/output")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_HOME", home)
	t.Setenv("OUTPUTS", outputs)
	t.Setenv("EVENTS", os.DevNull)
	t.Setenv(jarVariable, filepath.Join(home, "bin", "java")) // any file
	t.Setenv("TMPDIR", t.TempDir())
	write(t, filepath.Join(dir, readmeName), "before\n"+marksBegin+"\n"+marksEnd+"\nbehind\n")
	for name, how := range said {
		expect := expectHolds
		if strings.HasPrefix(name, canariesDir) {
			expect = "Small"
		}
		tier, word, _ := strings.Cut(how, " ")
		write(t, filepath.Join(dir, name+".cfg"), fmt.Sprintf(
			"\\* said: %s\n\\* module: Toy\n\\* expect: %s\n\\* tier: %s\nCONSTANT Max = 3\nINVARIANT Small\n", word, expect, tier))
	}
	s, err := parseFlags([]string{"-dir", dir, "-logs", filepath.Join(dir, "logs"), "-jobs", "2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.now = func() time.Time { return begin } // every run takes no time
	s.endDelay = patience
	return s
}

// patience is for what must happen, and for what must not happen first.
const patience = 30 * time.Second

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is written is what was found, and a difference fails.
func TestUpdateAndCompare(t *testing.T) {
	s := project(t, map[string]string{"models/B": "ci holds", "models/A": "large temporal", "canaries/c": "ci invariant"})
	if err := check(t.Context(), s); !errors.Is(err, errStale) {
		t.Fatalf("nothing is written yet, and it is %v", err)
	}
	s.update, s.tier = true, tierAll
	if err := check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	readme := read(t, s.dir, readmeName)
	for _, row := range []string{
		"before\n" + marksBegin + "\n| run |", marksEnd + "\nbehind\n",
		"| models/A | `Max=3` | holds | 259 | 259 | 4 | 1 | – |\n| models/B | ",
		"| canaries/c | `Max=3` | violates Small in [2 steps](counterexamples/c.txt) | 8 | 8 | 3 | 1 | – |\n" + marksEnd,
	} {
		if !strings.Contains(readme, row) {
			t.Errorf("the README lacks %q:\n%s", row, readme)
		}
	}
	s.update = false
	if err := check(t.Context(), s); err != nil {
		t.Errorf("all is current, and it is %v", err)
	}
	example := filepath.Join(s.dir, examplesDir, "c.txt")
	write(t, example, read(t, example)+"\n")
	if err := check(t.Context(), s); !errors.Is(err, errStale) || !strings.Contains(err.Error(), example) {
		t.Errorf("a counterexample differs, and it is %v", err)
	}
	s.tier, s.update = tierCI, true // the row of what is not run stays
	write(t, filepath.Join(s.dir, examplesDir, "gone.txt"), "of no canary")
	if err := check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if now := read(t, s.dir, readmeName); now != readme {
		t.Errorf("the README was\n%s\nand is\n%s", readme, now)
	}
	if _, err := os.Stat(filepath.Join(s.dir, examplesDir, "gone.txt")); err == nil {
		t.Error("a counterexample of no canary is left")
	}
	const elsewhere = "seconds, 99 cores"
	write(t, filepath.Join(s.dir, readmeName), regexp.MustCompile(`seconds, \d+ cores`).ReplaceAllString(readme, elsewhere))
	if err := check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if now := read(t, s.dir, readmeName); strings.Contains(now, elsewhere) || !strings.Contains(now, "| 4 | – | – |") || !strings.Contains(now, "| 4 | 1 | – |") {
		t.Errorf("seconds of another machine should be gone, those of this one not:\n%s", now)
	}
	write(t, filepath.Join(s.dir, readmeName), strings.Replace(readme, "| 259 |", "| 260 |", 1))
	s.tier, s.update = tierAll, false
	if err := check(t.Context(), s); !errors.Is(err, errStale) {
		t.Errorf("a count differs, and it is %v", err)
	}
}

// The counterexamples that are written look like this.
func TestDocuments(t *testing.T) {
	for _, name := range []string{"invariant", "loop", "stuttering"} {
		out := observe(t, read(t, "testdata/output", name+".txt"))
		r := &Run{Config: &Config{Name: "canaries/" + name, Claim: "What it shows.", Expect: "Small", Constants: []Constant{{"Max", "3"}}}, Outcome: out}
		path := filepath.Join("testdata/document", name+".txt")
		got := document(r)
		if *capture {
			write(t, path, got)
		}
		if want := read(t, path); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestUnexpected(t *testing.T) {
	for how, want := range map[string]error{
		"holds": nil, "temporal": nil, "invariant": errUnexpected, "deadlock": errUnexpected, "unknown": errUnexpected, "memory": errUnexpected,
	} {
		s := project(t, map[string]string{"models/M": "ci " + how})
		s.update = true
		if err := check(t.Context(), s); !errors.Is(err, want) {
			t.Errorf("a model: %s: %v", how, err)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "logs/models/M.log")); err != nil {
			t.Error(err)
		}
	}
	for how, want := range map[string]error{
		"invariant": nil, "holds": errUnexpected, "deadlock": errUnexpected, "always": errUnexpected, "syntax": errUnexpected,
	} {
		s := project(t, map[string]string{"canaries/c": "ci " + how})
		s.update = true
		if err := check(t.Context(), s); !errors.Is(err, want) {
			t.Errorf("a canary: %s: %v", how, err)
		}
	}
}

// only returns TLC for a project, and its only configuration.
func only(t *testing.T, s settings) (*TLC, *Config) {
	t.Helper()
	configs, err := LoadConfigs(s.dir)
	if err != nil || len(configs) != 1 {
		t.Fatalf("%d configurations, %v", len(configs), err)
	}
	java, err := findJava()
	if err != nil {
		t.Fatal(err)
	}
	return &TLC{Java: java, Dir: s.dir, Temp: t.TempDir(), Logs: s.logs, Workers: 1, Timeout: patience, EndDelay: patience, Now: s.now}, configs[0]
}

// A time-out is one before the process starts, too.
func TestTimeout(t *testing.T) {
	s := project(t, map[string]string{"models/M": "ci nothing"})
	tlc, config := only(t, s)
	for _, timeout := range []time.Duration{1, 50 * time.Millisecond} {
		tlc.Timeout = timeout
		out, err := tlc.Run(t.Context(), config, "", func(Progress) {})
		if err != nil || out.Kind != TimedOut || !strings.Contains(out.Reason, timeout.String()) {
			t.Errorf("within %v: %d, %q, %v", timeout, out.Kind, out.Reason, err)
		}
	}
	s.update, s.timeout = true, 50*time.Millisecond
	if err := check(t.Context(), s); !errors.Is(err, errUnexpected) {
		t.Errorf("it is %v", err)
	}
	nothingLeft(t)
}

// Ctrl-C ends what runs, starts nothing more and leaves nothing behind.
func TestInterrupt(t *testing.T) {
	s := project(t, map[string]string{"models/A": "ci nothing", "models/B": "ci nothing", "models/C": "ci nothing"})
	path := filepath.Join(t.TempDir(), "events")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	events, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if err := events.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EVENTS", path)
	lines := bufio.NewScanner(events)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("nothing came:", lines.Err())
		}
		return lines.Text()
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	checked := make(chan error, 1)
	go func() { checked <- check(ctx, s) }()
	var running []int
	for range s.jobs {
		pid, err := strconv.Atoi(strings.TrimPrefix(next(), "started "))
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, pid)
	}
	cancel()
	if err := <-checked; !errors.Is(err, context.Canceled) {
		t.Errorf("it is %v", err)
	}
	if _, err := events.WriteString("end\n"); err != nil {
		t.Fatal(err)
	}
	var told []int
	for line := next(); line != "end"; line = next() {
		pid, err := strconv.Atoi(strings.TrimPrefix(line, "told "))
		if err != nil {
			t.Errorf("%q after the end", line)
		}
		told = append(told, pid)
	}
	slices.Sort(running)
	slices.Sort(told)
	if !slices.Equal(told, running) {
		t.Errorf("%v were told to end, %v ran", told, running)
	}
	for _, pid := range running {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is there: %v", pid, err)
		}
	}
	nothingLeft(t)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNothingToDo(t *testing.T) {
	s := project(t, map[string]string{"models/M": "ci holds"})
	s.tier = tierLarge
	if err := check(t.Context(), s); err == nil || !strings.Contains(err.Error(), "models/M") {
		t.Errorf("it is %v, want an error that names what there is", err)
	}
	s.tier, s.update = tierCI, true
	write(t, filepath.Join(s.dir, readmeName), "no marks")
	if err := check(t.Context(), s); err == nil || !strings.Contains(err.Error(), marksBegin) {
		t.Errorf("it is %v, want an error that names the marks", err)
	}
	s.dir = t.TempDir()
	if err := check(t.Context(), s); err == nil || !strings.Contains(err.Error(), "-dir") {
		t.Errorf("it is %v, want an error that names -dir", err)
	}
	t.Setenv(jarVariable, filepath.Join(s.dir, "none"))
	if _, err := findJar(t.Context()); err == nil || !strings.Contains(err.Error(), jarVariable) {
		t.Errorf("it is %v, want an error that names %s", err, jarVariable)
	}
	t.Setenv(jarVariable, "")
	if _, err := findJar(t.Context()); !errors.Is(err, fs.ErrNotExist) { // in this folder
		t.Errorf("it is %v, want %v", err, fs.ErrNotExist)
	}
	t.Chdir(s.dir)
	write(t, pomPath, "")
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", s.dir)
	if _, err := findJar(t.Context()); !errors.Is(err, errMaven) {
		t.Errorf("it is %v, want %v", err, errMaven)
	}
	if _, err := findJava(); !errors.Is(err, errJava) {
		t.Errorf("it is %v, want %v", err, errJava)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"x", "-tier small", "-run (", "-jobs 0", "-workers 0", "-timeout 0s", "-update -workers 2"} {
		if _, err := parseFlags(strings.Fields(args), io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if s, err := parseFlags([]string{"-run", "x"}, io.Discard); err != nil || s.tier != tierAll {
		t.Errorf("-run without -tier looks at %s, %v", s.tier, err)
	}
	var help strings.Builder
	if _, err := parseFlags([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), `\* expect: holds`) {
		t.Errorf("-h: %v, %s", err, help.String())
	}
}

// What took long is not left for the end, nor what nobody knows.
func TestLongestFirst(t *testing.T) {
	r := Records{rows: map[string]Record{
		"models/short": {Seconds: "2"}, "models/long": {Seconds: "1,400"}, "models/unknown": {Seconds: notCounted},
	}}
	var got []string
	for _, c := range r.LongestFirst([]*Config{{Name: "models/short"}, {Name: "models/unknown"}, {Name: "models/long"}, {Name: "models/new"}}) {
		got = append(got, c.Base())
	}
	if want := []string{"unknown", "new", "long", "short"}; !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}

func TestSeconds(t *testing.T) {
	for took, want := range map[time.Duration]string{
		100 * time.Millisecond: "1", 1600 * time.Millisecond: "2", 99 * time.Second: "99", 104 * time.Second: "100",
		105 * time.Second: "110", 1449 * time.Second: "1,400", 12345 * time.Second: "12,000",
	} {
		if got := seconds(took); got != want {
			t.Errorf("%v is %s, want %s", took, got, want)
		}
	}
}
