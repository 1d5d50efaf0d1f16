package probe

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"causalmesh/clientlib"
	"causalmesh/daemon/netcut"
	"causalmesh/daemon/store"
	"causalmesh/daemon/store/redistest"
	"causalmesh/tools/internal/rig"
)

// holds are how long requests are held; it shows in what is measured.
var holds = []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}

// heldTogether requests of one connection are held while others are answered.
const heldTogether = 8

// rounding is by how much a bucket's middle may be off.
const rounding = 1.02

// Writes wait for the successor, which cannot be reached for a while.
func TestHeldWritesShow(t *testing.T) {
	for _, c := range []struct {
		loops int
		way   string
	}{{1, "unix"}, {3, "unix"}, {1, "shm"}, {3, "shm"}} {
		t.Run(fmt.Sprint(c.loops, " loops over ", c.way), func(t *testing.T) {
			b := start(t, rig.Config{
				Nodes: 2, Store: "mem", Cuttable: true, Flags: []string{
					"--io", "uring", "--ack", "replicated", "--link-timeout", within.String(), "--loops", strconv.Itoa(c.loops)},
			})
			b.shared = c.way == "shm"
			client := b.dial(b.Nodes[0].Target(c.way))
			if err := client.Session().Write(b.ctx, "hit", []byte("value")); err != nil {
				t.Fatal(err)
			}
			for _, d := range holds {
				h := held{
					bench: b, client: client, operation: "write", d: d,
					held: func() int { return b.status().Held },
					do:   func(s *clientlib.Session, key string) error { return s.Write(b.ctx, key, []byte("value")) },
				}
				h.test(
					func() { b.Nodes[1].Incoming.Freeze(netcut.Both) },
					b.Nodes[1].Incoming.Restore,
				)
			}
		})
	}
}

// Reads of what is not cached wait for the database, which stands still for a while.
func TestHeldMissesShow(t *testing.T) {
	for _, way := range []string{"unix", "shm"} {
		t.Run(way, func(t *testing.T) { testHeldMisses(t, way) })
	}
}

func testHeldMisses(t *testing.T, way string) {
	redis := redistest.Start(t)
	b := start(t, rig.Config{Nodes: 1, Store: redis.URL(), Flags: []string{"--io", "uring"}})
	b.shared = way == "shm"
	c := b.dial(b.Nodes[0].Target(way))
	if err := c.Session().Write(b.ctx, "hit", []byte("value")); err != nil {
		t.Fatal(err)
	}
	for _, d := range holds {
		h := held{
			bench: b, client: c, operation: "read-many", d: d, longest: store.DefaultConfig.Timeout,
			held: func() int { return b.status().Parked },
			do: func(s *clientlib.Session, key string) error {
				_, err := s.ReadMany(b.ctx, key, "hit")
				return err
			},
		}
		h.test(redis.Pause, redis.Resume)
	}
}

// held is a hold of requests of one operation for some time, while reads of the same
// connection are answered.
type held struct {
	*bench
	client    *clientlib.Client
	operation string
	d         time.Duration
	// longest is how long the node lets them wait; 0: for any time.
	longest time.Duration
	held    func() int // how many are
	do      func(s *clientlib.Session, key string) error
}

func (h *held) test(hold, release func()) {
	h.t.Helper()
	const tries = 30 // A machine may be too busy for longest now and then.
	for try := range tries {
		if h.try(try, hold, release) {
			return
		}
	}
	h.t.Fatalf("they were never held for less than %v", h.longest)
}

// try reports whether the requests were held no longer than they may be.
func (h *held) try(number int, hold, release func()) bool {
	h.t.Helper()
	h.probe()
	defer h.off()
	const hits = 50
	hold()
	began := time.Now()
	errs := make(chan error, heldTogether)
	for i := range heldTogether {
		go func() { errs <- h.do(h.client.Session(), fmt.Sprint("held for ", h.d, ", ", number, ", ", i)) }()
	}
	h.eventually("all are held", func() bool { return h.held() == heldTogether || len(errs) > 0 })
	isHeld := time.Now()
	var all sync.WaitGroup
	for range hits {
		all.Go(func() {
			if _, _, err := h.client.Session().Read(h.ctx, "hit"); err != nil {
				h.t.Error(err)
			}
		})
	}
	all.Wait()
	<-time.After(h.d - time.Since(isHeld)) // It is this that is measured.
	released := time.Now()
	release()
	var err error
	for range heldTogether {
		err = errors.Join(err, <-errs)
	}
	ended := time.Now()
	if err != nil && h.longest > 0 && ended.Sub(began) >= h.longest {
		return false
	}
	if err != nil {
		h.t.Fatal(err)
	}

	h.awaitCounted(heldTogether + hits)
	operations := h.latency()
	o := h.check(operations, h.operation, heldTogether)
	h.between("service", o.Service, released.Sub(isHeld), ended.Sub(began))
	h.between("queue", o.Queue, 0, isHeld.Sub(began))
	h.check(operations, "read", hits)
	return true
}

// status is the first node's, of its core.
func (b *bench) status() (s struct{ Held, Parked int }) {
	b.t.Helper()
	b.eventually("the node tells its status", func() bool {
		all, err := b.Nodes[0].Status(b.ctx)
		if err == nil {
			s.Held, s.Parked = all.Server.Held, all.Server.Parked
		}
		return err == nil
	})
	return s
}
