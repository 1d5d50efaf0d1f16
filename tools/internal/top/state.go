package top

import (
	"cmp"
	"slices"
	"time"

	"causalmesh/causal"
	"causalmesh/tools/internal/probe"
)

// The intervals that can be chosen.
const (
	DefaultInterval = time.Second
	MinInterval     = 100 * time.Millisecond
	MaxInterval     = time.Hour
)

// State is all that is shown.
type State struct {
	Nodes    []Node
	At       time.Time // when the nodes were read; zero: not yet
	Interval time.Duration
	// Since is from when on the figures are, zero if they are of one interval.
	Since  time.Time
	reset  bool // Since is to be the next reading's beginning
	Paused bool
	Order  Order
	Scroll int // lines above the window
}

// Node is one node. Texts in it may be from outside.
type Node struct {
	Address   string
	Name      string // "" as long as it is not known
	PID       int
	Epoch     causal.Epoch
	Ring      int
	State     probe.NodeState // "": nothing answers
	Restarted time.Time
	Silent    time.Time // zero, and no State: not asked yet
	Rate      float64   // requests per second, as the daemon counts; negative: not known
	Seconds   float64   // that were measured; 0: nothing yet
	// Operations are those that there were since the probes are on.
	Operations []Operation
	WakeUp     Operation // of all its loops; without a name if it is not measured
	Notes      []string
}

// Operation is a line of figures. Times are in ns.
type Operation struct {
	Name                 string
	Count                uint64
	Rate                 float64
	P50, P99, P999       uint64 // of the total
	Queue, Service, Send uint64 // means of its parts
	Spread               Spread
}

// Order is how operations are sorted.
type Order int

// The orders, in the order in which a key goes through them.
const (
	ByOperation Order = iota
	ByRate
	ByP50
	ByP99
	ByP999
	orders
)

func (o Order) String() string {
	return [orders]string{"operation", "rate", "p50", "p99", "p99.9"}[o]
}

// key is what was pressed.
type key int

const (
	keyNone key = iota
	keyQuit
	keySuspend
	keyPause
	keyReset
	keyInterval // back to one interval
	keySort
	keySlower
	keyFaster
	keyUp
	keyDown
)

// press changes what is to be shown. Quitting and suspending are not its business.
func (s *State) press(k key) {
	switch k {
	case keyPause:
		s.Paused = !s.Paused
	case keyReset:
		s.reset = true
	case keyInterval:
		s.reset, s.Since = false, time.Time{}
	case keySort:
		s.Order = (s.Order + 1) % orders
	case keySlower:
		s.Interval = min(2*s.Interval, MaxInterval)
	case keyFaster:
		s.Interval = max(s.Interval/2, MinInterval)
	case keyUp:
		s.Scroll = max(s.Scroll-1, 0)
	case keyDown:
		s.Scroll++ // View knows where the end is.
	}
}

// begin tells how the next round is to be read, onward or not: whatever was pressed while a
// round was under way counts from the next one on. The latest one was at last.
func (s *State) begin(last time.Time) (onward bool) {
	if s.reset {
		s.reset, s.Since = false, last
		return false
	}
	return !s.Since.IsZero()
}

// sorted returns a node's operations in order.
func (s *State) sorted(n *Node) []Operation {
	all := slices.Clone(n.Operations)
	by := map[Order]func(o *Operation) float64{
		ByRate: func(o *Operation) float64 { return o.Rate },
		ByP50:  func(o *Operation) float64 { return float64(o.P50) },
		ByP99:  func(o *Operation) float64 { return float64(o.P99) },
		ByP999: func(o *Operation) float64 { return float64(o.P999) },
	}[s.Order]
	if by != nil {
		slices.SortStableFunc(all, func(a, b Operation) int { return cmp.Compare(by(&b), by(&a)) })
	}
	return all
}

var meanings = map[byte]key{
	'q': keyQuit, 'Q': keyQuit, ctrlC: keyQuit, ctrlZ: keySuspend, 'p': keyPause, ' ': keyPause, 'r': keyReset, 'i': keyInterval,
	's': keySort, '+': keySlower, '=': keySlower, '-': keyFaster, 'k': keyUp, 'j': keyDown,
}

// keysOf understands what a terminal sends. Of sequences, only the arrows mean something.
func keysOf(typed []byte) (keys []key) {
	for len(typed) > 0 {
		k := meanings[typed[0]]
		if typed[0] == escape {
			var n int
			n, k = sequence(typed)
			typed = typed[n:]
		} else {
			typed = typed[1:]
		}
		if k != keyNone {
			keys = append(keys, k)
		}
	}
	return keys
}

// sequence tells how long the escape sequence is that typed begins with, and what it means.
func sequence(typed []byte) (n int, k key) {
	if len(typed) < 2 || typed[1] != '[' && typed[1] != 'O' {
		return min(len(typed), 2), keyNone // Escape, or a key together with Alt
	}
	for n = 2; n < len(typed); n++ {
		if last := typed[n]; last >= '@' && last <= '~' {
			return n + 1, map[byte]key{'A': keyUp, 'B': keyDown}[last]
		}
	}
	return n, keyNone
}

const (
	ctrlC  = 3
	ctrlZ  = 26
	escape = 27
)
