//go:build linux

package uring

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
	"causalmesh/ring/looptest"
)

// With hardly any receive buffers connections wait for each other, and nothing is lost.
func TestFewReceiveBuffers(t *testing.T) {
	const conns, rounds = 200, 20
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			l := newLoop(t, ring.Options{})
			l.buffers, l.size = 2, 512
			s := &looptest.Handler{Loop: l}
			address := looptest.Serve(t, network, s)
			var wg sync.WaitGroup
			for i := range conns {
				nc := looptest.Dial(t, network, address)
				wg.Go(func() {
					random := rand.New(rand.NewPCG(uint64(i), 0))
					for range rounds {
						message := looptest.Frame(bytes.Repeat([]byte{byte(i)}, random.IntN(3000)))
						if _, err := nc.Write(message); err != nil {
							t.Error(err)
							return
						}
						if got := readN(t, nc, len(message)); !bytes.Equal(got, message) {
							t.Errorf("connection %d: another echo than was sent", i)
							return
						}
					}
				})
			}
			wg.Wait()
			if stats := s.Stats(t); stats.Starved == 0 || stats.OpenConns != conns {
				t.Errorf("%+v; want receives starved, and %d connections", stats, conns)
			}
		})
	}
}

// readN is for any goroutine.
func readN(t *testing.T, nc net.Conn, n int) []byte {
	looptest.Extend(nc)
	b := make([]byte, n)
	if got, err := io.ReadFull(nc, b); err != nil {
		t.Errorf("read %d of %d bytes: %v", got, n, err)
		return nil
	}
	return b
}

// Connections that always have more to say do not keep others from a buffer.
func TestFloodWithFewReceiveBuffers(t *testing.T) {
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			const floods = 3
			l := newLoop(t, ring.Options{})
			l.buffers, l.size = 4, 4096
			s := &looptest.Handler{Loop: l}
			swallowed := map[ring.ConnID]bool{}
			s.OnAccepted = func(c ring.ConnID, _ ring.ListenerID, _ ring.Peer) error {
				if len(swallowed) < floods {
					swallowed[c] = true
				}
				return nil
			}
			s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
				if swallowed[c] {
					return len(data), nil
				}
				return s.Echo(c, data)
			}
			address := looptest.Serve(t, network, s)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for range floods {
				flood := looptest.Dial(t, network, address)
				wg.Go(func() {
					for chunk := make([]byte, 1<<20); ; {
						select {
						case <-stop:
							return
						default:
						}
						looptest.Extend(flood)
						if _, err := flood.Write(chunk); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			looptest.Eventually(t, "floods that have used up the buffers", func() bool {
				stats := s.Stats(t)
				return stats.OpenConns == floods && stats.Starved > 0
			})
			polite := looptest.Dial(t, network, address)
			for i := range 100 {
				looptest.RoundTrip(t, polite, fmt.Sprint(i))
			}
			close(stop)
			wg.Wait()
		})
	}
}

// Back-pressure cancels the receive and arms it again, over and over; what arrives
// meanwhile is carried over in order, and the handler is not called.
func TestReceivesAreCancelledAndArmedAgain(t *testing.T) {
	const size = 1024 // Of a receive buffer.
	random := rand.New(rand.NewPCG(3, 4))
	cases := []struct {
		name    string
		payload func() int
	}{
		{"frames in pieces", func() int { return random.IntN(3 * size) }},
		{"one frame a buffer", func() int { return size - 4 }},
	}
	for _, network := range looptest.Networks {
		for _, c := range cases {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				var stream []byte
				length := 3 << 20 // The kernel holds less than a third.
				if network == "tcp" {
					length = 21 << 20
				}
				for i := 0; len(stream) < length; i++ {
					stream = append(stream, looptest.Frame(bytes.Repeat([]byte{byte(i)}, c.payload()))...)
				}
				testPauses(t, network, size, stream)
			})
		}
	}
}

func testPauses(t *testing.T, network string, size int, stream []byte) {
	const highWater = 8 << 10
	l := newLoop(t, ring.Options{HighWater: highWater})
	l.buffers, l.size = 4096, size
	s := &looptest.Handler{Loop: l}
	mostQueued := 0
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		if l.Queued(c) > highWater {
			t.Error("called above the mark")
		}
		return s.Echo(c, data)
	}
	s.OnEndOfTurn = func() {
		for _, c := range l.slots {
			mostQueued = max(mostQueued, c.queued())
		}
	}
	nc := looptest.Dial(t, network, looptest.Serve(t, network, s))
	sent := make(chan error, 1)
	go func() {
		_, err := nc.Write(stream)
		sent <- err
	}()
	rest := stream
	for range 2 {
		looptest.Eventually(t, "a pause, with a send that waits and no receive", func() (paused bool) {
			s.Do(t, func() { paused = len(l.slots) > 0 && waits(l.slots[0]) })
			return paused
		})
		looptest.Expect(t, nc, rest[:len(stream)/3])
		rest = rest[len(stream)/3:]
	}
	looptest.Expect(t, nc, rest)
	if err := looptest.Receive(t, sent, "the writer"); err != nil {
		t.Error(err)
	}
	s.Do(t, func() {
		// Over TCP the receive may have ended by itself, for want of buffers.
		if network == "unix" && l.records.at(cancelRecord(l.slots[0].slot)).Sequence == 0 {
			t.Error("no receive was cancelled, the test shows little")
		}
		// What one call uses may be answered above the mark.
		if mostQueued > highWater+5*size {
			t.Errorf("up to %d bytes queued, want a little more than %d", mostQueued, highWater)
		}
	})
}

