package check

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"causalmesh/causal"
)

// generator makes legal histories. Its store is one log of versions in commit
// order; whoever knows a prefix of the log knows a causal cut, since a session
// writes at the end what it derived from a prefix. Sessions know different
// prefixes, so reads are stale in every legal way.
type generator struct {
	rng     *rand.Rand
	h       *History
	log     []Item
	epoch   causal.Epoch
	used    map[causal.Stamp]bool
	highest causal.Time
	dots    [3]causal.Counter
	threads []*thread
	value   ValueID
}

// thread is a process and what it knows: a prefix of the log and its own writes.
type thread struct {
	*Process
	prefix int
	own    []int
}

type shape struct {
	keys, threads, ops int
	restarts           bool
}

func generate(rng *rand.Rand, s shape) *History {
	g := &generator{rng: rng, h: new(History), used: map[causal.Stamp]bool{}, epoch: 1}
	for k := range s.keys {
		g.h.Keys = append(g.h.Keys, fmt.Sprintf("k%d", k))
		if rng.IntN(3) == 0 {
			g.value++
			g.h.Foreign = append(g.h.Foreign, Foreign{Key: KeyID(k), Value: g.value})
			g.log = append(g.log, Item{Key: KeyID(k), Seen: SeenValue, Value: g.value, Stamp: causal.ForeignStamp})
		}
	}
	g.h.CleanRestarts = rng.IntN(2) == 0
	for range s.threads {
		g.start(len(g.log), nil)
	}
	for n := range s.ops {
		if s.restarts && n == s.ops/2 && rng.IntN(3) == 0 {
			g.restart(s.threads)
		}
		g.op(g.threads[rng.IntN(len(g.threads))])
	}
	for server := range 2 {
		state := ServerState{Server: causal.ReplicaID(server)}
		for k := range s.keys {
			if it := g.view(KeyID(k), len(g.log), nil); it.Seen != SeenNothing {
				state.Items = append(state.Items, it)
			}
		}
		g.h.Final = append(g.h.Final, state)
	}
	return g.h
}

func (g *generator) start(prefix int, own []int, parents ...Position) *thread {
	name := fmt.Sprintf("s%d", g.h.Processes())
	t := &thread{Process: g.h.Start(name, g.epoch, parents...), prefix: prefix, own: slices.Clone(own)}
	g.threads = append(g.threads, t)
	return t
}

// restart ends all sessions. What a crash leaves of each key is what it was at
// some time or other.
func (g *generator) restart(threads int) {
	g.epoch++
	g.threads = nil
	g.dots = [3]causal.Counter{}
	if !g.h.CleanRestarts {
		var left []Item
		for k := range g.h.Keys {
			if it := g.view(KeyID(k), g.rng.IntN(len(g.log)+1), nil); it.Seen != SeenNothing {
				left = append(left, it)
			}
		}
		g.log = left
	}
	for range threads {
		g.start(len(g.log), nil)
	}
	for _, t := range g.threads {
		t.prefix = len(g.log)
	}
}

// view is the highest version of a key in a prefix of the log and in own.
func (g *generator) view(k KeyID, prefix int, own []int) Item {
	top := Item{Key: k}
	for i, it := range g.log {
		if it.Key == k && (i < prefix || slices.Contains(own, i)) && top.Stamp.Less(it.Stamp) {
			top = it
		}
	}
	return top
}

func (g *generator) op(t *thread) {
	k := KeyID(g.rng.IntN(len(g.h.Keys)))
	switch n := g.rng.IntN(100); {
	case n < 30:
		g.read(t, k)
	case n < 45:
		g.readMany(t)
	case n < 80:
		g.write(t, k, n < 70)
	case n < 85:
		g.start(t.prefix, t.own, t.Position())
	case n < 92:
		from := g.threads[g.rng.IntN(len(g.threads))]
		t.Join(from.Position())
		t.prefix = max(t.prefix, from.prefix)
		t.own = append(t.own, from.own...)
	case n < 94:
		g.foreign(k)
	default:
		a, b := g.threads[g.rng.IntN(len(g.threads))], t
		g.start(max(a.prefix, b.prefix), slices.Concat(a.own, b.own), a.Position(), b.Position())
	}
}

// told is what a client gets to know of an item: sometimes that it has expired,
// sometimes no stamp.
func (g *generator) told(it Item) Item {
	switch {
	case it.Seen == SeenValue && it.Stamp != causal.ForeignStamp && g.rng.IntN(12) == 0:
		it.Seen, it.Value = SeenExpired, 0
	case it.Seen != SeenNothing && g.rng.IntN(12) == 0:
		it.Dot, it.Stamp = causal.Dot{}, causal.Stamp{}
	}
	return it
}

func (g *generator) advance(t *thread) {
	if g.rng.IntN(2) == 0 {
		t.prefix += g.rng.IntN(len(g.log) - t.prefix + 1)
	}
}

func (g *generator) read(t *thread, k KeyID) {
	g.advance(t)
	t.Read(g.told(g.view(k, t.prefix, t.own)))
}

func (g *generator) readMany(t *thread) {
	g.advance(t)
	var items []Item
	for k := range g.h.Keys {
		if g.rng.IntN(2) == 0 {
			items = append(items, g.told(g.view(KeyID(k), t.prefix, t.own)))
		}
	}
	t.ReadMany(items...)
}

// stamp returns an unused one above all that t knows.
func (g *generator) stamp(t *thread) causal.Stamp {
	time := causal.Time(10)
	if g.epoch > 1 {
		time = g.highest // a restarted cluster's wall clock is above the database
	}
	for i, it := range g.log {
		if i < t.prefix || slices.Contains(t.own, i) {
			time = max(time, it.Stamp.Time)
		}
	}
	for {
		time += 1 + causal.Time(g.rng.IntN(4))
		s := causal.Stamp{Time: time, Origin: causal.ReplicaID(g.rng.IntN(len(g.dots)))}
		if !g.used[s] {
			g.used[s] = true
			if g.epoch == 1 {
				g.highest = max(g.highest, time)
			}
			return s
		}
	}
}

func (g *generator) write(t *thread, k KeyID, value bool) {
	g.value++
	it := Item{Key: k, Seen: SeenTombstone}
	if value {
		it.Seen, it.Value = SeenValue, g.value
	}
	outcome, happens := Acknowledged, true
	switch g.rng.IntN(10) {
	case 0:
		outcome, happens = Unknown, g.rng.IntN(2) == 0
	case 1:
		outcome, happens = Refused, false
	}
	if happens {
		it.Stamp = g.stamp(t)
		g.dots[it.Stamp.Origin]++
		it.Dot = causal.Dot{Origin: it.Stamp.Origin, Counter: g.dots[it.Stamp.Origin]}
		g.log = append(g.log, it)
	}
	if outcome == Acknowledged {
		t.own = append(t.own, len(g.log)-1)
	} else {
		it.Dot, it.Stamp = causal.Dot{}, causal.Stamp{}
	}
	if value {
		t.Write(k, it.Value, outcome, it.Dot, it.Stamp)
	} else {
		t.Delete(k, outcome, it.Dot, it.Stamp)
	}
}

// foreign imports what another program has done to a key.
func (g *generator) foreign(k KeyID) {
	it := Item{Key: k, Seen: SeenTombstone}
	if g.rng.IntN(2) == 0 {
		g.value++
		it.Seen, it.Value = SeenValue, g.value
	}
	g.h.Foreign = append(g.h.Foreign, Foreign{Key: k, Value: it.Value})
	it.Stamp = g.stamp(&thread{prefix: len(g.log)})
	g.log = append(g.log, it)
}
