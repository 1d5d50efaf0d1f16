package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// player carries out the lines of a scenario.
type player struct {
	*driver
	named  map[string]*client
	strict bool // expectations count
}

func (p *player) play(l line) error {
	w := l.words
	if name, server, ok := strings.Cut(w[0], "@"); ok {
		n, err := p.server(server)
		if err != nil || len(w) < 2 {
			return fmt.Errorf("want SESSION@SERVER OPERATION: %v", err)
		}
		return p.operation(p.session(name), n, l)
	}
	if from, to, ok := strings.Cut(w[0], ">"); ok {
		return p.move(from, to, w[1:])
	}
	if c := p.named[w[0]]; c != nil || len(w) > 1 && w[1] == "branches" {
		return p.continued(c, l)
	}
	return p.event(l)
}

func (p *player) session(name string) *client {
	if p.named[name] == nil {
		p.named[name] = p.addClient(name)
	}
	return p.named[name]
}

func (p *player) server(text string) (*node, error) {
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 || i >= len(p.nodes) {
		return nil, fmt.Errorf("no server %q", text)
	}
	return p.nodes[i], nil
}

func (p *player) key(name string) int {
	for i, k := range p.keys {
		if k == name {
			return i
		}
	}
	p.keys = append(p.keys, name)
	p.history.Keys = p.keys
	return len(p.keys) - 1
}

// valueOf reads v1 to v9 and the like.
func valueOf(text string) (check.ValueID, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "v"), 10, 32)
	if err != nil || n == 0 || text[0] != 'v' {
		return 0, fmt.Errorf("no value %q: want v1, v2, …", text)
	}
	return check.ValueID(n), nil
}

// operation begins an operation and, unless the line says send, carries it out.
func (p *player) operation(c *client, n *node, l line) error {
	w := l.words[1:]
	send := w[0] == "send"
	if send {
		w = w[1:]
	}
	ops := map[string]causal.Op{
		"write": causal.OpWrite, "delete": causal.OpDelete, "read": causal.OpRead, "direct": causal.OpRead,
		"read-many": causal.OpReadMany, "sync": causal.OpSync,
	}
	if len(w) == 0 || ops[w[0]] == 0 {
		return fmt.Errorf("unknown operation")
	}
	op, keys, ttl := ops[w[0]], w[1:], time.Duration(0)
	if op == causal.OpWrite {
		if len(keys) < 2 {
			return errors.New("want write KEY VALUE")
		}
		v, err := valueOf(keys[1])
		if err != nil {
			return err
		}
		if len(keys) == 4 && keys[2] == "ttl" {
			if ttl, err = time.ParseDuration(keys[3]); err != nil {
				return err
			}
		}
		p.nextValue, keys = v, keys[:1]
	}
	ids := make([]int, len(keys))
	for i, k := range keys {
		ids[i] = p.key(k)
	}
	if w[0] == "direct" {
		p.beginDirect(c, n, ids)
		return nil
	}
	c.last = nil
	if !p.begin(c, n, op, ids, ttl) {
		return p.expect(c, l)
	}
	if send {
		return nil
	}
	p.arrive(c)
	p.finish(c)
	return p.expect(c, l)
}

// continued goes on with an operation that was sent, or with a whole session.
func (p *player) continued(c *client, l line) error {
	w := l.words
	if len(w) < 2 {
		return errors.New("a session and nothing else")
	}
	switch w[1] {
	case "arrive":
		p.arrive(c)
	case "finish":
		p.finish(c)
		return p.expect(c, l)
	case "lose":
		p.giveUp(c)
	case "retry":
		c.stage = sent
	case "step":
		n := 1
		if len(w) > 2 {
			n, _ = strconv.Atoi(w[2])
		}
		for ; n > 0 && c.stage == reading; n-- {
			p.stepDirect(c)
		}
		return p.expect(c, l)
	case "branches", "joins":
		other := p.named[w[len(w)-1]]
		if len(w) != 3 || other == nil {
			return fmt.Errorf("no session %q", w[len(w)-1])
		}
		if w[1] == "joins" {
			p.join(c, other)
		} else {
			p.named[w[0]] = p.branch(other)
		}
	default:
		return fmt.Errorf("unknown word %q", w[1])
	}
	return nil
}

