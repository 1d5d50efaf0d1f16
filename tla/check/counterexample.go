package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Counterexample is a behaviour that should not be: an initial state and steps from
// it. It may go on for ever.
type Counterexample struct {
	States []State
	// Back is the state, from 1, that one more step leads back to; 0: none does.
	Back       int
	BackAction string
	Stutters   bool // nothing happens any more
}

// State is a state, and the action that led to it.
type State struct {
	Action    string
	Variables map[string]Value
}

// stepVariable tells what was done, for whoever reads it. The modules for TLC have it.
const stepVariable = "step"

var errCounterexample = errors.New("no state as TLC prints them")

var (
	stateLine  = regexp.MustCompile(`^(\d+): (?:<(\w+(?: predicate)?)[^>]*>|(Stuttering)|Back to state: <(\w+(?: predicate)?)[^>]*>)$`)
	variableAt = regexp.MustCompile(`(?m)^(?:/\\ )?(\w+) = `)
)

// ParseCounterexample reads what TLC prints: one text for each state, and maybe how it
// goes on.
func ParseCounterexample(texts []string) (Counterexample, error) {
	var c Counterexample
	for _, text := range texts {
		first, rest, _ := strings.Cut(text, "\n")
		found := stateLine.FindStringSubmatch(first)
		switch {
		case found == nil:
			return c, fmt.Errorf("%w: %q", errCounterexample, first)
		case found[3] != "":
			c.Stutters = true
		case found[2] == "":
			c.Back, c.BackAction = int(number(found[1])), found[4]
		default:
			variables, err := parseVariables(rest)
			if err != nil {
				return c, err
			}
			c.States = append(c.States, State{found[2], variables})
		}
	}
	return c, nil
}

// parseVariables reads lines that begin with "/\ name = value"; values may be longer
// than their line. A single variable comes without the conjunction's sign.
func parseVariables(text string) (map[string]Value, error) {
	all := make(map[string]Value)
	begins := variableAt.FindAllStringSubmatchIndex(text, -1)
	for i, at := range begins {
		end := len(text)
		if i+1 < len(begins) {
			end = begins[i+1][0]
		}
		name := text[at[2]:at[3]]
		v, err := ParseValue(text[at[1]:end])
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		all[name] = v
	}
	return all, nil
}

// Steps is how many steps there are.
func (c *Counterexample) Steps() int { return max(0, len(c.States)-1) }

// Length is that in words.
func (c *Counterexample) Length() string {
	if c.Steps() == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", c.Steps())
}

// headline tells a step by the variable for that, or by TLC's name of the action.
func (s *State) headline() string {
	step, ok := s.Variables[stepVariable].(Tuple)
	if !ok || len(step) == 0 {
		return s.Action
	}
	name, ok := step[0].(Text)
	if !ok {
		return step.notation()
	}
	if len(step) == 1 {
		return string(name)
	}
	return fmt.Sprintf("%s(%s)", string(name), join(step[1:], ", "))
}

// names are the variables to be shown, in order.
func (s *State) names() []string {
	var names []string
	for name := range s.Variables {
		if name != stepVariable {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// String is the behaviour for people: each step with what it changes.
func (c *Counterexample) String() string {
	var b strings.Builder
	if len(c.States) == 0 {
		return ""
	}
	first := &c.States[0]
	b.WriteString("At first\n")
	for _, name := range first.names() {
		fmt.Fprintf(&b, "      %s: %s\n", name, first.Variables[name].notation())
	}
	for i := 1; i < len(c.States); i++ {
		before, after := &c.States[i-1], &c.States[i]
		fmt.Fprintf(&b, "\n%3d   %s\n", i, after.headline())
		for _, name := range after.names() {
			for _, line := range differences(name, before.Variables[name], after.Variables[name]) {
				fmt.Fprintf(&b, "      %s\n", line)
			}
		}
	}
	switch {
	case c.Stutters:
		b.WriteString("\n      and nothing happens any more\n")
	case c.Back > 0:
		where := "first state"
		if c.Back > 1 {
			where = fmt.Sprintf("state after step %d", c.Back-1)
		}
		fmt.Fprintf(&b, "\n%3d   %s\n      to the %s again, and so on for ever\n", len(c.States), c.BackAction, where)
	}
	return b.String()
}
