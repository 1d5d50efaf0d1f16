package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Config is one TLC configuration, with what its header says about it.
type Config struct {
	Name   string // models/Ring, from its path
	Claim  string // what it shows, in words
	Module string
	Expect string // holds, or what must be violated
	Tier   string
	// Options of TLC beyond the usual ones.
	Options []string
	// Input names what the outcome depends on, for those of tier long.
	Input string
	// Traces is how many seeds of the simulator the module wants to see; 0: none.
	Traces int

	Constants  []Constant
	Invariants []string
	Properties []string
}

// Constant is one that is given a value: the name, and TLA+ text.
type Constant struct{ Name, Value string }

const (
	expectHolds = "holds"
	// The tiers: always in CI; in CI where the results table has no row for the same input; never.
	tierCI    = "ci"
	tierLong  = "long"
	tierLarge = "large"

	modelsDir   = "models"
	canariesDir = "canaries"
)

// Canary reports whether the configuration leaves out a rule and has to be caught.
func (c *Config) Canary() bool { return filepath.Dir(c.Name) == canariesDir }

// Base is the name without its directory.
func (c *Config) Base() string { return filepath.Base(c.Name) }

// Path is where the configuration is, below the directory of the modules.
func (c *Config) Path() string { return c.Name + ".cfg" }

// Simulates reports whether TLC takes random behaviours instead of all.
func (c *Config) Simulates() bool { return slices.Contains(c.Options, "-simulate") }

// LoadConfigs reads all models and canaries below dir, and returns all errors that
// it finds.
func LoadConfigs(dir string) ([]*Config, error) {
	var all []*Config
	var errs []error
	for _, sub := range []string{modelsDir, canariesDir} {
		paths, err := filepath.Glob(filepath.Join(dir, sub, "*.cfg"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			name := sub + "/" + strings.TrimSuffix(filepath.Base(path), ".cfg")
			c, err := ParseConfig(name, string(text))
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%w", path, err))
				continue
			}
			all = append(all, c)
		}
	}
	return all, errors.Join(errs...)
}

// lineError is an error on a line of a file.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.text) }

func errorAt(line int, format string, args ...any) error {
	return &lineError{line, fmt.Sprintf(format, args...)}
}

// ParseConfig reads a configuration and its header: comment lines, first what it
// claims and then, from "module:" on, what to run and what to expect.
func ParseConfig(name, text string) (*Config, error) {
	c := &Config{Name: name}
	lines := strings.Split(text, "\n")
	lineOf := make(map[string]int)
	body := 0
	var claim []string
	for ; body < len(lines); body++ {
		comment, ok := strings.CutPrefix(strings.TrimSpace(lines[body]), `\*`)
		if !ok {
			break
		}
		comment = strings.TrimSpace(comment)
		key, value, _ := strings.Cut(comment, ":")
		if len(lineOf) == 0 && key != "module" {
			claim = append(claim, comment)
			continue
		}
		if err := c.headerLine(key, strings.TrimSpace(value), body+1); err != nil {
			return nil, err
		}
		if before := lineOf[key]; before > 0 {
			return nil, errorAt(body+1, "%q is on line %d already", key, before)
		}
		lineOf[key] = body + 1
	}
	c.Claim = strings.TrimSpace(strings.Join(claim, "\n"))
	if c.Claim == "" {
		return nil, errorAt(1, `the first lines must be comments (\* …) that say what it shows`)
	}
	for _, key := range []string{"module", "expect", "tier"} {
		if lineOf[key] == 0 {
			return nil, errorAt(body+1, `the header has no line "\* %s: …"; it is: what it shows, then module, expect, tier, and if need be options and traces`, key)
		}
	}
	c.body(strings.Join(lines[body:], "\n"))
	return c, c.check(lineOf)
}

func (c *Config) headerLine(key, value string, line int) error {
	if value == "" {
		return errorAt(line, `want "\* %s: …" with something behind the colon`, key)
	}
	switch key {
	case "module":
		c.Module = value
	case "expect":
		c.Expect = value
	case "tier":
		if value != tierCI && value != tierLong && value != tierLarge {
			return errorAt(line, "tier is %s, %s or %s, not %q", tierCI, tierLong, tierLarge, value)
		}
		c.Tier = value
	case "options":
		c.Options = strings.Fields(value)
	case "traces":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return errorAt(line, "traces is a number of seeds, not %q", value)
		}
		c.Traces = n
	default:
		return errorAt(line, "unknown header line %q; known are module, expect, tier, options, traces", key)
	}
	return nil
}

