package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// An input is all that TLC reads, and nothing else.
func TestInput(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"models/M.cfg": "\\* said: holds\n\\* module: MCToy\n", "pom.xml": "1.1.0",
		"MCToy.tla": "EXTENDS Naturals, Toy", "Toy.tla": "EXTENDS Naturals,\n  Words\nN == INSTANCE Note WITH a <- b", "Words.tla": "x", "Note.tla": "y",
		"Other.tla": "z",
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	input := func() string {
		t.Helper()
		got, err := Input(dir, &Config{Name: "models/M", Module: "MCToy"})
		if err != nil || got == "" {
			t.Fatalf("%q, %v", got, err)
		}
		return got
	}
	before := input()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text+" ")
		if changed := input() != before; changed != (name != "Other.tla") {
			t.Errorf("%s changed: the input is another one: %v", name, changed)
		}
		write(t, filepath.Join(dir, name), text)
	}
	if input() != before {
		t.Error("of the same files the input is another one")
	}
	if got, err := Input(dir, &Config{Name: "models/M", Module: "MCToy", Traces: 1}); got != "" || err != nil {
		t.Errorf("traces depend on the code: %q, %v", got, err)
	}
	if _, err := Input(dir, &Config{Name: "models/Gone", Module: "MCToy"}); err == nil {
		t.Error("no such configuration, and no error")
	}
}

func TestImported(t *testing.T) {
	got := imported("---- MODULE A ----\nEXTENDS B,\n C , D\nLOCAL INSTANCE E\nS == INSTANCE F WITH x <- y\nEXTENDSG == 1\n")
	if want := []string{"B", "C", "D", "E", "F"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
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
	if err := check(t.Context(), s); err == nil || !ran() {
		t.Errorf("its input is another one than the table's: %v", err)
	}
}

// With -partial a run may be ended by its time-out.
func TestPartial(t *testing.T) {
	s := project(t, map[string]string{"models/M": "large nothing"})
	s.tier, s.timeout, s.update = tierLarge, 50*time.Millisecond, true
	if err := check(t.Context(), s); !errors.Is(err, errUnexpected) {
		t.Errorf("without -partial it is %v", err)
	}
	s.partial = true
	if err := check(t.Context(), s); err != nil {
		t.Errorf("with -partial it is %v", err)
	}
	if strings.Contains(read(t, s.dir, readmeName), "models/M") {
		t.Error("the table has a row of it")
	}
}
