package probe

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"causalmesh/clientlib"
	"causalmesh/daemon/loopback"
	"causalmesh/tools/internal/rig"
)

// manyRequests is how many requests TestCountsAreExact makes of each kind of load;
// PROBE_REQUESTS in the environment changes it.
const manyRequests = 20_000

// The kernel counts what clients have sent, exactly, by operation.
func TestCountsAreExact(t *testing.T) {
	requests := manyRequests
	if text := os.Getenv("PROBE_REQUESTS"); text != "" {
		var err error
		if requests, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, loops := range []int{1, 3} {
		for _, network := range []string{"unix", "tcp", "shm"} {
			for _, depth := range []int{1, 32} {
				t.Run(fmt.Sprintf("%d loops over %s %d deep", loops, network, depth), func(t *testing.T) {
					testCounts(t, loops, network, depth, requests)
				})
			}
		}
	}
}

func testCounts(t *testing.T, loops int, network string, depth, requests int) {
	addresses, err := loopback.Addresses(1)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, rig.Config{
		Nodes: 1, Store: "mem", Flags: []string{"--io", "uring", "--loops", strconv.Itoa(loops), "--listen-tcp", addresses[0]},
	})
	b.probe()
	target := "tcp:" + addresses[0]
	if network != "tcp" {
		target = b.Nodes[0].Target(network)
	}
	b.shared = network == "shm"
	const conns = 5 // not a multiple of the loops
	each := requests / (conns * depth)
	var all sync.WaitGroup
	for range conns {
		c := b.dial(target)
		for range depth {
			all.Go(func() {
				if err := operate(b.ctx, c.Session(), each); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	sent := map[string]int{}
	for i := range each {
		sent[operation(i)] += conns * depth
	}
	if !b.shared { // Welcomes with open files are no operation of the loop.
		sent["handshake"] = conns
	}
	b.eventually("the daemon's loops have told how many requests they had", func() bool {
		s, err := b.Nodes[0].Status(b.ctx)
		return err == nil && s.Daemon.Requests == uint64(each*conns*depth)
	})
	b.awaitCounted(each*conns*depth + sent["handshake"])
	counted := b.latency()
	for name, n := range sent {
		b.check(counted, name, n)
	}
	if len(counted) != len(sent) {
		t.Errorf("%d kinds of operations were counted, want %d", len(counted), len(sent))
	}
}

// operation is what the i-th request of a session is.
func operation(i int) string {
	switch i % 10 {
	case 3:
		return "read-many"
	case 5, 6:
		return "write"
	case 8:
		return "delete"
	case 9:
		return "sync"
	}
	return "read"
}

// operate makes n requests, one after the other.
func operate(ctx context.Context, s *clientlib.Session, n int) (err error) {
	for i := 0; i < n && err == nil; i++ {
		key := "key" + strconv.Itoa(i%100)
		switch operation(i) {
		case "read":
			_, _, err = s.Read(ctx, key)
		case "read-many":
			_, err = s.ReadMany(ctx, key, "other")
		case "write":
			err = s.Write(ctx, key, []byte("value"))
		case "delete":
			err = s.Delete(ctx, key)
		case "sync":
			err = s.Sync(ctx)
		}
	}
	return err
}
