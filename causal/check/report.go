package check

import (
	"fmt"
	"strings"
)

// Kind is which promise a violation breaks.
type Kind uint8

// The kinds of violations.
const (
	// KindMalformed: the history contradicts itself; nothing else was judged.
	KindMalformed Kind = iota
	// KindNowhere: a read returned what nobody wrote to that key.
	KindNowhere
	// KindRefused: a read returned a write that was refused.
	KindRefused
	// KindWrongKey: a read returned another key's version.
	KindWrongKey
	// KindCycle: a read returned a write that is causally after it.
	KindCycle
	// KindStampOrder: a write's stamp is not above those in its past.
	KindStampOrder
	// KindStampClash: two versions share a stamp, or one has two.
	KindStampClash
	// KindDotClash: two versions of an epoch share a dot, or one has two.
	KindDotClash
	// KindStale: a read returned less than its past holds.
	KindStale
	// KindTorn: the versions that one ReadMany returned are no causal cut.
	KindTorn
	// KindDiverged: the servers end with different versions of a key.
	KindDiverged
	// KindLost: a write that was acknowledged or read is not there at the end, and
	// nothing higher is.
	KindLost
	// KindPending: a server's I-cache is not empty at the end.
	KindPending

	kinds int = iota
)

var kindNames = [kinds]string{
	KindMalformed:  "malformed history",
	KindNowhere:    "read from nowhere",
	KindRefused:    "read of a refused write",
	KindWrongKey:   "read of another key's version",
	KindCycle:      "causality has a cycle",
	KindStampOrder: "stamp below the past",
	KindStampClash: "stamp clash",
	KindDotClash:   "dot clash",
	KindStale:      "stale read",
	KindTorn:       "torn read-many",
	KindDiverged:   "servers diverge",
	KindLost:       "write lost",
	KindPending:    "I-cache not empty",
}

func (k Kind) String() string {
	if int(k) < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Place is where in a history something happened. Process and Op are negative
// for what no operation did (the final state); Key is negative where no single
// key is concerned.
type Place struct {
	Process ProcessID
	Op      OpIndex
	Key     KeyID
}

// nowhere is the place of what concerns the history as a whole.
var nowhere = Place{Process: -1, Op: -1, Key: -1}

// atEnd is the place of what concerns a key in the final state.
func atEnd(key KeyID) Place { return Place{Process: -1, Op: -1, Key: key} }

// Violation is one broken promise.
type Violation struct {
	Kind  Kind
	Place Place
	// Message tells a person what happened and why it is wrong.
	Message string
}

func (v Violation) String() string { return v.Kind.String() + ": " + v.Message }

// Report is the judgement on a history.
type Report struct {
	// Violations are described up to the checker's Limit.
	Violations []Violation
	// Counts holds how many of each Kind there were, described or not.
	Counts [kinds]int
}

// OK reports whether the history keeps every promise.
func (r *Report) OK() bool { return r.Total() == 0 }

// Total returns how many violations there were.
func (r *Report) Total() int {
	n := 0
	for _, c := range r.Counts {
		n += c
	}
	return n
}

// Err returns nil, or an ErrViolation that tells the whole report.
func (r *Report) Err() error {
	if r.OK() {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrViolation, r.String())
}

// String tells the counts and then one described violation per line.
func (r *Report) String() string {
	if r.OK() {
		return "no violations"
	}
	var b strings.Builder
	separator := ""
	for k, n := range r.Counts {
		if n > 0 {
			fmt.Fprintf(&b, "%s%d × %s", separator, n, Kind(k))
			separator = ", "
		}
	}
	for _, v := range r.Violations {
		b.WriteString("\n  ")
		b.WriteString(v.String())
	}
	if more := r.Total() - len(r.Violations); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}
