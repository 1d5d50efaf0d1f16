package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/causal/internal/defect"
)

// ErrScenario is wrapped by what is wrong with a scenario's text, or with what it
// expects.
var ErrScenario = errors.New("scenario")

// Scenario is a schedule written by hand. Its text opens with comments that make
// its claim, and goes on with settings, one to a line:
//
//	servers N            in the ring; 3 if not said
//	store | two-round | carrying | replicated
//	skew 1ms -1ms …      how far each server's wall clock is ahead
//	caught-by defect …   what it is a canary for
//
// and then what happens, in order. S and T are servers, A and B sessions (which
// start when they are first named), x and y keys, v1 to v9 values:
//
//	A@S write x v1 [ttl 5ms]   whole operations; -> says what must come of
//	A@S delete x               them: values, nothing, error TEXT, parked
//	A@S read x -> v1
//	A@S read-many x y -> v1 nothing
//	A@S sync
//	A@S send write x v1        the request is on its way; then
//	A arrive | A finish [-> …] | A lose | A retry
//	A@S direct x [y]           begins a read beside the writer
//	A step [n] [-> …]          its next access to the table; -> what it returns
//	B branches A | A joins B
//	S>T [n|all]                messages move; ring messages are pulled as needed
//	S>T again                  the next message comes, and stays to come again
//	S>T send                   the next ring message is put on the link, no more
//	cut S>T | connect S>T      a link is lost, or set up anew
//	tick S | wait 5ms
//	evict S x [refused]
//	hold S | show S [n|all]    the writer's steps are shown one by one
//	db                         the database does all that it was asked for
//	db purge x                 the grace of x's tombstone is over
//	db late [n]                a flush is given up, and still on its way
//	db run|answer|fail [n]     it carries out, answers or fails its n-th oldest request
//	foreign x v9 | foreign x nothing           another program writes
//	restart [skew 1ms -1ms …]  the cluster ends and starts again on its database,
//	                           after a power cut; sessions end
//	old A                      A's context, of the last epoch, is tried: an error
//	rest                       everything is carried out
type Scenario struct {
	Name     string
	Claim    string
	CaughtBy []defect.Set
	cfg      Config
	skew     []time.Duration
	lines    []line
}

type line struct {
	number int
	words  []string
	expect []string
	quiet  bool // no expectation
}

// ParseScenario reads a scenario's text.
func ParseScenario(name string, r io.Reader) (*Scenario, error) {
	s := &Scenario{Name: name, cfg: Config{
		Servers: 3, Direct: true, Limits: causal.Limits{LoadTimeout: time.Second, KeyBytes: 64, ValueBytes: 256},
	}}
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		text := strings.TrimSpace(in.Text())
		if comment, ok := strings.CutPrefix(text, "#"); ok {
			if len(s.lines) == 0 {
				s.Claim = strings.TrimSpace(s.Claim + " " + strings.TrimSpace(comment))
			}
			continue
		}
		text, _, _ = strings.Cut(text, "#")
		head, expect, expects := strings.Cut(text, "->")
		words := strings.Fields(head)
		if len(words) == 0 {
			continue
		}
		done, err := s.setting(words)
		if done && err == nil && len(s.lines) > 0 {
			err = errors.New("settings come first")
		}
		if err != nil {
			return nil, fmt.Errorf("%w %s:%d: %w", ErrScenario, name, n, err)
		}
		if !done {
			s.lines = append(s.lines, line{n, words, strings.Fields(expect), !expects})
		}
	}
	if s.Claim == "" {
		return nil, fmt.Errorf("%w %s: it opens with no claim (# …)", ErrScenario, name)
	}
	return s, in.Err()
}

func (s *Scenario) setting(words []string) (bool, error) {
	w := words[1:]
	switch words[0] {
	case "servers":
		n, err := count(w)
		if s.cfg.Servers = n; err == nil && (len(w) == 0 || n > maxServers) {
			err = fmt.Errorf("want 1 to %d servers", maxServers)
		}
		return true, err
	case "skew":
		s.skew = make([]time.Duration, s.cfg.Servers)
		return true, readSkew(s.skew, w)
	case "caught-by":
		for _, name := range w {
			d, ok := defect.Parse(name)
			if !ok || d == 0 {
				return true, fmt.Errorf("no defect %q", name)
			}
			s.CaughtBy = append(s.CaughtBy, d)
		}
		return true, nil
	case "store":
		s.cfg.Store = true
	case "two-round":
		s.cfg.Propagation = causal.TwoRound
	case "carrying":
		s.cfg.Experiment.Carrying = true
	case "replicated":
		s.cfg.Ack = causal.AckReplicated
	default:
		return false, nil
	}
	if len(w) > 0 {
		return true, fmt.Errorf("unknown word %q", w[0])
	}
	return true, nil
}

// maxServers is as many as runs have.
const maxServers = 8

// Play runs the scenario with a defect, or none. Expectations hold for the
// protocol as it should be: with a defect they are not looked at, only the
// checker is. trace may be nil.
func (s *Scenario) Play(d defect.Set, trace func(format string, args ...any)) (res Result, err error) {
	cfg := s.cfg
	cfg.Experiment.Defects = d
	var history check.History
	w := newWorld(cfg, nil, &history)
	for i, d := range s.skew {
		w.nodes[i].skew = d
	}
	if trace != nil {
		w.trace = trace
	}
	p := &player{driver: &driver{world: w, plan: plan{cfg: cfg}}, named: map[string]*client{}, strict: d == 0}
	for _, l := range s.lines {
		w.now = w.now.Add(10 * time.Microsecond)
		w.trace("%s:%d: %s", s.Name, l.number, strings.Join(l.words, " "))
		if err := p.play(l); err != nil {
			return res, fmt.Errorf("%w %s:%d: %s: %w", ErrScenario, s.Name, l.number, strings.Join(l.words, " "), err)
		}
	}
	w.rng = rand.New(rand.NewPCG(1, 1)) // the second phase steps readers by itself
	for _, n := range w.nodes {
		n.table.held = false
		n.table.show(func() {})
	}
	p.settle()
	if len(history.Final) == 0 {
		history.Final = p.look() // what does not come to rest is judged by what it shows
	}
	res.Report, res.Faults = check.Check(&history), w.faults
	return res, nil
}
