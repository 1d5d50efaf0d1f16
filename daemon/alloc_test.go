package daemon

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
)

// quietLoop is a loop without sockets: one connection, whose Out is thrown away.
type quietLoop struct {
	ring.Loop
	out ring.Outgoing
}

func (l *quietLoop) Out(ring.ConnID) *ring.Outgoing {
	l.out.Bytes = l.out.Bytes[:0]
	return &l.out
}
func (l *quietLoop) Queued(ring.ConnID) int { return len(l.out.Bytes) }

// leastAllocs returns the least allocations of f that some measurements show, since the rest of the
// process allocates, too. The first one that shows no more than enough is the last.
func leastAllocs(enough float64, runs int, f func()) float64 {
	least := math.Inf(1)
	for range 5 {
		if least = min(least, testing.AllocsPerRun(runs, f)); least <= enough {
			break
		}
	}
	return least
}

// stopClock makes all calls of a node's loops happen at one moment: nothing falls due.
func stopClock(n *node) {
	at := time.Now()
	for _, f := range n.fronts() {
		f.clock.wall = func() time.Time { return at }
	}
}

// What the daemon does around a step allocates nothing: a request costs what the
// core's step costs.
func TestRequestsAllocateNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ListenTCP = "127.0.0.1:0"
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	n := newNode(cfg, nil, slog.New(slog.DiscardHandler), []ring.Loop{&quietLoop{}})
	if err := n.begin(1); err != nil {
		t.Fatal(err)
	}
	const conn = 1
	stopClock(n)
	receive := func(b []byte) {
		if used, err := n.Received(conn, b); used != len(b) || err != nil {
			t.Fatalf("used %d of %d, %v", used, len(b), err)
		}
		n.EndOfTurn(time.Now())
	}
	if err := n.Accepted(conn, listenTCP, ring.Peer{}); err != nil {
		t.Fatal(err)
	}
	receive(hello(t))
	write := causal.Request{ID: causal.RequestID{Session: 1, Number: 1}, Op: causal.OpWrite, Keys: [][]byte{[]byte("k")}, Value: []byte("v")}
	receive(wire.AppendRequest(nil, &write))
	for _, op := range []causal.Op{causal.OpRead, causal.OpSync} {
		r := causal.Request{ID: causal.RequestID{Session: 1, Number: 2}, Op: op}
		if op == causal.OpRead {
			r.Keys = write.Keys
		}
		frame := wire.AppendRequest(nil, &r)
		in := causal.Input{Now: causal.TimeOf(time.Now()), Kind: causal.InputRequest, Client: conn, Request: &r}
		var out causal.Output
		core := leastAllocs(0, 200, func() {
			out.Reset()
			if err := n.server.Step(&in, &out); err != nil {
				t.Fatal(err)
			}
		})
		whole := leastAllocs(core, 200, func() { receive(frame) })
		if whole > core {
			t.Errorf("%v: %v allocations, %v of them the core's", op, whole, core)
		}
	}
}
