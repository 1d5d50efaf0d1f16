package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is how a run ended.
type Kind int

const (
	Failed Kind = iota // TLC could not check it
	Holds
	Violated
	Deadlock
	TimedOut
	Interrupted
)

// Progress is how far TLC has come. What it does not tell is 0.
type Progress struct {
	Depth     int
	Generated int64
	Distinct  int64
	Queue     int64
}

// Outcome is what came of one run.
type Outcome struct {
	Kind Kind
	// Violated names the invariant or property, or a part of it, as TLC does. It names
	// no temporal property: then this is empty.
	Violated string
	// Reason is why it failed, in TLC's words.
	Reason string
	Progress
	Counterexample Counterexample
	Warnings       []string
	Took           time.Duration
}

// violations are the messages that are verdicts.
var violations = map[int]Kind{
	codeInvariantInitial: Violated,
	codePropertyInitial:  Violated,
	codeInvariant:        Violated,
	codeActionProperty:   Violated,
	codeTemporal:         Violated,
	codeDeadlock:         Deadlock,
}

var (
	violatedLine = regexp.MustCompile(`^(?:Invariant|Property|Action property) (.+) is violated`)
	countsLine   = regexp.MustCompile(`([\d,]+) states generated.*?, (-?[\d,]+) distinct states found.*?, (-?[\d,]+) states left on queue`)
	progressLine = regexp.MustCompile(`^Progress\((-?\d+)\)`)
	depthLine    = regexp.MustCompile(`search is (\d+)`)
)

// Observer draws the outcome from TLC's messages. The first error is the verdict:
// what follows it are its circumstances.
type Observer struct {
	outcome   Outcome
	verdict   bool
	success   bool
	simulates bool
	finished  bool
	parsing   bool
	parser    []string // what the parser said, without what it always says
	states    []string
}

// Take is called for each message in turn. It reports whether TLC tells how far it is,
// and goes on.
func (o *Observer) Take(m Message) bool {
	switch m.Code {
	case codeNone:
		if text := strings.TrimSpace(m.Text); o.parsing && text != "" &&
			!strings.HasPrefix(text, "Parsing file") && !strings.HasPrefix(text, "Semantic processing") {
			o.parser = append(o.parser, text)
		}
	case codeSANYStart, codeSANYEnd:
		o.parsing = m.Code == codeSANYStart
	case codeSuccess:
		o.success = true
	case codeSimulation:
		o.simulates = true
	case codeFinished:
		o.finished = true
	case codeDepth:
		if found := depthLine.FindStringSubmatch(m.Text); found != nil {
			o.outcome.Depth = int(number(found[1]))
		}
	case codeStates, codeProgress, codeProgressSimulated:
		o.counts(m.Text)
		return !o.verdict && !o.success && m.Code != codeStates
	case codeState, codeBackToState, codeStuttering:
		o.states = append(o.states, m.Text)
	default:
		o.judge(m)
	}
	return false
}

// judge takes an error or a warning.
func (o *Observer) judge(m Message) {
	switch m.Severity {
	case severityWarning:
		o.outcome.Warnings = append(o.outcome.Warnings, m.Text)
		return
	case severityError, severityBug:
	default:
		return
	}
	if o.verdict {
		return
	}
	o.verdict = true
	kind, ok := violations[m.Code]
	if !ok {
		o.outcome.Reason = m.Text
		if m.Code == codeParsing {
			o.outcome.Reason = strings.Join(o.parser, "\n")
		}
		return
	}
	o.outcome.Kind = kind
	first, rest, _ := strings.Cut(m.Text, "\n")
	if found := violatedLine.FindStringSubmatch(first); found != nil {
		o.outcome.Violated = found[1]
	}
	if m.Code == codeInvariantInitial || m.Code == codePropertyInitial {
		o.states = []string{"1: <Initial predicate>\n" + rest}
	}
}

// counts reads how far TLC is. In a simulation it says -1 for what it does not count.
func (o *Observer) counts(text string) {
	found := countsLine.FindStringSubmatch(text)
	if found == nil {
		return
	}
	p := &o.outcome.Progress
	p.Generated, p.Distinct, p.Queue = number(found[1]), max(0, number(found[2])), max(0, number(found[3]))
	if found := progressLine.FindStringSubmatch(text); found != nil {
		p.Depth = max(0, int(number(found[1])))
	}
}

func number(digits string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(digits, ",", ""), 10, 64)
	if err != nil {
		return 0 // beyond int64; nobody gets there
	}
	return n
}

// Outcome is the verdict once TLC has ended, with this exit status.
func (o *Observer) Outcome(status int) Outcome {
	out := o.outcome
	switch {
	case !o.verdict && status == 0 && (o.success || o.simulates && o.finished):
		out.Kind = Holds
	case !o.verdict:
		out.Reason = fmt.Sprintf("TLC ended with status %d and gave no verdict", status)
	case out.Kind != Failed:
		var err error
		if out.Counterexample, err = ParseCounterexample(o.states); err != nil {
			out.Kind, out.Reason = Failed, "TLC's counterexample cannot be read: "+err.Error()
		}
	}
	return out
}

// violated is the configuration's invariant or property that was violated, or TLC's
// words for it. TLC names a property's parts by themselves, or by where they stand, and
// a temporal property not at all; if there is just one property it is that.
func (c *Config) violated(o *Outcome) string {
	if slices.Contains(c.Invariants, o.Violated) || slices.Contains(c.Properties, o.Violated) {
		return o.Violated
	}
	if len(c.Properties) == 1 {
		return c.Properties[0]
	}
	return cmp.Or(o.Violated, "one of "+strings.Join(c.Properties, ", "))
}

// Words says how a run ended.
func (c *Config) Words(o *Outcome) string {
	switch o.Kind {
	case Holds:
		return expectHolds
	case Violated:
		return "violates " + c.violated(o)
	case Deadlock:
		return "deadlock"
	case TimedOut:
		return "time-out"
	case Interrupted:
		return "interrupted"
	}
	return "TLC error"
}

// Expected reports whether a run ended as the configuration says.
func (c *Config) Expected(o *Outcome) bool {
	if c.Expect == expectHolds {
		return o.Kind == Holds
	}
	return o.Kind == Violated && c.violated(o) == c.Expect
}