// check holds the header against the rest.
func (c *Config) check(lineOf map[string]int) error {
	expect := lineOf["expect"]
	switch {
	case c.Canary() && c.Expect == expectHolds:
		return errorAt(expect, "a canary has to be caught: expect the invariant or property that it violates")
	case !c.Canary() && c.Expect != expectHolds:
		return errorAt(expect, `a model holds: "\* expect: %s"; what is broken belongs in %s/`, expectHolds, canariesDir)
	case c.Canary() && c.Tier == tierLong:
		return errorAt(lineOf["tier"], "a canary is of no tier %s: its counterexample is compared in every run", tierLong)
	case c.Simulates() && !slices.Contains(c.Options, "-seed"):
		return errorAt(lineOf["options"], "-simulate without -seed N: nobody could repeat it")
	case c.Expect == expectHolds || slices.Contains(c.Invariants, c.Expect):
		return nil
	case !slices.Contains(c.Properties, c.Expect):
		return errorAt(expect, "%s is none of its invariants and properties", c.Expect)
	case len(c.Properties) > 1:
		// TLC does not name a property's part that is violated.
		return errorAt(expect, "it has %d properties, and TLC does not tell which one is violated: leave %s alone", len(c.Properties), c.Expect)
	}
	return nil
}

// keywords begin the sections of a configuration. Of those with nil, nothing is
// needed here.
var keywords = map[string]func(*Config, []string){
	"CONSTANT": (*Config).constants, "CONSTANTS": (*Config).constants,
	"INVARIANT": (*Config).invariants, "INVARIANTS": (*Config).invariants,
	"PROPERTY": (*Config).properties, "PROPERTIES": (*Config).properties,
	"INIT": nil, "NEXT": nil, "SPECIFICATION": nil, "SYMMETRY": nil, "VIEW": nil,
	"CONSTRAINT": nil, "CONSTRAINTS": nil, "ACTION_CONSTRAINT": nil, "ACTION_CONSTRAINTS": nil,
	"CHECK_DEADLOCK": nil, "POSTCONDITION": nil, "ALIAS": nil, "TYPE": nil, "TYPE_CONSTRAINT": nil,
}

// body reads the configuration proper. What is wrong in it, TLC says.
func (c *Config) body(text string) {
	words := configWords(text)
	for len(words) > 0 {
		take := keywords[words[0]]
		words = words[1:]
		end := slices.IndexFunc(words, func(w string) bool { _, ok := keywords[w]; return ok })
		if end < 0 {
			end = len(words)
		}
		if take != nil {
			take(c, words[:end])
		}
		words = words[end:]
	}
}

func (c *Config) invariants(names []string) { c.Invariants = append(c.Invariants, names...) }
func (c *Config) properties(names []string) { c.Properties = append(c.Properties, names...) }

// constants reads assignments: Name = value, Name <- Operator.
func (c *Config) constants(words []string) {
	for len(words) >= 3 {
		end := slices.IndexFunc(words[2:], func(w string) bool { return w == "=" || w == "<-" }) + 1
		if end <= 1 { // it is the last one
			end = len(words)
		}
		if words[1] == "=" {
			c.Constants = append(c.Constants, Constant{words[0], strings.Join(words[2:end], " ")})
		}
		words = words[end:]
	}
}

// configWords splits a configuration into names, strings and signs, without its
// comments.
func configWords(text string) []string {
	var words []string
	for i := 0; i < len(text); {
		rest := text[i:]
		n := 1
		switch {
		case strings.HasPrefix(rest, `\*`):
			if n = strings.IndexByte(rest, '\n'); n < 0 {
				n = len(rest)
			}
			i += n
			continue
		case strings.HasPrefix(rest, "(*"):
			if n = strings.Index(rest, "*)"); n < 0 {
				n = len(rest) - 2
			}
			i += n + 2
			continue
		case strings.HasPrefix(rest, "<-"):
			n = 2
		case rest[0] == '"':
			if n = strings.IndexByte(rest[1:], '"'); n < 0 {
				n = len(rest) - 2
			}
			n += 2
		case isWord(rest[0]) || rest[0] == '-':
			for n < len(rest) && isWord(rest[n]) {
				n++
			}
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			i++
			continue
		}
		words = append(words, rest[:n])
		i += n
	}
	return words
}

// Bounds says for how much it was checked, in short: a set of model values is shown
// as how many they are. What is empty or stands for itself is no bound.
func (c *Config) Bounds() string {
	var parts []string
	for _, k := range c.Constants {
		v, err := ParseValue(k.Value)
		if err != nil || v.notation() == k.Name || v.notation() == "{}" {
			continue
		}
		shown := strings.ReplaceAll(v.notation(), ", ", ",")
		if set, ok := v.(Set); ok && !slices.ContainsFunc(set, func(v Value) bool { _, ok := v.(Name); return !ok }) {
			shown = strconv.Itoa(len(set))
		}
		parts = append(parts, k.Name+"="+shown)
	}
	for i, o := range c.Options {
		if o == "-simulate" || o == "-depth" {
			parts = append(parts, strings.Join(c.Options[i:min(i+2, len(c.Options))], " "))
		}
	}
	if c.Traces > 0 {
		parts = append(parts, fmt.Sprintf("traces=%d", c.Traces))
	}
	return strings.Join(parts, " ")
}
