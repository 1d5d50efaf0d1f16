package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"causalmesh/causal/check"
)

// event is what no session does.
func (p *player) event(w []string) error {
	arg := func(i int) string {
		if i < len(w) {
			return w[i]
		}
		return ""
	}
	switch w[0] {
	case "cut", "connect":
		from, to, _ := strings.Cut(arg(1), ">")
		a, err := p.server(from)
		if err != nil {
			return err
		}
		b, err := p.server(to)
		if err != nil {
			return err
		}
		if w[0] == "cut" {
			p.cut(int(a.id), int(b.id))
		} else {
			p.connect(int(a.id), int(b.id))
		}
		return nil
	case "wait":
		t, err := time.ParseDuration(arg(1))
		p.now = p.now.Add(t)
		return err
	case "db":
		return p.databaseEvent(w[1:])
	case "foreign":
		return p.foreignEvent(arg(1), arg(2))
	case "restart":
		return p.restartEvent(w[1:])
	case "old":
		return p.oldEvent(arg(1))
	case "rest":
		p.rest()
		return nil
	case "tick", "evict", "hold", "show":
		n, err := p.server(arg(1))
		if err != nil {
			return err
		}
		return p.serverEvent(n, w[0], w[2:])
	}
	return errors.New("unknown line")
}

// serverEvent is what happens at one server.
func (p *player) serverEvent(n *node, what string, w []string) error {
	switch what {
	case "tick":
		p.tick(n)
	case "evict":
		if len(w) == 0 || len(w) > 1 && w[1] != "refused" {
			return errors.New("want evict SERVER KEY [refused]")
		}
		done := n.core.Evict([]byte(w[0]))
		n.table.show(func() {})
		if p.strict && done == (len(w) > 1) {
			return fmt.Errorf("evicted: %v", done)
		}
	case "hold":
		n.table.held = true
	case "show":
		c, err := count(w)
		if err != nil {
			return err
		}
		for ; c > 0 && len(n.table.steps) > 0; c-- {
			n.table.showStep(&n.table.steps[0])
			n.table.steps = n.table.steps[1:]
		}
	}
	return nil
}

// databaseEvent lets the database do something: all that it was asked for, or one
// step of the i-th oldest request.
func (p *player) databaseEvent(w []string) error {
	if len(w) == 0 {
		for len(p.dbQueue) > 0 {
			p.runDatabase(0)
			p.answer(0, false)
		}
		return nil
	}
	if w[0] == "purge" && len(w) == 2 {
		return p.purge(p.key(w[1]))
	}
	i, err := count(w[1:])
	if err != nil {
		return err
	}
	if i--; i >= len(p.dbQueue) {
		if p.strict {
			return errors.New("the database was not asked for so much")
		}
		return nil // with a defect it may be asked for less
	}
	switch w[0] {
	case "run":
		p.runDatabase(i)
	case "answer":
		p.runDatabase(i)
		p.answer(i, false)
	case "fail":
		p.answer(i, true)
	case "late":
		if p.dbQueue[i].flush == nil {
			return errors.New("only a flush that waits can be late")
		}
		p.failLate(i)
	default:
		return fmt.Errorf("unknown word %q", w[0])
	}
	return nil
}

// runDatabase carries out a request unless that is done.
func (p *player) runDatabase(i int) {
	if q := p.dbQueue[i]; q.load != nil || q.flush != nil {
		p.database(i)
	}
}

func (p *player) foreignEvent(key, value string) error {
	f := check.Foreign{Key: check.KeyID(p.key(key))}
	if value != "nothing" {
		v, err := valueOf(value)
		if err != nil {
			return err
		}
		f.Value = v
	}
	p.putForeign(f)
	return nil
}

// restartEvent is a power cut of the whole cluster. Sessions end with it.
func (p *player) restartEvent(w []string) error {
	skew := make([]time.Duration, len(p.nodes))
	if len(w) > 0 {
		if w[0] != "skew" {
			return fmt.Errorf("unknown word %q", w[0])
		}
		if err := readSkew(skew, w[1:]); err != nil {
			return err
		}
	}
	for _, c := range p.clients {
		c.stage = gone
	}
	p.named, p.former = map[string]*client{}, p.named
	p.startCluster(skew)
	return nil
}

// readSkew reads how far each server's wall clock is ahead.
func readSkew(skew []time.Duration, w []string) error {
	if len(w) != len(skew) {
		return fmt.Errorf("the skews of %d servers, there are %d", len(w), len(skew))
	}
	for i := range skew {
		var err error
		if skew[i], err = time.ParseDuration(w[i]); err != nil {
			return err
		}
	}
	return nil
}

// oldEvent goes on with the context of a session of the last epoch.
func (p *player) oldEvent(name string) error {
	c := p.former[name]
	if c == nil || c.session.Context().Epoch == 0 || len(p.keys) == 0 {
		return fmt.Errorf("no context of a session %q of the last epoch", name)
	}
	p.checkOldContext(c)
	return nil
}
