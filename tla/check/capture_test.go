package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testdata/output has what TLC says about testdata/toy, so that no test needs Java. To
// write it anew: TLA2TOOLS=… go test ./tla/check -run Outcome -capture
var capture = flag.Bool("capture", false, "run TLC and write testdata/output anew")

// toy is a configuration of a toy module, and what should come of it.
type toy struct {
	name, module, options string
	config                string
	memory                string // of Java
	kind                  Kind
	words                 string // how it ended
	reason                string // a part of it
	steps                 int
	distinct, generated   int64
	depth                 int
}

const (
	toyConstants = "CONSTANTS Keys = {k1, k2} Max = 3 Bad = \"\" CHECK_DEADLOCK FALSE\nSPECIFICATION Spec\n"
	toyFair      = "CONSTANTS Keys = {k1, k2} Max = 3 Bad = \"\" CHECK_DEADLOCK FALSE\nSPECIFICATION FairSpec\n"
)

func bad(what string) string {
	return strings.Replace(toyConstants, `Bad = ""`, `Bad = "`+what+`"`, 1)
}

var toys = []toy{
	{name: "holds", config: toyConstants + "INVARIANT Fine PROPERTY ByOne", kind: Holds, words: "holds", distinct: 259, generated: 259, depth: 4},
	{name: "symmetric", config: toyConstants + "INVARIANT Fine SYMMETRY Symmetric VIEW View", kind: Holds, words: "holds", distinct: 130, generated: 133, depth: 4},
	{name: "invariant", config: toyConstants + "INVARIANTS Fine Small", kind: Violated, words: "violates Small", steps: 2, distinct: 8, generated: 8, depth: 3},
	{name: "invariant-initial", config: toyConstants + "INVARIANT SmallAtFirst", kind: Violated, words: "violates SmallAtFirst"},
	{name: "deadlock", config: strings.Replace(toyConstants, "FALSE", "TRUE", 1), kind: Deadlock, words: "deadlock", steps: 3, distinct: 259, generated: 259, depth: 4},
	{name: "action", config: bad("back") + "PROPERTY Grows", kind: Violated, words: "violates Grows", steps: 3, distinct: 50, generated: 50, depth: 4},
	{name: "property-initial", config: toyConstants + "PROPERTY StartsAtOne", kind: Violated, words: "violates StartsAtOne"},
	{name: "always", config: toyConstants + "PROPERTY Never", kind: Violated, words: "violates Never", steps: 2, distinct: 8, generated: 8, depth: 3},
	{name: "part", config: toyConstants + "INVARIANT Fine PROPERTY Mixed", kind: Violated, words: "violates Mixed", steps: 2, distinct: 8, generated: 8, depth: 3},
	{name: "refinement", config: toyConstants + "PROPERTY ByTwo", kind: Violated, words: "violates ByTwo", steps: 1, distinct: 2, generated: 2, depth: 2},
	{name: "refinement-initial", config: toyConstants + "PROPERTY FromOne", kind: Violated, words: "violates FromOne"},
	{name: "refinements", config: toyConstants + "PROPERTIES ByOne ByTwo", kind: Violated, words: "violates line", steps: 1, distinct: 2, generated: 2, depth: 2},
	{name: "loop", config: strings.Replace(bad("back"), "Spec\n", "FairSpec\n", 1) + "PROPERTY Stays", kind: Violated, words: "violates Stays", steps: 4, distinct: 517, generated: 583, depth: 6},
	{name: "stuttering", config: toyConstants + "PROPERTY Arrives", kind: Violated, words: "violates Arrives", steps: 2, distinct: 259, generated: 259, depth: 4},
	{name: "temporal-of-two", config: toyFair + "PROPERTIES Arrives Responds", kind: Violated, words: "violates one of Arrives, Responds", steps: 3, distinct: 259, generated: 259, depth: 4},
	{name: "temporal", config: toyFair + "PROPERTY Arrives", kind: Holds, words: "holds", distinct: 259, generated: 259, depth: 4},
	{name: "simulation", config: toyConstants + "INVARIANT Fine", options: "-simulate num=50 -depth 20 -seed 7", kind: Holds, words: "holds", generated: 151},
	{name: "simulation-violated", config: toyConstants + "INVARIANT Small", options: "-simulate num=50 -depth 20 -seed 7", kind: Violated, words: "violates Small", steps: 2},
	{name: "values", module: "Odd", config: "CONSTANT M = m INIT Init NEXT Next INVARIANT Fine", kind: Violated, words: "violates Fine", steps: 1, distinct: 2, generated: 2, depth: 2},

	{name: "evaluation", config: bad("eval"), words: "TLC error", reason: "to integer 7 which is out of domain"},
	{name: "evaluation-initial", config: toyConstants + "INVARIANT Ill", words: "TLC error", reason: "to integer 1 which is out of domain"},
	{name: "incomplete", config: bad("incomplete"), words: "TLC error", reason: "The following variable is not assigned: seen"},
	{name: "assertion", config: bad("assert"), words: "TLC error", reason: `"an assertion"`},
	{name: "assumption", config: strings.Replace(toyConstants, "Max = 3", "Max = 8", 1), words: "TLC error", reason: "Assumption line"},
	{name: "stack", config: toyConstants + "INVARIANT Overflows", words: "TLC error", reason: "StackOverflowError"},
	{name: "memory", config: toyConstants, memory: "-Xmx3m", words: "TLC error", reason: "Java ran out of memory"},
	{name: "no-such-invariant", config: toyConstants + "INVARIANT Nope", words: "TLC error", reason: "The invariant Nope specified in the configuration file"},
	{name: "no-value", config: "SPECIFICATION Spec", words: "TLC error", reason: "is not assigned a value by the configuration file"},
	{name: "no-such-option", options: "-foo", config: toyConstants, words: "TLC error", reason: "unrecognized option: -foo"},
	{name: "no-such-module", module: "Nowhere", words: "TLC error", reason: "Cannot find source file for module Nowhere"},
	{name: "syntax", module: "Garbled", config: "INIT Init NEXT Next", words: "TLC error", reason: `Encountered "==" at line 3`},
	{name: "unknown", module: "Unknown", config: "INIT Init NEXT Next", words: "TLC error", reason: "Unknown operator: `nn'"},
}

