package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An input is all that TLC reads, and TLC.
func TestInput(t *testing.T) {
	dir := t.TempDir()
	files := map[string]bool{ // whether they belong to it
		"models/M.cfg": true, "MCToy.tla": true, "Toy.tla": true, "tlc.jar": true, "models/Other.cfg": false, readmeName: false,
	}
	for name := range files {
		write(t, filepath.Join(dir, name), "text of "+name)
	}
	input := func() string {
		t.Helper()
		got, err := Input(dir, filepath.Join(dir, "tlc.jar"), &Config{Name: "models/M"})
		if err != nil || got == "" {
			t.Fatalf("%q, %v", got, err)
		}
		return got
	}
	before := input()
	for name, belongs := range files {
		write(t, filepath.Join(dir, name), "other text of "+name)
		if changed := input() != before; changed != belongs {
			t.Errorf("%s changed: the input is another one: %v", name, changed)
		}
		write(t, filepath.Join(dir, name), "text of "+name)
	}
	if input() != before {
		t.Error("of the same files the input is another one")
	}
	if got, err := Input(dir, "", &Config{Name: "models/M", Traces: 1}); got != "" || err != nil {
		t.Errorf("traces depend on the code: %q, %v", got, err)
	}
	if _, err := Input(dir, filepath.Join(dir, "tlc.jar"), &Config{Name: "models/Gone"}); err == nil {
		t.Error("no such configuration, and no error")
	}
}

// A long run is made in CI if the table has none for the same input, and always if it is asked for.
func TestLongRuns(t *testing.T) {
	s := project(t, map[string]string{"models/A": "long holds", "models/B": "ci holds"})
	ran := func() bool {
		t.Helper()
		_, err := os.Stat(filepath.Join(s.logs, "models/A.log"))
		_ = os.RemoveAll(s.logs)
		return err == nil
	}
	s.update = true
	if err := check(t.Context(), s); err != nil || !ran() {
		t.Fatalf("there is no row yet; %v", err)
	}
	s.update = false
	if err := check(t.Context(), s); err != nil || ran() {
		t.Errorf("the table has it, and it ran; %v", err)
	}
	s.tier = tierLong
	if err := check(t.Context(), s); err != nil || !ran() {
		t.Errorf("it was asked for, and did not run; %v", err)
	}
	s.tier = tierCI
	path := filepath.Join(s.dir, "models/A.cfg")
	write(t, path, strings.Replace(read(t, path), "Max = 3", "Max = 3 ", 1))
	if err := check(t.Context(), s); !errors.Is(err, errStale) || !ran() {
		t.Errorf("its input is another one than the table's: %v", err)
	}
}

// With -partial a run may be ended by its time-out, if it has found states by then.
func TestPartial(t *testing.T) {
	s := project(t, map[string]string{"models/M": "large nothing"})
	s.tier, s.timeout, s.update = tierLarge, 50*time.Millisecond, true
	if err := check(t.Context(), s); !errors.Is(err, errUnexpected) {
		t.Errorf("without -partial it is %v", err)
	}
	s.partial = true
	canary := project(t, map[string]string{"canaries/c": "large nothing"})
	canary.tier, canary.timeout, canary.partial = tierLarge, 50*time.Millisecond, true
	if err := check(t.Context(), canary); !errors.Is(err, errUnexpected) {
		t.Errorf("a canary that was not caught in time: %v", err)
	}
	if err := check(t.Context(), s); !errors.Is(err, errUnexpected) {
		t.Errorf("it has found no state, and it is %v", err)
	}
	model, err := LoadConfigs(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	records, err := LoadRecords(s.dir, model)
	if err != nil {
		t.Fatal(err)
	}
	tlc := &TLC{Logs: s.logs}
	run := &Run{Config: model[0], Partial: true, Outcome: Outcome{Kind: TimedOut, Progress: Progress{Generated: 7}}}
	if err := report(s, records, []*Run{run}, tlc); err != nil {
		t.Errorf("it has found states, and it is %v", err)
	}
	if strings.Contains(read(t, s.dir, readmeName), "models/M") {
		t.Error("the table has a row of it")
	}
	// What ends in time needs no row; with one, it is held against that.
	s.update = false
	run.Outcome.Kind = Holds
	if err := report(s, records, []*Run{run}, tlc); err != nil {
		t.Errorf("it has ended, has no row, and it is %v", err)
	}
	records.rows["models/M"] = newRecord(run)
	run.Outcome.Generated++
	if err := report(s, records, []*Run{run}, tlc); !errors.Is(err, errStale) {
		t.Errorf("it is another one than the table's, and it is %v", err)
	}
}

// What TLC has found it has found, however it is ended then.
func TestEndedAfterItsVerdict(t *testing.T) {
	s := project(t, map[string]string{"canaries/c": "ci invariant+"})
	path := filepath.Join(t.TempDir(), "events")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EVENTS", path)
	tlc, config := only(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { // The fifo opens when TLC has said all.
		_, _ = os.ReadFile(path)
		cancel()
	}()
	out, err := tlc.Run(ctx, config, "", func(Progress) {})
	if err != nil || out.Kind != Violated {
		t.Errorf("%d, %q, %v; want what was violated", out.Kind, out.Reason, err)
	}
}
