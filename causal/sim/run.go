package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// Options say which runs a Runner makes of a seed.
type Options struct {
	Propagation causal.Propagation
	Experiment  causal.Experiment
	// Trace, if set, is called for everything that happens.
	Trace func(format string, args ...any)
}

// Result is what one run came to.
type Result struct {
	Seed   uint64
	Report check.Report
	Faults []Fault
	Stats  Stats
}

// OK reports whether the run showed nothing wrong.
func (r *Result) OK() bool { return r.Report.OK() && len(r.Faults) == 0 }

// String describes what is wrong, for a person.
func (r *Result) String() string {
	s := fmt.Sprintf("seed %d: ", r.Seed)
	for _, f := range r.Faults {
		s += f.String() + "; "
	}
	return s + r.Report.String()
}

// Stats say what runs have gone through, so that nobody takes an idle simulator
// for a correct one.
type Stats struct {
	Runs       uint64
	Steps      uint64
	Operations uint64
	Cuts       uint64
	Restarts   uint64
	Branches   uint64
	Joins      uint64
	Direct     uint64
	Foreign    uint64
	Unknown    uint64
	Core       causal.Counters
}

func (s *Stats) add(t *Stats) {
	s.Runs += t.Runs
	s.Steps += t.Steps
	s.Operations += t.Operations
	s.Cuts += t.Cuts
	s.Restarts += t.Restarts
	s.Branches += t.Branches
	s.Joins += t.Joins
	s.Direct += t.Direct
	s.Foreign += t.Foreign
	s.Unknown += t.Unknown
	s.Core.Add(t.Core)
}

// Runner makes runs, one after the other, and keeps its memory between them.
type Runner struct {
	Options
	checker check.Checker
	history check.History
}

// plan is what a seed decides before anything happens.
type plan struct {
	cfg      Config
	sessions int
	ops      int
	// Chances, in thousandths per step.
	cut, evict, foreign, restart, lose, again, unknown, dbFail int
	ttl, remove, many, branch, stay                            int
	slow                                                       []int // per link: how many of fifty turns it sleeps
	hold                                                       int   // a message that could come stays on the link
	skew                                                       []time.Duration
	clean                                                      bool // a restart waits until all is flushed
	alone                                                      bool // for traces: no other program has written to the database
	// Chances that a failed flush is on its way nevertheless, that a tombstone's grace is
	// over, and that a client pauses.
	late, purge, pause int
}

// rarer makes one plan in four hold back ring messages, which are lost with their links
// then; of those with a database it makes keys share a shard, flushes come late, and
// tombstones go. Its source is one of its own, so that the other three stay as they were
// before it came.
func (p *plan) rarer(rng *rand.Rand) {
	if rng.IntN(4) > 0 {
		return
	}
	p.hold = rng.IntN(600)
	if !p.cfg.Store {
		return
	}
	p.cfg.Keys, p.cfg.names = 0, shardKeys()
	p.late, p.purge, p.pause = 500, 500, rng.IntN(900)
	p.remove = max(p.remove, 100)
	// Where an earlier life's tombstone is gone, another program's value may rightly stand
	// in the place of the delete: the checker cannot tell.
	p.restart = 0
}

func (r *Runner) plan(rng *rand.Rand) plan {
	return r.planFor([]int{1, 2, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 8}[rng.IntN(14)], rng)
}

func (r *Runner) planFor(servers int, rng *rand.Rand) plan {
	chance := func(percent, value int) int {
		if rng.IntN(100) < percent {
			return 1 + rng.IntN(value)
		}
		return 0
	}
	p := plan{
		cfg: Config{
			Servers: servers, Keys: 2 + rng.IntN(3), Propagation: r.Propagation,
			Store: rng.IntN(10) < 6, Direct: rng.IntN(10) < 4, Experiment: r.Experiment,
			Limits: causal.Limits{LoadTimeout: 200 * time.Millisecond, KeyBytes: 64, ValueBytes: 256},
		},
		sessions: 2 + rng.IntN(4), ops: 20 + rng.IntN(60),
		cut: chance(60, 20), lose: chance(50, 60), again: chance(40, 100), unknown: chance(40, 300),
		ttl: chance(20, 300), remove: chance(50, 300), many: chance(60, 400), branch: chance(40, 60), stay: chance(60, 900),
		clean: rng.IntN(2) == 0,
	}
	if servers > 1 && rng.IntN(6) == 0 {
		p.cfg.Ack = causal.AckReplicated
	}
	if rng.IntN(12) == 0 {
		p.cfg.Key = []byte("a cluster key of thirty-two byte")
	}
	if rng.IntN(8) == 0 {
		p.cfg.Limits.PendingBytes = servers * 2000 // a few versions: overload
	}
	if r.Experiment.Carrying {
		p.cfg.Store = false // the carrying variant is there to compare visibility
	}
	if p.cfg.Store {
		p.evict, p.foreign, p.dbFail = chance(80, 60), chance(30, 12), chance(50, 200)
		p.restart = chance(20, 8)
	}
	if p.cfg.Store && rng.IntN(2) == 0 {
		// Mostly about eviction: it happens all the time, and little else goes wrong.
		p.evict, p.stay = 50+rng.IntN(250), 500+rng.IntN(450)
		p.cut, p.foreign, p.restart, p.dbFail, p.lose = 0, 0, 0, 0, 0
		p.cfg.Keys, p.sessions, p.ops = 2, 3, 80
	}
	for range servers * servers {
		p.slow = append(p.slow, []int{0, 0, 20, 45, 49, 50}[rng.IntN(6)])
	}
	for range servers {
		p.skew = append(p.skew, time.Duration(rng.IntN(20)-10)*time.Millisecond)
	}
	return p
}