func (y *toy) parse() *Config {
	c := &Config{Name: "models/" + y.name, Module: "Toy", Options: strings.Fields(y.options), Expect: expectHolds}
	if y.module != "" {
		c.Module = y.module
	}
	c.body(y.config)
	return c
}

// output is what TLC says about it.
func (y *toy) output(t *testing.T) string {
	path := filepath.Join("testdata", "output", y.name+".txt")
	if *capture {
		if err := os.WriteFile(path, y.run(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs TLC as this program does, and makes its output shorter and the same on
// every machine.
func (y *toy) run(t *testing.T) []byte {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/toy")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, modelsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	c := y.parse()
	if err := os.WriteFile(filepath.Join(dir, c.Path()), []byte(y.config), 0o644); err != nil {
		t.Fatal(err)
	}
	java, err := findJava()
	if err != nil {
		t.Fatal(err)
	}
	jar := os.Getenv(jarVariable)
	if jar == "" {
		t.Fatal("set " + jarVariable)
	}
	tlc := TLC{Java: java, Jar: jar, Dir: dir, Temp: t.TempDir(), Workers: 1, EndDelay: endDelay, Now: time.Now}
	cmd, err := tlc.command(t.Context(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	if y.memory != "" {
		cmd.Args = append([]string{cmd.Args[0], y.memory}, cmd.Args[1:]...)
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	_ = cmd.Run() // its status is judged from the output
	text := output.Bytes()
	text = regexp.MustCompile(`(?m)^(\tat .*\n){10}(\tat .*\n)+`).ReplaceAll(text, []byte("$1"))
	text = regexp.MustCompile(`[^\s":]*/([\w.-]+\.(tla|jar))`).ReplaceAll(text, []byte("$1"))
	text = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAll(text, []byte("2026-01-01 00:00:00"))
	text = regexp.MustCompile(`(?m)( with \d+MB heap).*$`).ReplaceAll(text, []byte("."))
	text = regexp.MustCompile(`seed -?\d{10,}`).ReplaceAll(text, []byte("seed 1"))
	text = regexp.MustCompile(`in \d+ms`).ReplaceAll(text, []byte("in 500ms"))
	text = regexp.MustCompile(`\([\d,]+ (d?s)/min\)`).ReplaceAll(text, []byte("(60 $1/min)"))
	return text
}
