package check

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"causalmesh/causal"
)

// mutation spoils a history in one way. It reports whether it found something to
// spoil; what it makes may still be legal, which is for the twin to say.
type mutation struct {
	name string
	// kinds are those of which at least one must come up often.
	kinds []Kind
	spoil func(rng *rand.Rand, h *History) bool
}

var mutations = []mutation{
	{"an older value is read", []Kind{KindStale}, func(rng *rand.Rand, h *History) bool {
		p, i, ok := pick(rng, h, opRead)
		return ok && lower(rng, h, &p.items[p.ops[i].first])
	}},
	{"a write is invisible to one process", []Kind{KindStale}, func(rng *rand.Rand, h *History) bool {
		p, i, ok := pick(rng, h, opRead)
		if !ok {
			return false
		}
		gone := p.items[p.ops[i].first]
		if gone.Seen == SeenNothing {
			return false
		}
		for j := range p.items[p.ops[i].first:] {
			if it := &p.items[int(p.ops[i].first)+j]; it.Stamp == gone.Stamp && it.Value == gone.Value && it.Key == gone.Key {
				lower(rng, h, it)
			}
		}
		return true
	}},
	{"two writes exchange stamps", []Kind{KindStampOrder, KindStale, KindLost}, exchangeStamps},
	{"read-manys are torn", []Kind{KindTorn}, func(rng *rand.Rand, h *History) bool {
		torn := false
		for _, p := range h.processes {
			for _, o := range p.ops {
				if o.kind == opReadMany && o.count >= 2 {
					torn = lower(rng, h, &p.items[o.first+rng.Int32N(o.count)]) || torn
				}
			}
		}
		return torn
	}},
	{"a write is lost at the end", []Kind{KindLost}, func(rng *rand.Rand, h *History) bool {
		if len(h.Final[0].Items) == 0 {
			return false
		}
		i := rng.IntN(len(h.Final[0].Items))
		if !lower(rng, h, &h.Final[0].Items[i]) {
			return false
		}
		h.Final[1].Items[i] = h.Final[0].Items[i]
		return true
	}},
	{"one server differs at the end", []Kind{KindDiverged}, func(rng *rand.Rand, h *History) bool {
		items := h.Final[1].Items
		return len(items) > 0 && lower(rng, h, &items[rng.IntN(len(items))])
	}},
	{"an I-cache keeps something", []Kind{KindPending}, func(rng *rand.Rand, h *History) bool {
		h.Final[rng.IntN(2)].Pending = 1
		return true
	}},
	{"operations change places", []Kind{KindCycle, KindStale, KindStampOrder}, func(rng *rand.Rand, h *History) bool {
		p := h.processes[rng.IntN(len(h.processes))]
		if len(p.ops) < 2 {
			return false
		}
		i := rng.IntN(len(p.ops) - 1)
		j := i + 1 + rng.IntN(len(p.ops)-1-i)
		p.ops[i], p.ops[j] = p.ops[j], p.ops[i]
		return true
	}},
	{"a join too many", []Kind{KindCycle, KindStale}, func(rng *rand.Rand, h *History) bool {
		p, from := h.processes[rng.IntN(len(h.processes))], h.processes[rng.IntN(len(h.processes))]
		p.Join(Position{Process: from.id, Ops: OpIndex(rng.IntN(len(from.ops) + 1))})
		i := rng.IntN(len(p.ops))
		p.ops = slices.Insert(p.ops[:len(p.ops)-1], i, p.ops[len(p.ops)-1])
		return true
	}},
	{"a value from nowhere", []Kind{KindNowhere}, func(rng *rand.Rand, h *History) bool {
		p, i, ok := pick(rng, h, opRead)
		if ok {
			it := &p.items[p.ops[i].first]
			it.Seen, it.Value = SeenValue, 1<<40
		}
		return ok
	}},
	{"another version's value or stamp", []Kind{KindStampClash, KindWrongKey, KindNowhere, KindRefused, KindDotClash}, func(rng *rand.Rand, h *History) bool {
		p, i, ok := pick(rng, h, opRead, opReadMany, opWrite)
		if !ok || p.ops[i].count == 0 {
			return false
		}
		versions := written(h)
		if len(versions) == 0 {
			return false
		}
		it, other := &p.items[p.ops[i].first], versions[rng.IntN(len(versions))]
		switch rng.IntN(3) {
		case 0:
			it.Stamp = other.Stamp
		case 1:
			it.Dot = other.Dot
		default:
			if it.Seen == SeenValue && other.Seen == SeenValue {
				it.Value = other.Value
			}
		}
		return true
	}},
	{"another epoch, other restarts", []Kind{KindLost, KindStale, KindDotClash}, func(rng *rand.Rand, h *History) bool {
		h.processes[rng.IntN(len(h.processes))].epoch += causal.Epoch(rng.IntN(3))
		h.CleanRestarts = !h.CleanRestarts
		return true
	}},
}

// pick returns an operation of one of the kinds.
func pick(rng *rand.Rand, h *History, of ...opKind) (*Process, int, bool) {
	for range 50 {
		p := h.processes[rng.IntN(len(h.processes))]
		if len(p.ops) == 0 {
			continue
		}
		if i := rng.IntN(len(p.ops)); slices.Contains(of, p.ops[i].kind) {
			return p, i, true
		}
	}
	return nil, 0, false
}