// Run makes the run of a seed.
func (r *Runner) Run(seed uint64) Result {
	rng := newRand(seed)
	p := r.plan(rng)
	p.rarer(newRand(^seed))
	return r.run(seed, p, rng)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

func (r *Runner) run(seed uint64, p plan, rng *rand.Rand) (res Result) {
	res.Seed = seed
	var d *driver
	defer func() {
		if e := recover(); e != nil {
			res.Faults = append(res.Faults, Fault{FaultPanic, fmt.Sprintf("%v\n%s", e, debug.Stack())})
		}
	}()
	w := newWorld(p.cfg, rng, &r.history)
	if r.Trace != nil {
		w.trace = r.Trace
	}
	d = &driver{world: w, plan: p}
	d.run()
	res.Report = r.checker.Check(&r.history)
	res.Faults, res.Stats = w.faults, d.stats
	return res
}

// driver decides what happens next.
type driver struct {
	*world
	plan  plan
	stats Stats
	left  int // operations to begin
}

// maxSteps ends a run that makes no headway.
const maxSteps = 2000

func (d *driver) run() {
	d.stats.Runs = 1
	for i, n := range d.nodes {
		n.skew = d.plan.skew[i]
	}
	for range d.plan.sessions {
		d.addClient("session")
	}
	if d.cfg.Store && !d.plan.alone {
		for k := range d.keys {
			if d.rng.IntN(3) == 0 {
				d.foreignWrite(k, false) // what the database held before
			}
		}
	}
	d.left = d.plan.ops
	for steps := 0; d.left > 0 && steps < maxSteps; steps++ {
		d.stats.Steps++
		d.now += causal.Time(d.rng.IntN(400_000))
		d.act()
	}
	d.settle()
}

func (d *driver) chance(thousandths int) bool {
	return thousandths > 0 && d.rng.IntN(1000) < thousandths
}

// act does one thing.
func (d *driver) act() {
	if d.chance(d.plan.cut) {
		d.cutSome()
	}
	if d.chance(d.plan.evict) {
		n := d.nodes[d.rng.IntN(len(d.nodes))]
		if n.core.Evict([]byte(d.keys[d.rng.IntN(len(d.keys))])) {
			n.table.show(func() { d.stepReaders(n) })
		}
	}
	if d.chance(d.plan.foreign) {
		d.stats.Foreign++
		d.foreignWrite(d.rng.IntN(len(d.keys)), d.rng.IntN(4) == 0)
	}
	if d.chance(d.plan.restart) && d.stats.Restarts == 0 {
		d.restart()
	}
	if d.plan.purge > 0 {
		d.purgeSome(d.rng.IntN(len(d.keys)))
	}
	switch n := d.rng.IntN(100); {
	case n < 45:
		if !d.chance(d.plan.pause) {
			d.actClient()
		}
	case n < 80:
		d.actLink()
	case n < 88:
		d.tick(d.nodes[d.rng.IntN(len(d.nodes))])
	case n < 98:
		d.actDatabase()
	default:
		d.reconnect()
	}
}

// actLink moves a message on one of the links that have any. Slow links sleep
// through most of their turns.
func (d *driver) actLink() {
	from, to, seen := 0, 0, 0
	for i := range d.links {
		for j, l := range d.links[i] {
			ring := j == d.succ(i) && i != j && l.up
			if (ring || len(l.queue) > 0) && d.rng.IntN(50) >= d.plan.slow[i*len(d.nodes)+j] {
				if seen++; d.rng.IntN(seen) == 0 {
					from, to = i, j
				}
			}
		}
	}
	if seen == 0 {
		return
	}
	if to == d.succ(from) && len(d.links[from][to].queue) < 4 {
		d.pull(from)
	}
	if d.chance(d.plan.hold) {
		return
	}
	d.deliver(from, to, d.chance(d.plan.again))
}

func (d *driver) actDatabase() {
	if len(d.dbQueue) == 0 {
		return
	}
	i := d.rng.IntN(len(d.dbQueue))
	q := &d.dbQueue[i]
	if q.slow && d.rng.IntN(30) > 0 {
		return
	}
	q.slow = d.rng.IntN(6) == 0 // from here to the next step of its way
	switch {
	case q.load != nil || q.flush != nil:
		if !q.late && d.chance(d.plan.dbFail) {
			if q.flush != nil && d.chance(d.plan.late) {
				d.failLate(i)
			} else {
				d.answer(i, true)
			}
			return
		}
		d.database(i)
		if d.rng.IntN(2) == 0 {
			d.answer(i, false)
		}
	default:
		d.answer(i, d.chance(d.plan.dbFail)) // done, but the answer may be lost
	}
}

// purgeSome drops the tombstone of a key, if there is one whose grace may be over.
func (d *driver) purgeSome(key int) {
	if d.chance(d.plan.purge) && d.quiet(key) {
		_ = d.purge(key)
	}
}

func (d *driver) cutSome() {
	from := d.rng.IntN(len(d.nodes))
	to := d.succ(from)
	if d.rng.IntN(4) == 0 {
		to = d.rng.IntN(len(d.nodes))
	}
	d.stats.Cuts++
	d.cut(from, to)
}

func (d *driver) reconnect() {
	for from := range d.links {
		for to, l := range d.links[from] {
			switch {
			case from == to || l.up || d.rng.IntN(2) == 0:
			case l.handshake == nil:
				d.accept(from, to)
			default:
				d.establish(from, to)
			}
		}
	}
}

// actClient lets one of the clients go on that can.
func (d *driver) actClient() {
	var c *client
	seen := 0
	for _, x := range d.clients {
		if x.stage != gone && (x.stage != waiting || d.rng.IntN(200) == 0) {
			if seen++; d.rng.IntN(seen) == 0 {
				c = x
			}
		}
	}
	if c == nil {
		return
	}
	switch c.stage {
	case idle:
		d.beginSome(c)
		if c.stage == sent && d.rng.IntN(10) < 6 { // most of the time nothing is in between
			d.arrive(c)
			if c.stage == answered && !d.chance(d.plan.lose) {
				d.finish(c)
			}
		}
	case sent:
		d.arrive(c)
	case reading:
		d.stepDirect(c)
	case answered, waiting:
		lost := c.stage == waiting || d.chance(d.plan.lose)
		switch {
		case !lost:
			d.finish(c)
		case d.chance(d.plan.unknown):
			d.stats.Unknown++
			d.giveUp(c)
		default:
			c.stage = sent // the same request again
		}
	}
}

func (d *driver) beginSome(c *client) {
	n := d.nodes[d.rng.IntN(len(d.nodes))]
	if c.node != nil && d.chance(d.plan.stay) {
		n = d.nodes[c.node.id]
	}
	if d.chance(d.plan.branch) && len(d.clients) < 24 {
		d.branchOrJoin(c)
		return
	}
	d.left--
	d.stats.Operations++
	keys := []int{d.rng.IntN(len(d.keys))}
	if d.chance(d.plan.many) {
		keys = d.rng.Perm(len(d.keys))[:2]
	}
	ttl := time.Duration(0)
	if d.chance(d.plan.ttl) {
		ttl = time.Duration(1+d.rng.IntN(20)) * time.Millisecond
	}
	switch op := d.rng.IntN(10); {
	case op < 5 && d.cfg.Direct && d.rng.IntN(2) == 0:
		d.stats.Direct++
		d.beginDirect(c, n, keys)
	case op < 5 && len(keys) > 1:
		d.begin(c, n, causal.OpReadMany, keys, 0)
	case op < 5:
		d.begin(c, n, causal.OpRead, keys, 0)
	case op < 9 && !d.chance(d.plan.remove):
		d.begin(c, n, causal.OpWrite, keys[:1], ttl)
	case op < 9:
		d.begin(c, n, causal.OpDelete, keys[:1], 0)
	default:
		d.begin(c, n, causal.OpSync, nil, 0)
	}
}

func (d *driver) branchOrJoin(c *client) {
	other := d.clients[d.rng.IntN(len(d.clients))]
	if d.rng.IntN(2) == 0 || other == c || other.stage == gone {
		d.stats.Branches++
		d.branch(c)
		return
	}
	d.stats.Joins++
	d.join(c, other)
}
