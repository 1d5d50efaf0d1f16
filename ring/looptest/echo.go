package looptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causalmesh/ring"
)

func (x suite) testEcho(t *testing.T) {
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			peers := make(chan ring.Peer, 1)
			s := &Handler{OnAccepted: func(_ ring.ConnID, l ring.ListenerID, p ring.Peer) error {
				if l != 1 {
					return fmt.Errorf("listener %d", l)
				}
				peers <- p
				return nil
			}}
			nc := Dial(t, network, x.serve(t, network, ring.Options{}, s))
			for i := range 100 {
				RoundTrip(t, nc, fmt.Sprintf("message %d", i))
			}
			peer := Receive(t, peers, "the peer")
			want := ring.Peer{Addr: peer.Addr, UID: -1, PID: -1}
			if network == "unix" {
				want.UID, want.PID = os.Getuid(), os.Getpid()
			} else {
				want.Addr = nc.LocalAddr().String()
			}
			if peer != want {
				t.Errorf("peer %+v, want %+v", peer, want)
			}
			bytes := uint64(0)
			for i := range 100 {
				bytes += uint64(4 + len(fmt.Sprintf("message %d", i)))
			}
			// A writer counts after the kernel has taken the bytes.
			Eventually(t, "all bytes counted", func() bool { return s.Stats(t).BytesOut == bytes })
			stats := s.Stats(t)
			if stats.Accepted != 1 || stats.OpenConns != 1 || stats.BytesIn != bytes || stats.Turns == 0 {
				t.Errorf("stats %+v, want one connection and %d bytes each way", stats, bytes)
			}
		})
	}
}

// Frames come back whole and in order however they are cut.
func (x suite) testFramesInPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	stream := func(sizes ...int) (b []byte) {
		for _, size := range sizes {
			payload := make([]byte, size)
			for i := range payload {
				payload[i] = byte(random.Uint32())
			}
			b = append(b, Frame(payload)...)
		}
		return b
	}
	mixed := make([]int, 500)
	for i := range mixed {
		mixed[i] = random.IntN(300)
		if i%50 == 0 {
			mixed[i] = random.IntN(100_000)
		}
	}
	cases := []struct {
		name   string
		stream []byte
		piece  func() int
	}{
		{"byte by byte", stream(0, 1, 5, 300), func() int { return 1 }},
		{"pipelined", stream(mixed...), func() int { return 1 << 30 }},
		{"at random", stream(mixed...), func() int { return 1 + random.IntN(5000) }},
		{"large", stream(1, 16<<10, 10, 256<<10, 3<<20, 0, 8<<20, 7), func() int { return 1 << 20 }},
	}
	for _, network := range Networks {
		s := &Handler{}
		address := x.serve(t, network, ring.Options{}, s)
		for _, c := range cases {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				nc := Dial(t, network, address)
				go func() {
					for rest := c.stream; len(rest) > 0; {
						n, err := nc.Write(rest[:min(c.piece(), len(rest))])
						if err != nil {
							t.Error(err)
							return
						}
						rest = rest[n:]
					}
				}()
				Expect(t, nc, c.stream)
			})
		}
	}
}

func (x suite) testManyConnections(t *testing.T) {
	const conns, rounds = 1000, 5
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			s := &Handler{}
			address := x.serve(t, network, ring.Options{}, s)
			var all []net.Conn
			for range conns {
				all = append(all, Dial(t, network, address))
			}
			var wg sync.WaitGroup
			for part := range 8 {
				wg.Go(func() {
					for round := range rounds {
						for i := part; i < conns; i += 8 {
							message := Frame(fmt.Appendf(nil, "%d of %d", round, i))
							answer := make([]byte, len(message))
							exchange(t, all[i], message, answer)
							if !bytes.Equal(message, answer) {
								t.Errorf("connection %d got %q", i, answer)
							}
						}
					}
				})
			}
			wg.Wait()
			if stats := s.Stats(t); stats.OpenConns != conns {
				t.Errorf("%d connections, want %d", stats.OpenConns, conns)
			}
		})
	}
}

