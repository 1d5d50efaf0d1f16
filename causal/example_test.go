package causal_test

import (
	"fmt"

	"causalmesh/causal"
)

// exampleRing is three servers and what is under way between them.
type exampleRing struct {
	now     causal.Time
	servers []*causal.Server
	queue   []delivery
	replies []causal.Reply
}

// delivery is a message on its way.
type delivery struct {
	from, to causal.ReplicaID
	message  *causal.Message
}

// step gives one input to a server and handles what comes out, in the order that
// the package documentation gives.
func (r *exampleRing) step(at causal.ReplicaID, in causal.Input) {
	var out causal.Output // reused, after Reset, where it matters
	in.Now = r.now
	if err := r.servers[at].Step(&in, &out); err != nil {
		fmt.Println("a peer broke the protocol:", err)
	}
	r.handle(at, &out)
}

func (r *exampleRing) tick(at causal.ReplicaID) {
	var out causal.Output
	r.servers[at].Tick(r.now, &out)
	r.handle(at, &out)
}

func (r *exampleRing) handle(at causal.ReplicaID, out *causal.Output) {
	for _, peer := range out.Drop {
		fmt.Println("set up the links to server", peer, "anew")
	}
	for _, e := range out.Messages { // a daemon encodes them here
		r.queue = append(r.queue, delivery{at, e.To, e.Message.Clone()})
	}
	for _, c := range out.Replies { // and these, to client c.Client
		r.replies = append(r.replies, c.Reply)
	}
	// out.Loads and out.Flushes would go to the database here: there is none.
	next := causal.ReplicaID((int(at) + 1) % len(r.servers))
	for m := (causal.Message{}); r.servers[at].Pull(r.now, &m); {
		r.queue = append(r.queue, delivery{at, next, m.Clone()})
	}
}

// deliver hands over everything that is on its way, oldest first.
func (r *exampleRing) deliver() {
	for len(r.queue) > 0 {
		d := r.queue[0]
		r.queue = r.queue[1:]
		r.step(d.to, causal.Input{Kind: causal.InputMessage, Peer: d.from, Message: d.message})
	}
}

// do carries out one operation of a session at a server.
func (r *exampleRing) do(at causal.ReplicaID, s *causal.Session, op causal.Op, key, value string) []causal.Version {
	request, err := s.Begin(op, [][]byte{[]byte(key)}, []byte(value), 0)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	r.step(at, causal.Input{Kind: causal.InputRequest, Client: 1, Request: request})
	reply := r.replies[len(r.replies)-1]
	versions, err := s.Finish(&reply)
	if err != nil {
		fmt.Println(err)
	}
	return versions
}

// A ring of three servers driven by hand: a write at one, reads at another.
func Example() {
	r := &exampleRing{now: 1_700_000_000_000_000_000}
	for self := range 3 {
		s, err := causal.NewServer(causal.Config{Self: causal.ReplicaID(self), Replicas: 3, Epoch: 1}, causal.NewHeapTable())
		if err != nil {
			fmt.Println(err)
			return
		}
		r.servers = append(r.servers, s)
	}
	for i := range r.servers { // the ring's links: each sender learns what its successor has
		next := (i + 1) % 3
		r.step(causal.ReplicaID(next), causal.Input{Kind: causal.InputPredecessor})
		r.step(causal.ReplicaID(i), causal.Input{
			Kind: causal.InputLinkUp, Peer: causal.ReplicaID(next),
			Received: r.servers[next].Received().Clone(), Everywhere: r.servers[next].Everywhere().Clone(),
		})
	}
	r.deliver()

	writer, reader := causal.NewSession(11, causal.Limits{}), causal.NewSession(22, causal.Limits{})
	r.do(0, writer, causal.OpWrite, "greeting", "hello")
	fmt.Printf("own write, before it has gone round: %q\n", r.do(1, writer, causal.OpRead, "greeting", "")[0].Value)
	fmt.Printf("another session, before: %q\n", r.do(1, reader, causal.OpRead, "greeting", "")[0].Value)

	r.deliver() // the write goes round the ring, and word of it
	for i := range r.servers {
		r.tick(causal.ReplicaID(i))
	}
	fmt.Printf("another session, after: %q\n", r.do(1, reader, causal.OpRead, "greeting", "")[0].Value)
	fmt.Println("stable at server 1:", r.servers[1].Stability())
	// Output:
	// own write, before it has gone round: "hello"
	// another session, before: ""
	// another session, after: "hello"
	// stable at server 1: [1 0 0]
}
