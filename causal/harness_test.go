package causal

import (
	"fmt"
	"testing"
	"time"
)

// cluster drives some servers by hand: a test says what is delivered, and when.
// Whatever a step puts out waits in the cluster until the test takes it.
type cluster struct {
	t       testing.TB
	now     Time
	skew    []time.Duration // of each server's wall clock
	servers []*Server
	tables  []*HeapTable
	links   [][]*testLink // from, to
	replies map[ClientID][]Reply
	loads   [][]LoadRequest
	flushes [][]FlushRequest
	events  []Event
	drops   [][2]ReplicaID // server, peer
	out     Output
}

type testLink struct {
	up    bool
	queue []Message
}

// testStart is the first reading of the wall clock.
const testStart = Time(1_000_000_000_000)

// newCluster returns n connected servers; change alters the configuration of each.
func newCluster(t testing.TB, n int, change func(*Config)) *cluster {
	c := &cluster{
		t: t, now: testStart, skew: make([]time.Duration, n), replies: map[ClientID][]Reply{},
		loads: make([][]LoadRequest, n), flushes: make([][]FlushRequest, n),
	}
	for i := range n {
		cfg := Config{Self: ReplicaID(i), Replicas: n, Epoch: 7}
		if change != nil {
			change(&cfg)
		}
		table := NewHeapTable()
		s, err := NewServer(cfg, table)
		if err != nil {
			t.Fatal(err)
		}
		c.servers, c.tables = append(c.servers, s), append(c.tables, table)
		c.links = append(c.links, nil)
		for range n {
			c.links[i] = append(c.links[i], &testLink{})
		}
	}
	for i := range n {
		for j := range n {
			c.connect(i, j)
		}
	}
	return c
}

func withStore(cfg *Config) { cfg.Store = true }

func (c *cluster) succ(i int) int { return (i + 1) % len(c.servers) }

// at is a server's own reading of the wall clock.
func (c *cluster) at(i int) Time { return c.now.Add(c.skew[i]) }

// tokenOf is what replies to a client's requests have to bring back.
func tokenOf(client ClientID) Token { return Token{1000 + uint64(client), 7} }

// step gives an input to a server and collects what follows.
func (c *cluster) step(i int, in Input) error {
	c.t.Helper()
	in.Now, in.Token = c.at(i), tokenOf(in.Client)
	c.out.Reset()
	err := c.servers[i].Step(&in, &c.out)
	c.collect(i)
	return err
}

func (c *cluster) tick(i int) {
	c.out.Reset()
	c.servers[i].Tick(c.at(i), &c.out)
	c.collect(i)
}

func (c *cluster) collect(i int) {
	for _, p := range c.out.Drop {
		c.drops = append(c.drops, [2]ReplicaID{ReplicaID(i), p})
	}
	for _, m := range c.out.Messages {
		if l := c.links[i][m.To]; l.up {
			l.queue = append(l.queue, *m.Message.Clone())
		}
	}
	for _, r := range c.out.Replies {
		if r.Token != tokenOf(r.Client) {
			c.t.Errorf("a reply to client %d has token %d", r.Client, r.Token)
		}
		c.replies[r.Client] = append(c.replies[r.Client], *r.Reply.Clone())
	}
	c.loads[i] = append(c.loads[i], c.out.Loads...)
	for _, f := range c.out.Flushes {
		f.Version = f.Version.Clone()
		c.flushes[i] = append(c.flushes[i], f)
	}
	c.events = append(c.events, c.out.Events...)
}

// connect sets up a link: the sender learns what the receiver has.
func (c *cluster) connect(from, to int) {
	l := c.links[from][to]
	if from == to || l.up {
		return
	}
	r := c.servers[to]
	if to == c.succ(from) {
		wants := c.servers[from].cfg.Ack == AckReplicated
		if err := c.step(to, Input{Kind: InputPredecessor, WantsAcks: wants}); err != nil {
			c.t.Fatal(err)
		}
	}
	l.up = true
	err := c.step(from, Input{
		Kind: InputLinkUp, Peer: ReplicaID(to),
		Received: r.Received().Clone(), Marks: r.Marks().Clone(), Everywhere: r.Everywhere().Clone(),
	})
	if err != nil {
		c.t.Fatalf("link %d to %d: %v", from, to, err)
	}
}

