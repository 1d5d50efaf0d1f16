//go:build linux

package uring

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// With room for four operations a turn, and for eight completions, everything takes
// more turns and nothing is lost: neither what is sent nor what arrives nor an end.
func TestFullQueues(t *testing.T) {
	const conns = 100
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			check := looptest.LeakCheck(t)
			l := newLoop(t, ring.Options{Tick: time.Hour})
			l.submissions = 4
			s := &looptest.Handler{Loop: l}
			closed := make(chan error, conns)
			s.OnClosed = func(_ ring.ConnID, err error) { closed <- err }
			address := looptest.Listen(t, l, network)
			done := looptest.Start(t, s)
			var all []net.Conn
			var wg sync.WaitGroup
			for i := range conns {
				nc := looptest.Dial(t, network, address)
				all = append(all, nc)
				wg.Go(func() {
					for round := range 5 {
						message := looptest.Frame(fmt.Appendf(nil, "%d of %d", round, i))
						if _, err := nc.Write(message); err != nil {
							t.Error(err)
							return
						}
						if got := readN(t, nc, len(message)); string(got) != string(message) {
							t.Errorf("connection %d: %q, want %q", i, got, message)
						}
					}
				})
			}
			wg.Wait()
			news := looptest.Frame([]byte("to everybody"))
			s.Do(t, func() {
				for _, c := range l.slots {
					out := l.Out(c.id)
					out.Bytes = append(out.Bytes, news...)
				}
			})
			for _, nc := range all {
				looptest.Expect(t, nc, news)
			}
			for _, nc := range all[:conns/2] {
				nc.Close()
			}
			for range conns / 2 {
				if err := looptest.Receive(t, closed, "Closed"); err != nil {
					t.Errorf("ended with %v", err)
				}
			}
			l.Stop(looptest.Patience)
			for _, nc := range all[conns/2:] {
				looptest.ExpectEOF(t, nc)
			}
			looptest.Receive(t, done, "Run to return")
			for _, nc := range all[conns/2:] {
				nc.Close()
			}
			check()
		})
	}
}

// A large Out is moved to the Go heap by append, and is pinned while the kernel has it;
// the garbage collector may run as it likes.
func TestHeapBuffersArePinned(t *testing.T) {
	l := newLoop(t, ring.Options{})
	s := &looptest.Handler{Loop: l}
	nc := looptest.Dial(t, "unix", looptest.Serve(t, "unix", s))
	message := make([]byte, 3<<20)
	for i := range message {
		message[i] = byte(i * i >> 8)
	}
	collect(t, func() {
		for range 10 {
			sent := make(chan error, 1)
			go func() {
				_, err := nc.Write(looptest.Frame(message))
				sent <- err
			}()
			looptest.Expect(t, nc, looptest.Frame(message))
			if err := looptest.Receive(t, sent, "the writer"); err != nil {
				t.Fatal(err)
			}
		}
	})
	looptest.Eventually(t, "all blocks are free", func() (free bool) {
		s.Do(t, func() { free = len(l.blocks.small) == len(l.blocks.chunks)*chunkBlocks })
		return free
	})
}

// An operation under way keeps the descriptor: a new connection does not get the number
// of one whose receive is still to end.
func TestDescriptorsOutliveOperations(t *testing.T) {
	l := newLoop(t, ring.Options{})
	s := &looptest.Handler{Loop: l}
	s.OnEndOfTurn = func() {
		for _, c := range l.slots {
			if c.id == 0 || !c.busy() {
				continue
			}
			if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); err != nil {
				t.Errorf("connection %d has an operation on a descriptor that is closed: %v", c.id, err)
			}
		}
	}
	address := looptest.Serve(t, "unix", s)
	for i := range 300 {
		nc := looptest.Dial(t, "unix", address)
		if i%2 == 0 {
			looptest.RoundTrip(t, nc, "x")
		}
		if i%3 == 0 {
			s.Do(t, func() {
				for _, c := range l.slots {
					l.Close(c.id)
				}
			})
		}
		nc.Close()
	}
	looptest.Eventually(t, "all closed", func() bool { return s.Stats(t).OpenConns == 0 })
}

// IDs are used once, also when slots are used again.
func TestIDsAreNotUsedAgain(t *testing.T) {
	l := newLoop(t, ring.Options{})
	var err error
	if l.records, err = newRecords(); err != nil {
		t.Fatal(err)
	}
	defer unmapMemory(l.records.memory)
	seen := map[ring.ConnID]bool{0: true}
	use := func() ring.ConnID {
		c := l.register(-1, nil)
		if seen[c.id] || c.id >= 1<<56 || l.find(c.id) != c {
			t.Fatalf("id %#x of slot %d: used before, too large or not found", c.id, c.slot)
		}
		seen[c.id] = true
		l.vacate(c)
		return c.id
	}
	for range 100 {
		if id := use(); l.find(id) != nil {
			t.Fatalf("%#x is found after its end", id)
		}
	}
	l.slots[0].life = lives - 1
	use()
	if use(); len(l.slots) != 2 {
		t.Errorf("%d slots; want the first one, whose ids are used up, left alone", len(l.slots))
	}
}

// collect runs f beside a garbage collector that never rests.
func collect(t *testing.T, f func()) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	f()
	close(stop)
	<-done
}