// written lists what was written.
func written(h *History) []Item {
	var all []Item
	for _, p := range h.processes {
		for _, o := range p.ops {
			if o.kind == opWrite || o.kind == opDelete {
				all = append(all, p.items[o.first])
			}
		}
	}
	return all
}

// lower replaces an item by a lower version of the key, or by nothing.
func lower(rng *rand.Rand, h *History, it *Item) bool {
	if it.Seen == SeenNothing {
		return false
	}
	choices := []Item{{Key: it.Key}}
	for _, w := range written(h) {
		if w.Key == it.Key && !w.Stamp.IsZero() && w.Stamp.Less(it.Stamp) {
			choices = append(choices, w)
		}
	}
	*it = choices[rng.IntN(len(choices))]
	return true
}

// exchangeStamps does so wherever the two stamps occur.
func exchangeStamps(rng *rand.Rand, h *History) bool {
	versions := written(h)
	if len(versions) < 2 {
		return false
	}
	a, b := versions[rng.IntN(len(versions))].Stamp, versions[rng.IntN(len(versions))].Stamp
	if a == b || a.IsZero() || b.IsZero() {
		return false
	}
	swap := func(items []Item) {
		for i := range items {
			switch items[i].Stamp {
			case a:
				items[i].Stamp = b
			case b:
				items[i].Stamp = a
			}
		}
	}
	for _, p := range h.processes {
		swap(p.items)
	}
	for _, s := range h.Final {
		swap(s.Items)
	}
	return true
}

// judged is a report in the twin's form.
func judged(r Report) judgement {
	out := judgement{}
	for _, v := range r.Violations {
		out[Violation{Kind: v.Kind, Place: v.Place}] = true
	}
	return out
}

// reduced drops what the two checkers may tell differently. Of a cycle or a
// clash there are several places to name, and on a clash it is arbitrary which of
// two versions a stamp stands for, so that all that follows from it is, too.
func (j judgement) reduced() judgement {
	out := judgement{}
	clash := false
	for v := range j {
		clash = clash || v.Kind == KindStampClash
	}
	for v := range j {
		switch v.Kind {
		case KindStampClash, KindDotClash, KindCycle, KindMalformed, KindPending:
			v.Place = nowhere
		}
		if !clash || v.Kind == KindStampClash {
			out[v] = true
		}
	}
	return out
}

func (j judgement) has(kinds []Kind) bool {
	for v := range j {
		if slices.Contains(kinds, v.Kind) {
			return true
		}
	}
	return false
}

func equalJudgements(a, b judgement) bool {
	a, b = a.reduced(), b.reduced()
	if len(a) != len(b) {
		return false
	}
	for v := range a {
		if !b[v] {
			return false
		}
	}
	return true
}

// agree fails the test unless both checkers judge alike, however many processes
// the fast one considers at a time.
func agree(t *testing.T, c *Checker, h *History, what string) judgement {
	t.Helper()
	want := twinCheck(h)
	var counts [kinds]int
	for _, columns := range []int{0, 1, 3} {
		c.columns = columns
		got := c.Check(h)
		if columns == 0 {
			counts = got.Counts
		}
		if !equalJudgements(judged(got), want) || got.Counts != counts {
			var text bytes.Buffer
			if err := h.Encode(&text); err != nil {
				t.Error(err)
			}
			t.Fatalf("%s, %d columns: checker says %s\ntwin says %v\n%s", what, columns, got.String(), want, text.String())
		}
	}
	return want
}

func randomShape(rng *rand.Rand) shape {
	return shape{keys: 1 + rng.IntN(5), threads: 1 + rng.IntN(4), ops: 5 + rng.IntN(55), restarts: true}
}

// twinSeeds is how many histories each test makes.
const twinSeeds = 1500

func TestLegalHistories(t *testing.T) {
	c := Checker{Limit: 1 << 20}
	for seed := range uint64(twinSeeds) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := generate(rng, randomShape(rng))
		if want := agree(t, &c, h, "legal"); len(want) > 0 {
			t.Fatalf("seed %d: generated as legal, but %v", seed, want)
		}
	}
}

func TestMutations(t *testing.T) {
	for n, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			c := Checker{Limit: 1 << 20}
			spoilt, caught := 0, 0
			for seed := range uint64(twinSeeds) {
				rng := rand.New(rand.NewPCG(seed, uint64(n)+2))
				h := generate(rng, randomShape(rng))
				if !m.spoil(rng, h) {
					continue
				}
				spoilt++
				if agree(t, &c, h, m.name).has(m.kinds) {
					caught++
				}
			}
			t.Logf("%d histories spoilt, %d of them in the way that was meant", spoilt, caught)
			if spoilt < twinSeeds/4 || caught < spoilt/20 {
				t.Errorf("%d of %d spoilt, %d as meant: too few to mean anything", spoilt, twinSeeds, caught)
			}
		})
	}
}

// TestManyMutations piles them up.
func TestManyMutations(t *testing.T) {
	c := Checker{Limit: 1 << 20}
	for seed := range uint64(twinSeeds) {
		rng := rand.New(rand.NewPCG(seed, 100))
		h := generate(rng, randomShape(rng))
		for range 1 + rng.IntN(6) {
			mutations[rng.IntN(len(mutations))].spoil(rng, h)
		}
		agree(t, &c, h, "several")
	}
}