// cut loses a link with all that is on it.
func (c *cluster) cut(from, to int) {
	if l := c.links[from][to]; l.up {
		*l = testLink{}
		if err := c.step(from, Input{Kind: InputLinkDown, Peer: ReplicaID(to)}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// pull puts the next ring message of a server on its link.
func (c *cluster) pull(from int) bool {
	var m Message
	if !c.servers[from].Pull(c.at(from), &m) {
		return false
	}
	l := c.links[from][c.succ(from)]
	l.queue = append(l.queue, *m.Clone())
	return true
}

// deliver hands over the oldest message of a link.
func (c *cluster) deliver(from, to int) error {
	c.t.Helper()
	l := c.links[from][to]
	if len(l.queue) == 0 {
		c.t.Fatalf("nothing on the link %d to %d", from, to)
	}
	m := l.queue[0]
	l.queue = l.queue[1:]
	return c.step(to, Input{Kind: InputMessage, Peer: ReplicaID(from), Message: &m})
}

// pass moves one ring message from a server to its successor.
func (c *cluster) pass(from int) {
	c.t.Helper()
	if !c.pull(from) {
		c.t.Fatalf("server %d has nothing to send", from)
	}
	if err := c.deliver(from, c.succ(from)); err != nil {
		c.t.Fatal(err)
	}
}

// spread delivers everything until nothing moves. Databases do not answer.
func (c *cluster) spread() {
	c.t.Helper()
	for moved := true; moved; {
		moved = false
		for from := range c.servers {
			for c.links[from][c.succ(from)].up && c.pull(from) {
				moved = true
			}
			for to, l := range c.links[from] {
				for len(l.queue) > 0 {
					moved = true
					if err := c.deliver(from, to); err != nil {
						c.t.Fatalf("server %d from %d: %v", to, from, err)
					}
				}
			}
		}
	}
}

// settle lets time pass, with ticks, until all is spread.
func (c *cluster) settle() {
	c.t.Helper()
	for range 3 {
		c.now = c.now.Add(150 * time.Millisecond)
		for i := range c.servers {
			c.tick(i)
		}
		c.spread()
	}
}

// ask gives a request to a server and takes its reply; nil if there is none yet.
func (c *cluster) ask(i int, r *Request) *Reply {
	c.t.Helper()
	const client = ClientID(1 << 32)
	delete(c.replies, client)
	if err := c.step(i, Input{Kind: InputRequest, Client: client, Request: r}); err != nil {
		c.t.Fatal(err)
	}
	return c.taken(client)
}

// taken takes the oldest reply to a client.
func (c *cluster) taken(client ClientID) *Reply {
	replies := c.replies[client]
	if len(replies) == 0 {
		return nil
	}
	c.replies[client] = replies[1:]
	return &replies[0]
}

// do carries out an operation of a session at a server and requires an answer.
func (c *cluster) do(i int, s *Session, op Op, value string, keys ...string) []Version {
	c.t.Helper()
	q, err := s.Begin(op, byteKeys(keys...), []byte(value), 0)
	if err != nil {
		c.t.Fatal(err)
	}
	r := c.ask(i, q)
	if r == nil {
		c.t.Fatalf("server %d: %v %q waits", i, op, keys)
	}
	versions, err := s.Finish(r)
	if err != nil {
		c.t.Fatalf("server %d: %v %q: %v", i, op, keys, err)
	}
	return versions
}

func (c *cluster) write(i int, s *Session, key, value string) {
	c.t.Helper()
	c.do(i, s, OpWrite, value, key)
}

func (c *cluster) read(i int, s *Session, key string) string {
	c.t.Helper()
	return string(c.do(i, s, OpRead, "", key)[0].Value)
}

// flushAll answers all flushes of a server as done.
func (c *cluster) flushAll(i int) {
	c.t.Helper()
	for len(c.flushes[i]) > 0 {
		f := c.flushes[i][0]
		c.flushes[i] = c.flushes[i][1:]
		c.flushed(i, FlushResult{Key: f.Version.Key, Stamp: f.Version.Stamp, Status: FlushDone})
	}
}

func (c *cluster) flushed(i int, r FlushResult) {
	c.t.Helper()
	if err := c.step(i, Input{Kind: InputFlushed, Flush: &r}); err != nil {
		c.t.Fatal(err)
	}
}

// loaded answers the oldest load of a server.
func (c *cluster) loaded(i int, status LoadStatus, v Version) {
	c.t.Helper()
	if len(c.loads[i]) == 0 {
		c.t.Fatalf("server %d loads nothing", i)
	}
	l := c.loads[i][0]
	c.loads[i] = c.loads[i][1:]
	r := LoadResult{ID: l.ID, Key: l.Key, Status: status, Version: v}
	if err := c.step(i, Input{Kind: InputLoaded, Load: &r}); err != nil {
		c.t.Fatal(err)
	}
}

func session(id uint64) *Session { return NewSession(id, Limits{}) }

func byteKeys(keys ...string) [][]byte {
	var list [][]byte
	for _, k := range keys {
		list = append(list, []byte(k))
	}
	return list
}

// keyAt returns a key whose home is that server, the i-th of its kind.
func keyAt(home ReplicaID, n, i int) string {
	for j := 0; ; j++ {
		key := fmt.Sprintf("key-%d", j)
		if HomeOf([]byte(key), n) != home {
			continue
		}
		if i--; i < 0 {
			return key
		}
	}
}

// writeRequest is a bare write, for tests that need no session.
func writeRequest(session uint64, number uint32, key, value string) *Request {
	return &Request{
		ID: RequestID{session, number}, Op: OpWrite, Epoch: 7, Keys: byteKeys(key), Value: []byte(value),
	}
}

func wantCode(t testing.TB, r *Reply, want Code) {
	t.Helper()
	if r == nil {
		t.Fatalf("no reply, want %v", want)
	}
	if r.Code != want {
		t.Fatalf("got %v (%s), want %v", r.Code, r.Detail, want)
	}
}
