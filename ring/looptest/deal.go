package looptest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

// dealt are loops that one listener deals to; the first one deals.
type dealt struct {
	handlers []*Handler
	done     []<-chan struct{}
	address  string
}

// deal starts n loops with a listener of the first, dealt to those that to names.
func (x suite) deal(t *testing.T, n int, network string, opts ring.Options, to ...int) *dealt {
	t.Helper()
	d := &dealt{}
	for range n {
		d.handlers = append(d.handlers, &Handler{Loop: x.make(opts), OnAccepted: knowsItsPeer})
	}
	d.address = Listen(t, d.handlers[0].Loop, network)
	var loops []ring.Loop
	for _, i := range to {
		loops = append(loops, d.handlers[i].Loop)
	}
	if err := d.handlers[0].Loop.Deal(1, loops); err != nil {
		t.Fatal(err)
	}
	d.done = make([]<-chan struct{}, n)
	for i := n - 1; i >= 0; i-- { // Those that are dealt to run first.
		d.done[i] = Start(t, d.handlers[i])
	}
	return d
}

func knowsItsPeer(_ ring.ConnID, l ring.ListenerID, p ring.Peer) error {
	if l != 1 || p.Addr == "" {
		return fmt.Errorf("listener %d, peer %+v", l, p)
	}
	return nil
}

// stop ends the loops, the dealing one first.
func (d *dealt) stop(t *testing.T) {
	t.Helper()
	for i, s := range d.handlers {
		s.Loop.Stop(Patience)
		Receive(t, d.done[i], "Run to return")
	}
}

// Connections go to the loops in turn, and are served where they went.
func (x suite) testDeal(t *testing.T) {
	const each = 4
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			check := LeakCheck(t)
			d := x.deal(t, 3, network, ring.Options{}, 0, 1, 2)
			var all []net.Conn
			for i := range 3 * each {
				nc := Dial(t, network, d.address)
				RoundTrip(t, nc, fmt.Sprint(i))
				all = append(all, nc)
			}
			for i, s := range d.handlers {
				if stats := s.Stats(t); stats.Accepted != each || stats.OpenConns != each {
					t.Errorf("loop %d: %+v; want %d connections", i, stats, each)
				}
			}
			for _, nc := range all {
				RoundTrip(t, nc, "again")
				nc.Close()
			}
			for _, s := range d.handlers {
				Eventually(t, "all closed", func() bool { return s.Stats(t).OpenConns == 0 })
			}
			d.stop(t)
			check()
		})
	}
}

// The loop that accepts need not serve.
func (x suite) testDealToOthers(t *testing.T) {
	d := x.deal(t, 2, "unix", ring.Options{}, 1)
	RoundTrip(t, Dial(t, "unix", d.address), "hello")
	if here, there := d.handlers[0].Stats(t), d.handlers[1].Stats(t); here.OpenConns != 0 || there.OpenConns != 1 {
		t.Errorf("%d connections here, %d there; want 0 and 1", here.OpenConns, there.OpenConns)
	}
}

// MaxConns counts the connections of a listener wherever they are.
func (x suite) testDealMaxConns(t *testing.T) {
	d := x.deal(t, 2, "unix", ring.Options{MaxConns: 3}, 0, 1)
	var all []net.Conn
	for i := range 3 {
		all = append(all, Dial(t, "unix", d.address))
		RoundTrip(t, all[i], fmt.Sprint(i))
	}
	ExpectEOF(t, Dial(t, "unix", d.address))
	all[1].Close()
	Eventually(t, "a free place", func() bool {
		return d.handlers[0].Stats(t).OpenConns+d.handlers[1].Stats(t).OpenConns == 2
	})
	RoundTrip(t, Dial(t, "unix", d.address), "after all")
}

func (x suite) testDealErrors(t *testing.T) {
	l := x.make(ring.Options{})
	Listen(t, l, "unix")
	s := &Handler{Loop: l}
	cases := []struct {
		name  string
		id    ring.ListenerID
		loops []ring.Loop
		want  error
	}{
		{"unknown listener", 2, []ring.Loop{l}, socket.ErrNoListener},
		{"no loops", 1, nil, socket.ErrNoLoops},
		{"nil loop", 1, []ring.Loop{l, nil}, socket.ErrForeignLoop},
		{"foreign loop", 1, []ring.Loop{struct{ ring.Loop }{l}}, socket.ErrForeignLoop},
	}
	for _, c := range cases {
		if err := l.Deal(c.id, c.loops); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	Start(t, s)
	s.Do(t, func() {})
	if err := l.Deal(1, []ring.Loop{l}); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("while it runs: %v, want %v", err, socket.ErrRunning)
	}
}

// Connections that come while the loops end are closed, wherever they have got to, even
// if the loops end in the wrong order.
func (x suite) testDealWhileEnding(t *testing.T) {
	// The garbage collector closes forgotten sockets, which would hide a leak.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for round := range 10 {
		check := LeakCheck(t)
		d := x.deal(t, 3, "unix", ring.Options{}, 0, 1, 2)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					nc, err := net.DialTimeout("unix", d.address, Patience)
					if err != nil {
						continue
					}
					Extend(nc)
					nc.Write(Frame([]byte("x")))
					if _, err := nc.Read(make([]byte, 5)); errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("a connection is neither served nor closed") // Any other error is an answer.
					}
					nc.Close()
				}
			})
		}
		Eventually(t, "traffic", func() bool { return d.handlers[round%3].Stats(t).Accepted > 10 })
		if round%2 == 1 {
			slices.Reverse(d.handlers)
			slices.Reverse(d.done)
		}
		d.stop(t)
		close(stop)
		wg.Wait()
		check()
	}
}

// A loop that is dealt to and never runs lets go of what it was given.
func (x suite) testDealToLoopThatNeverRuns(t *testing.T) {
	idle := x.make(ring.Options{})
	s := &Handler{Loop: x.make(ring.Options{})}
	address := Listen(t, s.Loop, "unix")
	if err := s.Loop.Deal(1, []ring.Loop{idle}); err != nil {
		t.Fatal(err)
	}
	Start(t, s)
	early := Dial(t, "unix", address)
	if _, err := early.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.Stats(t)
	idle.Stop(0)
	// Closed with a byte unread, it is reset.
	ExpectEnd(t, early)
	ExpectEnd(t, Dial(t, "unix", address))
}