// waits is whether a connection is paused until its other side reads.
func waits(c *conn) bool { return c.paused && c.sending == sendLater && !c.receiving }

// A paused connection whose other side has ended its sending still gets all answers.
func TestHalfCloseWhilePaused(t *testing.T) {
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			l := newLoop(t, ring.Options{HighWater: 4096})
			l.size = 1024
			s := &looptest.Handler{Loop: l}
			closed := make(chan error, 1)
			s.OnClosed = func(_ ring.ConnID, err error) { closed <- err }
			answer := make([]byte, 200_000)
			calls := 0
			s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
				calls++
				out := l.Out(c)
				out.Bytes = append(out.Bytes, answer...)
				return len(data), nil
			}
			nc := looptest.Dial(t, network, looptest.Serve(t, network, s))
			s.First(t)
			s.Do(t, func() { // So that the end arrives with the bytes, before the pause.
				if _, err := nc.Write(make([]byte, 64<<10)); err != nil {
					t.Error(err)
				}
				if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			got, err := io.Copy(io.Discard, nc)
			if err != nil {
				t.Error(err)
			}
			s.Do(t, func() {
				if in := l.stats.BytesIn; in != 64<<10 || calls < 64 || got != int64(calls*len(answer)) {
					t.Errorf("%d bytes of answers to %d calls, %d bytes received", got, calls, in)
				}
			})
			if err := looptest.Receive(t, closed, "Closed"); err != nil {
				t.Errorf("ended with %v, want an orderly end", err)
			}
		})
	}
}

// A connection that waits for its other side costs no turns.
func TestStalledConnectionCostsNoTurns(t *testing.T) {
	const batches, rounds = 10, 20
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			clock := looptest.NewClock() // It stands still, so that no time is due between requests.
			l := newLoop(t, ring.Options{Tick: time.Hour, HighWater: 4096, Now: clock.Now})
			s := &looptest.Handler{Loop: l}
			address := looptest.Serve(t, network, s)
			stalled := looptest.Dial(t, network, address)
			stalled.SetDeadline(time.Time{})
			go func() { // Until the test ends.
				for message := looptest.Frame(make([]byte, 10_000)); ; {
					if _, err := stalled.Write(message); err != nil {
						return
					}
				}
			}()
			polite := looptest.Dial(t, network, address)
			looptest.Eventually(t, "a connection that is paused, with a send that waits", func() (is bool) {
				looptest.RoundTrip(t, polite, "hello")
				s.Do(t, func() { is = waits(l.slots[0]) })
				return is
			})
			// A signal may end a wait early in some of the batches, but not in most.
			exact, inexact := 0, 0
			looptest.Eventually(t, "as many turns as requests", func() bool {
				before := s.Stats(t).Turns
				for range rounds {
					looptest.RoundTrip(t, polite, "hello")
				}
				turns := s.Stats(t).Turns - before - 1 // That of Stats.
				if turns == rounds {
					exact++
				} else {
					inexact++
				}
				if inexact > exact+batches {
					t.Fatalf("%d of %d batches took more turns than requests", inexact, exact+inexact)
				}
				return exact == batches
			})
		})
	}
}

// Accepted connections inherit from the listener what dialed ones are given.
func TestSocketOptions(t *testing.T) {
	connected := make(chan error, 1)
	l := newLoop(t, ring.Options{StallTimeout: 10 * time.Second})
	s := &looptest.Handler{Loop: l, OnConnected: func(_ uint64, _ ring.ConnID, err error) { connected <- err }}
	address := looptest.Serve(t, "tcp", s)
	s.Do(t, func() { l.Dial(1, "tcp", address, looptest.Patience) })
	if err := looptest.Receive(t, connected, "Connected"); err != nil {
		t.Fatal(err)
	}
	looptest.Eventually(t, "both ends", func() bool { return s.Stats(t).OpenConns == 2 })
	s.Do(t, func() {
		for _, c := range l.slots {
			for _, o := range []struct {
				name          string
				level, option int
				want          int
			}{
				{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
				{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 10},
				{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 4},
				{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
				{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(socket.DeadPeerTimeout(l.opts).Milliseconds())},
			} {
				got, err := unix.GetsockoptInt(c.fd, o.level, o.option)
				if err != nil || got != o.want {
					t.Errorf("connection %d (listener %v): %s is %d, %v; want %d", c.id, c.listener != nil, o.name, got, err, o.want)
				}
			}
			if flags, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
				t.Errorf("connection %d: flags %#x, %v; want a socket that blocks", c.id, flags, err)
			}
			if flags, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("connection %d is inherited by children: %#x, %v", c.id, flags, err)
			}
		}
	})
}
