package netloop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

func TestEcho(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			peers := make(chan ring.Peer, 1)
			s := &scripted{accepted: func(_ ring.ConnID, l ring.ListenerID, p ring.Peer) error {
				if l != 1 {
					return fmt.Errorf("listener %d", l)
				}
				peers <- p
				return nil
			}}
			nc := dial(t, network, serve(t, network, ring.Options{}, s))
			for i := range 100 {
				roundTrip(t, nc, fmt.Sprintf("message %d", i))
			}
			peer := receive(t, peers, "the peer")
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
			eventually(t, "all bytes counted", func() bool { return s.stats(t).BytesOut == bytes })
			stats := s.stats(t)
			if stats.Accepted != 1 || stats.OpenConns != 1 || stats.BytesIn != bytes || stats.Turns == 0 {
				t.Errorf("stats %+v, want one connection and %d bytes each way", stats, bytes)
			}
		})
	}
}

// Frames come back whole and in order however they are cut.
func TestFramesInPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	stream := func(sizes ...int) (b []byte) {
		for _, size := range sizes {
			payload := make([]byte, size)
			for i := range payload {
				payload[i] = byte(random.Uint32())
			}
			b = append(b, frame(payload)...)
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
		{"large", stream(1, baseBuffer, 10, keepBuffer, 3<<20, 0, 8<<20, 7), func() int { return 1 << 20 }},
	}
	for _, network := range networks {
		s := &scripted{}
		address := serve(t, network, ring.Options{}, s)
		for _, c := range cases {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				nc := dial(t, network, address)
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
				expect(t, nc, c.stream)
			})
		}
	}
}

func TestManyConnections(t *testing.T) {
	const conns, rounds = 1000, 5
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			s := &scripted{}
			address := serve(t, network, ring.Options{}, s)
			var all []net.Conn
			for range conns {
				all = append(all, dial(t, network, address))
			}
			var wg sync.WaitGroup
			for part := range 8 {
				wg.Go(func() {
					for round := range rounds {
						for i := part; i < conns; i += 8 {
							message := frame(fmt.Appendf(nil, "%d of %d", round, i))
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
			if stats := s.stats(t); stats.OpenConns != conns {
				t.Errorf("%d connections, want %d", stats.OpenConns, conns)
			}
		})
	}
}

// Connections that come and go leave no goroutine and no file behind, in whatever
// state they go.
func TestConnectStorm(t *testing.T) {
	const connects, clients = 10_000, 32
	// The garbage collector closes forgotten sockets, which would hide a leak.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	check := leakCheck(t)
	s := &scripted{}
	seen := map[ring.ConnID]bool{}
	var closedTwice int
	s.closed = func(c ring.ConnID, _ error) {
		if seen[c] {
			closedTwice++
		}
		seen[c] = true
	}
	s.loop = New(ring.Options{})
	address := listen(t, s.loop, "unix")
	done := run(t, s)
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := client; i < connects; i += clients {
				nc, err := net.DialTimeout("unix", address, patience)
				if err != nil {
					t.Error(err)
					return
				}
				switch i / clients % 4 {
				case 0: // goes at once
				case 1: // goes with an answer under way
					nc.Write(frame([]byte("x")))
				case 2: // goes in the middle of a frame
					nc.Write(frame([]byte("x"))[:3])
				case 3:
					message := frame([]byte("y"))
					exchange(t, nc, message, make([]byte, len(message)))
				}
				nc.Close()
			}
		})
	}
	wg.Wait()
	eventually(t, "all connections closed", func() bool {
		stats := s.stats(t)
		return stats.Accepted == connects && stats.Closed == connects && stats.OpenConns == 0
	})
	s.loop.Stop(patience)
	receive(t, done, "Run to return")
	if closedTwice > 0 || len(seen) != connects {
		t.Errorf("Closed for %d connections, %d times again", len(seen), closedTwice)
	}
	check()
}

func TestWakeFromManyGoroutines(t *testing.T) {
	const routines, wakes = 8, 2000
	var mu sync.Mutex
	posted, seen, calls := 0, 0, 0
	s := &scripted{woken: func() {
		mu.Lock()
		defer mu.Unlock()
		seen = posted
		calls++
	}}
	serve(t, "unix", ring.Options{Tick: time.Hour, StallTimeout: time.Hour}, s)
	var wg sync.WaitGroup
	for range routines {
		wg.Go(func() {
			for range wakes {
				mu.Lock()
				posted++
				mu.Unlock()
				s.loop.Wake()
			}
		})
	}
	wg.Wait()
	eventually(t, "Woken after the last Wake", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen == routines*wakes
	})
	before := 0
	s.do(t, func() { // While the loop is held, calls add up to one.
		before = calls
		for range wakes {
			s.loop.Wake()
		}
	})
	eventually(t, "Woken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return calls >= before+2
	})
	s.do(t, func() {
		// One for the job that held the loop, one for all of Wake, then this one.
		if calls != before+2 {
			t.Errorf("Woken %d times, want 2", calls-before)
		}
	})
}

// A connection that always has more to say does not keep the others waiting.
func TestBusyConnectionDoesNotStarveOthers(t *testing.T) {
	s := &scripted{}
	s.received = func(c ring.ConnID, data []byte) (int, error) {
		if c == 1 { // The flood, swallowed.
			return len(data), nil
		}
		return s.echo(c, data)
	}
	address := serve(t, "unix", ring.Options{}, s)
	flood := dial(t, "unix", address)
	eventually(t, "the first connection", func() bool { return s.stats(t).OpenConns == 1 })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for chunk := make([]byte, 1<<20); ; {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := flood.Write(chunk); err != nil {
				t.Error(err)
				return
			}
		}
	})
	polite := dial(t, "unix", address)
	for i := range 200 {
		roundTrip(t, polite, fmt.Sprint(i))
	}
	close(stop)
	wg.Wait()
}

// One read is bounded also where the buffer has more room.
func TestReadChunk(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if n, err := unix.Write(pair[0], make([]byte, readChunk+1000)); n != readChunk+1000 {
		t.Fatal(n, err)
	}
	c := &conn{in: newBuffer(keepBuffer)}
	if done := c.readFD(uintptr(pair[1])); !done || c.fresh != readChunk {
		t.Errorf("read %d bytes, %v; want %d", c.fresh, done, readChunk)
	}
}

// While many connections have chunks waiting, each gets one before any gets two.
func TestConnectionsTakeTurns(t *testing.T) {
	const conns = 8
	s := &scripted{}
	var order []ring.ConnID
	s.received = func(c ring.ConnID, data []byte) (int, error) {
		order = append(order, c)
		return len(data), nil
	}
	address := serve(t, "unix", ring.Options{}, s)
	var all []net.Conn
	for range conns {
		all = append(all, dial(t, "unix", address))
	}
	eventually(t, "all connections", func() bool { return s.stats(t).OpenConns == conns })
	// The loop is held until every reader has handed over a chunk and more waits.
	s.do(t, func() {
		for _, nc := range all {
			if _, err := nc.Write(make([]byte, keepBuffer/4)); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "a chunk of each", func() bool {
			s.loop.mail.mu.Lock()
			defer s.loop.mail.mu.Unlock()
			return len(s.loop.mail.events) == conns
		})
	})
	eventually(t, "all bytes", func() bool { return s.stats(t).BytesIn == conns*keepBuffer/4 })
	s.do(t, func() {
		first := map[ring.ConnID]bool{}
		for _, c := range order[:conns] {
			first[c] = true
		}
		if len(first) != conns || len(order) < 2*conns {
			t.Errorf("order %v; want each of %d connections once, then again", order, conns)
		}
	})
}
