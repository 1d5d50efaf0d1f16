package top

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"causalmesh/tools/internal/probe"
)

var update = flag.Bool("update", false, "write testdata anew")

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// operation makes figures around a median.
func operation(name string, rate float64, ns uint64) Operation {
	o := Operation{
		Name: name, Count: uint64(rate), Rate: rate, P50: ns, P99: 9 * ns, P999: 70 * ns, Queue: ns, Service: ns / 2, Send: ns / 6,
	}
	for i, n := range []uint64{1, 40, 300, 1000, 450, 100, 30, 10, 2, 0, 1} {
		o.Spread[min(max(columnOf(ns)-3+i, 0), spreadColumns-1)] += n
	}
	return o
}

func wakeUps(rate float64, ns uint64) Operation {
	o := operation(wakeUp, rate, ns)
	o.Queue, o.Service, o.Send = 0, 0, 0
	return o
}

func measured(name string, rate float64) Node {
	return Node{
		Address: "127.0.0.1:730" + name, Name: name, PID: 4200, Epoch: 7, Ring: 3, State: probe.NodeReady, Rate: rate, Seconds: 1,
		Operations: []Operation{
			operation("read", rate*0.8, 5_820), operation("read-many", rate*0.1, 14_100), operation("write", rate*0.1, 31_400),
			operation("handshake", 0, 0),
		},
		WakeUp: wakeUps(rate/2, 15_000),
	}
}

func withoutProbes() Node {
	return Node{
		Address: "127.0.0.1:7301", Name: "1", PID: 4201, Epoch: 7, Ring: 3, State: probe.NodeReady, Rate: 2649,
		Notes: []string{"probes are off: meshctl probe on --admin 127.0.0.1:7301"},
	}
}

func silent() Node {
	return Node{
		Address: "127.0.0.1:7302", Name: "2", Rate: -1, Silent: noon.Add(-12 * time.Second), Restarted: noon.Add(-time.Hour),
		Notes: []string{`admin endpoint does not answer: Get "http://127.0.0.1:7302/status": dial tcp 127.0.0.1:7302: connect: connection refused`},
	}
}

// states are what the golden files show.
func states() map[string]State {
	long := measured("0", 1000)
	long.Address = strings.Repeat("a-host-with-a-long-name.", 12) + "example:7300"
	long.State, long.Restarted = probe.NodeNotReady, noon.Add(-3*time.Second)
	long.Notes = []string{"hostile: \x1b[2J\n" + strings.Repeat("wörd ", 100), strings.Repeat("x", 500)}
	idle := measured("0", 0)
	idle.WakeUp.Count, idle.WakeUp.Rate = 0, 0
	huge := measured("0", 123_456_789_012)
	huge.Operations = append(huge.Operations, operation("delete", 1e18, 1<<40), operation("sync", 0.1, 999_999))
	huge.Operations[4].Count, huge.Operations[5].Count = 1e18, 1
	huge.Notes = []string{"18446744073709551615 requests without times"}
	other := measured("1", 99_950)
	other.Epoch = 8
	of := func(change func(s *State), nodes ...Node) State {
		s := State{Nodes: nodes, At: noon, Interval: time.Second}
		if change != nil {
			change(&s)
		}
		return s
	}
	return map[string]State{
		"one":      of(nil, measured("0", 128_402)),
		"three":    of(nil, measured("0", 128_402), measured("1", 99_950), measured("2", 9_999)),
		"trouble":  of(nil, measured("0", 2_631), withoutProbes(), silent()),
		"off":      of(nil, withoutProbes()),
		"long":     of(nil, long),
		"idle":     of(nil, idle),
		"huge":     of(nil, huge),
		"epochs":   of(nil, measured("0", 128_402), other),
		"start":    {Nodes: []Node{{Address: "127.0.0.1:7300", Rate: -1}}, Interval: time.Second},
		"since":    of(func(s *State) { s.Since, s.Order = noon.Add(-95*time.Second), ByRate }, measured("0", 128_402)),
		"paused":   of(func(s *State) { s.Paused, s.Interval = true, 10*time.Second }, measured("0", 128_402)),
		"scrolled": of(func(s *State) { s.Scroll = 1000 }, measured("0", 10), measured("1", 10), measured("2", 10), measured("3", 10), measured("4", 10)),
	}
}

// What is shown is what testdata says; go test -update writes that.
func TestViews(t *testing.T) {
	for name, s := range states() {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 12}} {
			for _, look := range []Look{{}, {ASCII: true}} {
				lines, _ := View(&s, look, size[0], size[1])
				checkSize(t, lines, size[0], size[1])
				file := fmt.Sprintf("%s-%dx%d", name, size[0], size[1])
				if look.ASCII {
					if file += "-ascii"; name != "three" {
						continue
					}
				}
				golden(t, file+".txt", lines)
			}
		}
	}
}

func golden(t *testing.T, file string, lines []string) {
	t.Helper()
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("%s (go test ./tools/internal/top -update if it is meant):\n%s\nwant\n%s", path, &text, want)
	}
}

// checkSize holds lines against a window.
func checkSize(t *testing.T, lines []string, width, height int) {
	t.Helper()
	if len(lines) > height {
		t.Errorf("%d lines in %d", len(lines), height)
	}
	for _, l := range lines {
		if got := utf8.RuneCountInString(l); got != width {
			t.Errorf("%q has %d cells in a window of %d", l, got, width)
		}
	}
}

// Every window is filled, and none is too small.
func TestAnySize(t *testing.T) {
	for name, s := range states() {
		for _, height := range []int{0, 1, 5, 6, 7, 10, 25, 60} {
			for width := range 180 {
				for _, look := range []Look{{}, {ASCII: true}} {
					lines, scroll := View(&s, look, width, height)
					checkSize(t, lines, width, height)
					if scroll > s.Scroll {
						t.Errorf("scrolled by %d", scroll)
					}
					if t.Failed() {
						t.Fatalf("%s in %dx%d", name, width, height)
					}
				}
			}
		}
	}
}

// Colours change nothing but colours.
func TestColours(t *testing.T) {
	sequence := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for name, s := range states() {
		want, _ := View(&s, Look{}, 80, 24)
		got, _ := View(&s, Look{Colour: true}, 80, 24)
		for i := range want {
			if bare := sequence.ReplaceAllString(got[i], ""); bare != want[i] {
				t.Errorf("%s: %q, want %q", name, bare, want[i])
			}
			if n := strings.Count(got[i], "\x1b[0m"); 2*n != len(sequence.FindAllString(got[i], -1)) {
				t.Errorf("%s: a colour does not end: %q", name, got[i])
			}
		}
	}
}

// With ASCII nothing else is shown.
func TestASCII(t *testing.T) {
	for name, s := range states() {
		for _, width := range []int{40, 80, 120} {
			lines, _ := View(&s, Look{ASCII: true}, width, 24)
			for _, l := range lines {
				for _, r := range l {
					if r < ' ' || r > '~' {
						t.Fatalf("%s: %q in %q", name, r, l)
					}
				}
			}
		}
	}
}