// expect holds what an operation came to against the line.
func (p *player) expect(c *client, l line) error {
	if l.quiet || !p.strict {
		return nil
	}
	got := strings.Join(p.outcome(c), " ")
	if want := strings.Join(l.expect, " "); want != got && (len(l.expect) == 0 || l.expect[0] != "error" || !strings.Contains(got, strings.TrimPrefix(want, "error "))) {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

func (p *player) outcome(c *client) []string {
	switch {
	case c.stage == waiting:
		return []string{"parked"}
	case c.stage == reading:
		return []string{"reading"}
	case c.stage == sent:
		return []string{"sent"}
	case c.err != nil:
		return []string{"error", c.err.Error()}
	}
	var words []string
	for i := range c.last {
		if v := &c.last[i]; v.Absent() || v.Tombstone {
			words = append(words, "nothing")
		} else {
			words = append(words, string(v.Value))
		}
	}
	if words == nil {
		words = []string{"done"}
	}
	return words
}

// move lets messages of a link arrive.
func (p *player) move(from, to string, w []string) error {
	a, err := p.server(from)
	if err != nil {
		return err
	}
	b, err := p.server(to)
	if err != nil {
		return err
	}
	i, j := int(a.id), int(b.id)
	n, again := 1, false
	switch {
	case len(w) == 0:
	case w[0] == "all":
		n = 1000
	case w[0] == "again":
		again = true
	default:
		if n, err = strconv.Atoi(w[0]); err != nil {
			return err
		}
	}
	moved := 0
	for ; moved < n; moved++ {
		if j == p.succ(i) && len(p.links[i][j].queue) == 0 {
			p.pull(i)
		}
		if !p.deliver(i, j, again) {
			break
		}
	}
	if moved == 0 && p.strict {
		return errors.New("there is no message")
	}
	return nil
}

// event is what no session does.
func (p *player) event(l line) error {
	w := l.words
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
		return p.databaseEvent(arg(1))
	case "foreign":
		return p.foreignEvent(arg(1), arg(2))
	case "restart":
		return p.restartEvent(w[1:])
	case "rest":
		p.rest()
		return nil
	}
	n, err := p.server(arg(1))
	if err != nil {
		return fmt.Errorf("unknown line: %w", err)
	}
	switch w[0] {
	case "tick":
		p.tick(n)
	case "evict":
		done := n.core.Evict([]byte(arg(2)))
		n.table.show(func() {})
		if want := arg(3) != "refused"; p.strict && done != want {
			return fmt.Errorf("evicted: %v", done)
		}
	case "hold":
		n.table.held = true
	case "show":
		return p.showEvent(n, arg(2))
	default:
		return fmt.Errorf("unknown line")
	}
	return nil
}

// showEvent shows the writer's next steps to readers.
func (p *player) showEvent(n *node, count string) error {
	c := 1
	if count == "all" {
		c = len(n.table.steps)
	} else if count != "" {
		var err error
		if c, err = strconv.Atoi(count); err != nil {
			return err
		}
	}
	for ; c > 0 && len(n.table.steps) > 0; c-- {
		n.table.showStep(&n.table.steps[0])
		n.table.steps = n.table.steps[1:]
	}
	return nil
}

func (p *player) databaseEvent(what string) error {
	if what == "all" || what == "" {
		for len(p.dbQueue) > 0 {
			if p.dbQueue[0].load != nil || p.dbQueue[0].flush != nil {
				p.database(0)
			}
			p.answer(0, false)
		}
		return nil
	}
	if len(p.dbQueue) == 0 {
		if p.strict {
			return errors.New("the database has nothing to do")
		}
		return nil
	}
	switch what {
	case "run":
		for i, q := range p.dbQueue {
			if q.load != nil || q.flush != nil {
				p.database(i)
				break
			}
		}
	case "answer":
		if q := p.dbQueue[0]; q.load != nil || q.flush != nil {
			p.database(0)
		}
		p.answer(0, false)
	case "fail":
		p.answer(0, true)
	default:
		return fmt.Errorf("unknown word %q", what)
	}
	return nil
}

func (p *player) foreignEvent(key, value string) error {
	f := check.Foreign{Key: check.KeyID(p.key(key))}
	var bytes []byte
	if value != "nothing" {
		v, err := valueOf(value)
		if err != nil {
			return err
		}
		f.Value, bytes = v, v.Append(nil)
	}
	p.history.Foreign = append(p.history.Foreign, f)
	p.db.foreign(key, bytes)
	return nil
}

// restartEvent is a power cut of the whole cluster.
func (p *player) restartEvent(w []string) error {
	skew := make([]time.Duration, len(p.nodes))
	for i := 1; i < len(w) && i <= len(skew); i++ {
		d, err := time.ParseDuration(w[i])
		if err != nil {
			return err
		}
		skew[i-1] = d
	}
	for _, c := range p.clients {
		c.stage = gone
	}
	clear(p.named)
	p.startCluster(skew)
	return nil
}
