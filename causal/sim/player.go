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
	former map[string]*client // by name, of the last epoch
	strict bool               // expectations count
}

var errNoOutcome = errors.New("nothing comes of this line that could be expected")

func (p *player) play(l line) error {
	w := l.words
	if name, server, ok := strings.Cut(w[0], "@"); ok {
		n, err := p.server(server)
		if err != nil || len(w) < 2 {
			return fmt.Errorf("want SESSION@SERVER OPERATION: %v", err)
		}
		return p.operation(p.session(name), n, l)
	}
	if c := p.named[w[0]]; c != nil || len(w) > 1 && w[1] == "branches" {
		return p.continued(c, l)
	}
	if !l.quiet {
		return errNoOutcome
	}
	if from, to, ok := strings.Cut(w[0], ">"); ok {
		return p.move(from, to, w[1:])
	}
	return p.event(w)
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
	op, keys, ttl, err := p.words(w)
	if err != nil {
		return err
	}
	direct := w[0] == "direct"
	if (send || direct) && !l.quiet {
		return errNoOutcome
	}
	if direct {
		p.beginDirect(c, n, keys)
		return nil
	}
	c.last = nil
	if p.begin(c, n, op, keys, ttl) && !send {
		p.arrive(c)
		p.finish(c)
	}
	return p.expect(c, l)
}

// operations says how many keys each takes, at least and at most.
var operations = map[string]struct {
	op          causal.Op
	least, most int
}{
	"write": {causal.OpWrite, 1, 1}, "delete": {causal.OpDelete, 1, 1}, "sync": {causal.OpSync, 0, 0},
	"read": {causal.OpRead, 1, 1}, "read-many": {causal.OpReadMany, 1, 99}, "direct": {causal.OpRead, 1, 99},
}

// words reads the words of an operation.
func (p *player) words(w []string) (op causal.Op, keys []int, ttl time.Duration, err error) {
	if len(w) == 0 || operations[w[0]].op == 0 {
		return 0, nil, 0, errors.New("unknown operation")
	}
	o, names := operations[w[0]], w[1:]
	if o.op == causal.OpWrite {
		if len(names) != 2 && (len(names) != 4 || names[2] != "ttl") {
			return 0, nil, 0, errors.New("want write KEY VALUE [ttl TIME]")
		}
		if p.nextValue, err = valueOf(names[1]); err != nil {
			return 0, nil, 0, err
		}
		if len(names) == 4 {
			if ttl, err = time.ParseDuration(names[3]); err != nil {
				return 0, nil, 0, err
			}
		}
		names = names[:1]
	}
	if len(names) < o.least || len(names) > o.most {
		return 0, nil, 0, fmt.Errorf("%s of %d keys", w[0], len(names))
	}
	for _, k := range names {
		keys = append(keys, p.key(k))
	}
	return o.op, keys, ttl, nil
}

// continued goes on with an operation that was sent, or with a whole session.
func (p *player) continued(c *client, l line) error {
	w := l.words
	if len(w) < 2 {
		return errors.New("a session and nothing else")
	}
	if w[1] != "finish" && w[1] != "step" && !l.quiet {
		return errNoOutcome
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
		n, err := count(w[2:])
		if err != nil {
			return err
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
	if len(w) > 0 && w[0] == "send" {
		if (j != p.succ(i) || !p.pull(i)) && p.strict {
			return errors.New("there is no ring message to send")
		}
		return nil
	}
	again := len(w) > 0 && w[0] == "again"
	n := 1
	if !again {
		if n, err = count(w); err != nil {
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

// all is more than there is of anything.
const all = 1000

// count reads the number that a line may end with; 1 if it does not.
func count(w []string) (int, error) {
	if len(w) == 0 {
		return 1, nil
	}
	if len(w) == 1 && w[0] == "all" {
		return all, nil
	}
	n, err := strconv.Atoi(w[0])
	if err != nil || n < 1 || len(w) > 1 {
		return 0, fmt.Errorf("no number %q", strings.Join(w, " "))
	}
	return n, nil
}