// Connections that come and go leave no goroutine and no file behind, in whatever
// state they go.
func (x suite) testConnectStorm(t *testing.T) {
	const connects, clients = 10_000, 32
	// The garbage collector closes forgotten sockets, which would hide a leak.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	check := LeakCheck(t)
	s := &Handler{}
	seen := map[ring.ConnID]bool{}
	var closedTwice int
	s.OnClosed = func(c ring.ConnID, _ error) {
		if seen[c] {
			closedTwice++
		}
		seen[c] = true
	}
	s.Loop = x.make(ring.Options{})
	address := Listen(t, s.Loop, "unix")
	done := Start(t, s)
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := client; i < connects; i += clients {
				if err := connectAndGo(address, i/clients); err != nil {
					t.Errorf("connect %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() { // There are fewer connections than the following waits for.
		return
	}
	settled := false
	defer func() {
		if !settled {
			s.Do(t, func() { logState(t, s.Loop) })
		}
	}()
	Eventually(t, "all connections closed", func() bool {
		stats := s.Stats(t)
		return stats.Accepted == connects && stats.Closed == connects && stats.OpenConns == 0
	})
	settled = true
	s.Loop.Stop(Patience)
	Receive(t, done, "Run to return")
	if closedTwice > 0 || len(seen) != connects {
		t.Errorf("Closed for %d connections, %d times again", len(seen), closedTwice)
	}
	check()
}

// connectAndGo is a client that goes in one of four states.
func connectAndGo(address string, state int) error {
	nc, err := net.DialTimeout("unix", address, Patience)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(Patience)); err != nil {
		return err
	}
	message := Frame([]byte("x"))
	switch state % 4 {
	case 0: // at once
	case 1: // with an answer under way
		_, err = nc.Write(message)
	case 2: // in the middle of a frame
		_, err = nc.Write(message[:3])
	case 3: // after an answer
		if _, err = nc.Write(message); err == nil {
			_, err = io.ReadFull(nc, make([]byte, len(message)))
		}
	}
	return err
}

// logState is called on the loop. What there is to tell beside the counts depends on the
// implementation.
func logState(t *testing.T, l ring.Loop) {
	t.Logf("%+v", l.Stats())
	if l, ok := l.(interface{ State() string }); ok {
		t.Log(l.State())
	}
}

func (x suite) testWakeFromManyGoroutines(t *testing.T) {
	const routines, wakes = 8, 2000
	var mu sync.Mutex
	posted, seen, calls := 0, 0, 0
	s := &Handler{OnWoken: func() {
		mu.Lock()
		defer mu.Unlock()
		seen = posted
		calls++
	}}
	x.serve(t, "unix", ring.Options{Tick: time.Hour}, s)
	var wg sync.WaitGroup
	for range routines {
		wg.Go(func() {
			for range wakes {
				mu.Lock()
				posted++
				mu.Unlock()
				s.Loop.Wake()
			}
		})
	}
	wg.Wait()
	Eventually(t, "Woken after the last Wake", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen == routines*wakes
	})
	before := 0
	s.Do(t, func() { // While the loop is held, calls add up to one.
		before = calls
		for range wakes {
			s.Loop.Wake()
		}
	})
	Eventually(t, "Woken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return calls >= before+2
	})
	s.Do(t, func() {
		// One for the job that held the loop and one for all of Wake. A third one if the
		// job was found before Do itself had called Wake.
		if calls > before+3 {
			t.Errorf("Woken %d times for %d calls while the loop was held, want 1", calls-before-1, wakes)
		}
	})
}

// A turn that the handler wishes for comes although nothing happens, and once.
func (x suite) testTurnWithin(t *testing.T) {
	var turns atomic.Int64
	s := &Handler{OnEndOfTurn: func() { turns.Add(1) }}
	x.serve(t, "unix", ring.Options{Tick: time.Hour}, s)
	for range 3 {
		before := int64(0)
		s.Do(t, func() {
			before = turns.Load()
			s.Loop.TurnWithin(time.Hour)
			s.Loop.TurnWithin(5 * time.Millisecond)
			s.Loop.TurnWithin(time.Minute)
		})
		// The first one is that of the job.
		Eventually(t, "a turn more", func() bool { return turns.Load() >= before+2 })
	}
	Rests(t, s)
}

// A connection that always has more to say does not keep the others waiting.
func (x suite) testBusyConnectionDoesNotStarveOthers(t *testing.T) {
	s := &Handler{}
	first, swallowed := ring.ConnID(0), 0
	s.OnAccepted = func(c ring.ConnID, _ ring.ListenerID, _ ring.Peer) error {
		if first == 0 {
			first = c
		}
		return nil
	}
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		if c == first { // The flood.
			swallowed += len(data)
			return len(data), nil
		}
		return s.Echo(c, data)
	}
	address := x.serve(t, "unix", ring.Options{}, s)
	flood := Dial(t, "unix", address)
	Eventually(t, "the first connection", func() bool { return s.Stats(t).OpenConns == 1 })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { // A failing test ends the flood, too.
		flood.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for chunk := make([]byte, 1<<20); ; {
			select {
			case <-stop:
				return
			default:
			}
			Extend(flood)
			if _, err := flood.Write(chunk); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
		}
	})
	polite := Dial(t, "unix", address)
	flooded := 0
	deadline := time.Now().Add(Patience)
	for i := 0; i < 200 || flooded < 8<<20; i++ {
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("%d bytes of the flood were read beside %d requests", flooded, i)
		}
		RoundTrip(t, polite, fmt.Sprint(i))
		s.Do(t, func() { flooded = swallowed })
	}
	close(stop)
	wg.Wait()
}

func exchange(t testing.TB, nc net.Conn, message, answer []byte) {
	Extend(nc)
	if _, err := nc.Write(message); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, answer); err != nil {
		t.Fatal(err)
	}
}
