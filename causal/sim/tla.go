package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"causalmesh/causal"
)

// Values as TLA+ spells them.

func tlaInt[T ~int | ~uint8 | ~uint64](n T) string { return strconv.FormatUint(uint64(n), 10) }

func tlaString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func tlaBool(b bool) string { return strings.ToUpper(strconv.FormatBool(b)) }

func tlaTuple(items ...string) string { return "<<" + strings.Join(items, ", ") + ">>" }

func tlaSet(items ...string) string { return "{" + strings.Join(items, ", ") + "}" }

// tlaDot spells "absent" as the models do: <<0, 0>>.
func tlaDot(d causal.Dot) string { return tlaTuple(tlaInt(d.Origin), tlaInt(d.Counter)) }

func tlaDots(dots []causal.Dot) string {
	items := make([]string, len(dots))
	for i, d := range dots {
		items[i] = tlaDot(d)
	}
	return tlaSet(items...)
}

// tlaVector spells a vector of n servers as a tuple: TLA+ counts from 1.
func tlaVector(v causal.VectorClock, n int) string {
	items := make([]string, n)
	for i := range items {
		c := causal.Counter(0)
		if i < len(v) {
			c = v[i]
		}
		items[i] = tlaInt(c)
	}
	return tlaTuple(items...)
}

// tlaRecord collects fields; one must have at least one.
type tlaRecord []string

func (r *tlaRecord) put(name, value string) { *r = append(*r, name+" |-> "+value) }

func (r tlaRecord) String() string { return "[" + strings.Join(r, ", ") + "]" }

// tlaLines is a tuple with each item on a line of its own.
func tlaLines(items []string) string {
	if len(items) == 0 {
		return "<<>>"
	}
	return "<<\n" + strings.Join(items, ",\n") + "\n>>"
}

// tlaDefinition is a constant of a module.
type tlaDefinition struct{ name, value string }

func tlaModule(name, comment string, definitions ...tlaDefinition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---- MODULE %s ----\n", name)
	for line := range strings.Lines(comment) {
		b.WriteString(`\* ` + line)
	}
	b.WriteByte('\n')
	for _, d := range definitions {
		fmt.Fprintf(&b, "\n%s ==\n%s\n", d.name, d.value)
	}
	b.WriteString("====\n")
	return b.String()
}

// tlaTimes puts the times of a trace into their order: hybrid times are beyond the
// integers of TLC, and only their order counts.
type tlaTimes map[causal.Time]int

func (t tlaTimes) note(times ...causal.Time) {
	for _, time := range times {
		t[time] = 0
	}
}

// rank numbers what was noted from 1.
func (t tlaTimes) rank() {
	for i, time := range slices.Sorted(maps.Keys(t)) {
		t[time] = i + 1
	}
}
