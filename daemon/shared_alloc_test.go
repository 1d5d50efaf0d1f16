//go:build !race

package daemon

// Not under the race detector, which allocates.

import (
	"context"
	"fmt"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/clientlib"
	"causalmesh/ring/shm"
)

// What operations of a client cost it. The node is a process of its own: what it allocates
// is not counted here.
func TestClientAllocations(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.startProcess(0)
	ctx := context.Background()
	for _, scheme := range schemes {
		s := c.dial(0, scheme).Session()
		items := make([]clientlib.Item, 10)
		for i := range items {
			items[i] = clientlib.Item{Key: fmt.Sprint("key", i), Value: make([]byte, 0, 64)}
			put(t, s, items[i].Key, "8 bytes.")
		}
		settled(t, s)
		buf, value := make([]byte, 0, 64), []byte("8 bytes.")
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, op := range []struct {
			name string
			most float64 // and the runtime's, now and then
			do   func()
		}{
			{"ReadInto", 0, func() { _, _, err := s.ReadInto(ctx, "key1", buf); must(err) }},
			{"ReadManyInto", 0, func() { must(s.ReadManyInto(ctx, items)) }},
			{"Sync", 0, func() { must(s.Sync(ctx)) }},
			{"Write", 0, func() { must(s.Write(ctx, "key1", value)) }},
		} {
			for range 100 {
				op.do()
			}
			const tolerance = 0.5
			n := leastAllocs(op.most+tolerance, 1000, op.do)
			t.Logf("%s over %s: %v allocations", op.name, scheme, n)
			if n > op.most+tolerance {
				t.Errorf("%s over %s: %v allocations, at most %v", op.name, scheme, n, op.most)
			}
		}
	}
}

// What the daemon does for a client in shared memory allocates nothing either: a request
// costs what the core's step costs.
func TestSharedRequestsAllocateNothing(t *testing.T) {
	t.Run("unwatched", func(t *testing.T) {
		n, client := sharedNode(t)
		testSharedAllocations(t, n, client)
	})
	t.Run("watched", func(t *testing.T) {
		n, client, _, set := watchedNode(t)
		set(true)
		testSharedAllocations(t, n, client)
	})
}

func testSharedAllocations(t *testing.T, n *node, client *shm.Segment) {
	stopClock(n)
	in, out := client.Ends()
	reply := make([]byte, 0, 64<<10)
	ask := func(frame []byte) {
		if m, err := out.Write(frame); m != len(frame) || err != nil {
			t.Fatal(m, err)
		}
		if !n.Ready() {
			t.Fatal("it does not look")
		}
		n.Poll()
		n.EndOfTurn(time.Now())
		var err error
		if reply, err = in.CopyOut(reply[:0]); err != nil || len(reply) == 0 {
			t.Fatal("no reply", err)
		}
	}
	write := causal.Request{ID: causal.RequestID{Session: 1, Number: 1}, Op: causal.OpWrite, Keys: [][]byte{[]byte("k")}, Value: []byte("v")}
	ask(wire.AppendRequest(nil, &write))
	for _, r := range []causal.Request{
		{Op: causal.OpRead, Keys: write.Keys},
		{Op: causal.OpReadMany, Keys: [][]byte{[]byte("k"), []byte("k")}},
		{Op: causal.OpSync},
	} {
		r.ID = causal.RequestID{Session: 1, Number: 2}
		frame := wire.AppendRequest(nil, &r)
		step := causal.Input{Now: causal.TimeOf(time.Now()), Kind: causal.InputRequest, Client: sharedConn, Request: &r}
		var output causal.Output
		core := leastAllocs(0, 200, func() {
			output.Reset()
			if err := n.server.Step(&step, &output); err != nil {
				t.Fatal(err)
			}
		})
		whole := leastAllocs(core, 200, func() { ask(frame) })
		if whole > core {
			t.Errorf("%v: %v allocations, %v of them the core's", r.Op, whole, core)
		}
	}
}
