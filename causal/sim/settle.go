package sim

import (
	"errors"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// settle is the second phase: no more faults, and everything under way is carried
// out. Then all must have come to rest, and all servers must agree.
func (d *driver) settle() {
	for _, c := range d.clients {
		d.endOperation(c)
	}
	if !d.rest() {
		return
	}
	d.checkContexts()
	for k := range d.keys {
		d.purgeSome(k)
	}
	// The first look at every key loads what was evicted, and may import what
	// another program has changed; the second one counts.
	d.look()
	if !d.rest() {
		return
	}
	d.history.Final = d.look()
	for _, n := range d.nodes {
		d.stats.Core.Add(n.core.Status().Counters)
	}
}

// endOperation completes or abandons what a client has under way.
func (d *driver) endOperation(c *client) {
	for c.stage == reading {
		d.stepDirect(c)
	}
	if c.stage == sent {
		d.arrive(c)
	}
	if c.stage == answered {
		d.finish(c)
	}
	if c.stage == waiting {
		d.giveUp(c)
	}
}

// rest lets the world run without faults until nothing moves, and reports whether
// everything that must be empty is.
func (d *driver) rest() bool {
	for round := 0; ; round++ {
		d.now = d.now.Add(3 * time.Millisecond)
		for from := range d.links {
			for to := range d.links[from] {
				if from != to {
					d.connect(from, to)
				}
			}
		}
		for _, n := range d.nodes {
			d.tick(n)
		}
		for from := range d.links {
			for d.pull(from) && len(d.links[from][d.succ(from)].queue) < 100 {
			}
			for to := range d.links[from] {
				for n := len(d.links[from][to].queue); n > 0 && d.deliver(from, to, false); n-- {
				}
			}
		}
		for len(d.dbQueue) > 0 {
			if d.dbQueue[0].load != nil || d.dbQueue[0].flush != nil {
				d.database(0)
			}
			d.answer(0, false)
		}
		left := d.restless()
		if left == "" {
			return true
		}
		if round == 400 {
			d.fault(FaultRestless, "%s", left)
			return false
		}
	}
}

// restless names something that has not come to rest.
func (d *driver) restless() string {
	first := d.nodes[0].core.Stability()
	for _, n := range d.nodes {
		s := n.core.Status()
		switch {
		case s.Pending > 0:
			return "I-cache is not empty"
		case s.Dirty > 0:
			return "keys are not flushed"
		case s.LoadsNow > 0 || s.Parked > 0:
			return "loads are under way"
		case s.Held > 0:
			return "writes wait for their acknowledgement"
		case !n.core.Stability().Equal(first):
			return "servers know different stability vectors"
		case !n.core.Everywhere().Equal(n.core.Stability()):
			return "E is above S"
		case s.Unsent > 0:
			return "the link log is not empty"
		}
	}
	return ""
}

// checkContexts: at rest, one request is enough to empty every context.
func (d *driver) checkContexts() {
	for _, c := range d.clients {
		if c.stage == gone {
			continue
		}
		d.begin(c, d.nodes[0], causal.OpSync, nil, 0)
		d.arrive(c)
		d.finish(c)
		x := c.session.Context()
		if len(x.Own) > 0 || len(x.Known) > 1 || len(x.Known) == 1 && len(x.Known[0].Vector) > d.cfg.Servers {
			d.fault(FaultUnbounded, "session %d keeps %d own writes and %d vectors at rest", c.index, len(x.Own), len(x.Known))
		}
	}
}

// look reads all keys at all servers, in sessions of their own.
func (d *driver) look() []check.ServerState {
	var states []check.ServerState
	for _, n := range d.nodes {
		state := check.ServerState{Server: n.id, Pending: n.core.Status().Pending}
		s := causal.NewSession(1<<40+uint64(n.id), d.cfg.Limits)
		for k, key := range d.keys {
			v, err := d.ask(n, s, key)
			if err != nil {
				d.fault(FaultRestless, "final read of %s at server %d: %v", key, n.id, err)
				continue
			}
			state.Items = append(state.Items, item(check.KeyID(k), v))
		}
		states = append(states, state)
	}
	return states
}

var errNoReply = errors.New("no reply")

// ask reads a key, letting the world run until the reply is there.
func (d *driver) ask(n *node, s *causal.Session, key string) (*causal.Version, error) {
	r, err := s.Begin(causal.OpRead, [][]byte{[]byte(key)}, nil, 0)
	if err != nil {
		return nil, err
	}
	c := &client{index: len(d.clients), session: s, node: n, stage: sent, request: copyRequest(r)}
	d.clients = append(d.clients, c)
	defer func() { d.clients = d.clients[:len(d.clients)-1] }()
	d.arrive(c)
	if c.stage == waiting {
		d.rest()
	}
	if c.stage != answered {
		return nil, errNoReply
	}
	versions, err := s.Finish(&c.reply)
	if err != nil {
		return nil, err
	}
	return &versions[0], nil
}

// restart ends the whole cluster and starts it again, in a new epoch, on the
// database as it is: after a clean shutdown, or as after a power cut. Clocks have
// moved on by more than their skew, and are skewed anew.
func (d *driver) restart() {
	d.stats.Restarts++
	for _, c := range d.clients {
		if c.stage == reading {
			c.stage = sent
			d.giveUp(c)
		}
		d.endOperation(c)
	}
	if d.plan.clean && !d.rest() {
		return
	}
	d.trace("restart, clean=%v", d.plan.clean)
	d.history.CleanRestarts = d.plan.clean
	for i := range d.dbQueue { // what had reached the database may yet be done
		if d.rng.IntN(2) == 0 {
			d.database(i)
		}
	}
	for i := range d.plan.skew {
		d.plan.skew[i] = time.Duration(d.rng.IntN(20)-10) * time.Millisecond
	}
	d.now = d.now.Add(25 * time.Millisecond)
	old := d.clients[d.rng.IntN(len(d.clients))]
	for _, n := range d.nodes {
		d.stats.Core.Add(n.core.Status().Counters)
	}
	d.startCluster(d.plan.skew)
	d.checkOldContext(old)
	for _, c := range d.clients {
		c.stage = gone
	}
	for range d.plan.sessions {
		d.addClient("session")
	}
}

// checkOldContext: a context of the last epoch is an error, not a loss of its past.
func (d *driver) checkOldContext(c *client) {
	s := causal.NewSession(1<<41, d.cfg.Limits)
	s.Resume(c.session.Context())
	if s.Context().Epoch == 0 {
		return
	}
	if _, err := d.ask(d.nodes[0], s, d.keys[0]); !errors.Is(err, causal.ErrEpoch) {
		d.fault(FaultUnexpected, "context of the last epoch: got %v, want ErrEpoch", err)
	}
}
