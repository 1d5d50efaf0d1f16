package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// How soon writes show: the three ways to make a version stable, in the same
// workload, on links of the same delay.

// hop is the delay of every link of the comparison.
const hop = time.Millisecond

// visibilityOps is the length of the comparison's workload.
const visibilityOps = 4000

// timedWrite is a write that is not visible everywhere yet.
type timedWrite struct {
	key   string
	stamp causal.Stamp
	at    causal.Time
	shown []bool // per server
}

// timedMessage is a ring message on its way.
type timedMessage struct {
	from, to int
	at       causal.Time
	message  causal.Message
}

// visibility is one run of the comparison.
type visibility struct {
	*world
	rng     *rand.Rand
	flying  []timedMessage // in order of arrival: all links are equally slow
	open    []timedWrite
	delays  []time.Duration
	bytes   int
	written int
}

// CompareVisibility runs the comparison and returns it as a table.
func CompareVisibility() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations, a write every other one, 16 sessions that roam, links of %v\n", visibilityOps, hop)
	fmt.Fprintf(&b, "%-8s %-12s %14s %14s %14s\n", "servers", "variant", "shown p50", "shown p99", "bytes/write")
	for _, servers := range []int{3, 5, 8} {
		for _, o := range []struct {
			name string
			Options
		}{
			{"one-round", Options{}},
			{"tail-closes", Options{Experiment: causal.Experiment{TailCloses: true}}},
			{"two-round", Options{Propagation: causal.TwoRound}},
			{"carrying", Options{Experiment: causal.Experiment{Carrying: true}}},
		} {
			v := newVisibility(servers, o.Options)
			v.run()
			fmt.Fprintf(&b, "%-8d %-12s %12.1fms %12.1fms %14d\n", servers, o.name,
				v.quantile(0.5), v.quantile(0.99), v.bytes/max(1, v.written))
		}
	}
	return b.String()
}

func newVisibility(servers int, o Options) *visibility {
	var history check.History
	cfg := Config{Servers: servers, Keys: 64, Propagation: o.Propagation, Experiment: o.Experiment}
	v := &visibility{rng: rand.New(rand.NewPCG(1, uint64(servers)))}
	v.world = newWorld(cfg, v.rng, &history)
	for range 16 {
		v.addClient("session")
	}
	return v
}

// quantile is in milliseconds.
func (v *visibility) quantile(q float64) float64 {
	slices.Sort(v.delays)
	return float64(v.delays[int(q*float64(len(v.delays)-1))]) / float64(time.Millisecond)
}

// run does an operation every tenth of a hop, and then lets all come to rest.
func (v *visibility) run() {
	for i := 0; i < visibilityOps || len(v.open) > 0; i++ {
		v.now = v.now.Add(hop / 10)
		for len(v.flying) > 0 && v.flying[0].at <= v.now {
			m := v.flying[0]
			v.flying = v.flying[1:]
			v.step(v.nodes[m.to], causal.Input{Kind: causal.InputMessage, Peer: causal.ReplicaID(m.from), Message: &m.message})
		}
		if i < visibilityOps {
			v.operate(v.clients[v.rng.IntN(len(v.clients))])
		}
		for from := range v.nodes {
			v.send(from)
		}
		v.observe()
	}
}

func (v *visibility) operate(c *client) {
	n := v.nodes[v.rng.IntN(len(v.nodes))]
	op := causal.OpRead
	if v.rng.IntN(2) == 0 {
		op = causal.OpWrite
	}
	key := v.rng.IntN(len(v.keys))
	if !v.begin(c, n, op, []int{key}, 0) {
		return
	}
	v.arrive(c)
	written := c.reply.Written
	v.finish(c)
	if op == causal.OpWrite {
		v.written++
		v.open = append(v.open, timedWrite{v.keys[key], written.Stamp, v.now, make([]bool, len(v.nodes))})
	}
}

// send puts what a server has for its successor on the way, and counts it.
func (v *visibility) send(from int) {
	var m causal.Message
	for v.nodes[from].core.Pull(v.now, &m) {
		for _, e := range m.Entries {
			if v.bytes += 16; e.Version != nil {
				v.bytes += payload(e.Version)
			}
		}
		v.flying = append(v.flying, timedMessage{from, v.succ(from), v.now.Add(hop), *m.Clone()})
	}
}

// payload is what a version takes on a link, without the framing: what it
// carries along included.
func payload(w *causal.Version) int {
	n := len(w.Key) + len(w.Value) + 24 + 12*len(w.Deps)
	for _, c := range w.Carried {
		n += payload(c)
	}
	return n
}

// observe notes which writes show where.
func (v *visibility) observe() {
	v.open = slices.DeleteFunc(v.open, func(w timedWrite) bool {
		everywhere := true
		for i, n := range v.nodes {
			if !w.shown[i] {
				var now causal.Version
				n.table.Get([]byte(w.key), &now)
				w.shown[i] = !now.Stamp.Less(w.stamp)
			}
			everywhere = everywhere && w.shown[i]
		}
		if everywhere {
			v.delays = append(v.delays, v.now.Sub(w.at))
		}
		return everywhere
	})
}
