package looptest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"causalmesh/ring"
)

// oneChunk is the most that an implementation hands over at once.
const oneChunk = 64 << 10

type ending struct {
	c   ring.ConnID
	err error
}

// endings collects the calls of Closed.
func endings(s *Handler) <-chan ending {
	all := make(chan ending, 100)
	s.OnClosed = func(c ring.ConnID, err error) { all <- ending{c, err} }
	return all
}

// A client that sends and never reads is not read from any more once HighWater is
// queued, is closed after StallTimeout, and holds up nobody.
func (x suite) testClientThatNeverReads(t *testing.T) {
	const highWater, stall, step = 64 << 10, 4 * time.Hour, 30 * time.Minute
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			s, clock := &Handler{}, NewClock()
			closed := endings(s)
			mostQueued := 0
			first := ring.ConnID(0)
			s.OnAccepted = func(c ring.ConnID, _ ring.ListenerID, _ ring.Peer) error {
				if first == 0 {
					first = c
				}
				return nil
			}
			s.OnEndOfTurn = func() { mostQueued = max(mostQueued, s.Loop.Queued(first)) }
			address := x.serve(t, network, ring.Options{HighWater: highWater, StallTimeout: stall, Now: clock.Now}, s)
			greedy := Dial(t, network, address)
			s.First(t)
			message := Frame(make([]byte, 1000))
			go func() { // Ends when the loop closes the connection.
				for {
					if _, err := greedy.Write(message); err != nil {
						return
					}
				}
			}()
			Eventually(t, "the mark is passed", func() (passed bool) {
				s.Do(t, func() { passed = mostQueued > highWater })
				return passed
			})
			polite := Dial(t, network, address)
			waited := time.Duration(0)
			Eventually(t, "the client that never reads is closed", func() bool {
				RoundTrip(t, polite, "still served")
				s.settled(t)
				clock.Advance(t, s, step)
				waited += step
				return len(closed) > 0
			})
			end := <-closed
			if end.c != first || !errors.Is(end.err, ring.ErrStalled) {
				t.Errorf("connection %d ended with %v; want the first with %v", end.c, end.err, ring.ErrStalled)
			}
			if waited < stall {
				t.Errorf("closed after %v, StallTimeout is %v", waited, stall)
			}
			stats := s.Stats(t)
			if stats.Stalled != 1 || stats.OpenConns != 1 {
				t.Errorf("stats %+v, want one stalled and one open", stats)
			}
			s.Do(t, func() {
				// One more chunk, and what was there of its first message, may be answered
				// after the mark is passed.
				if most := highWater + oneChunk + len(message); mostQueued > most {
					t.Errorf("up to %d bytes queued, want at most %d", mostQueued, most)
				}
			})
		})
	}
}

// queued asks the running loop what is queued for a connection.
func (s *Handler) queued(t testing.TB, c ring.ConnID) (n int) {
	t.Helper()
	s.Do(t, func() { n = s.Loop.Queued(c) })
	return n
}

// settled waits until all that was sent to all connections but the first is counted as sent:
// the other side may have it earlier.
func (s *Handler) settled(t testing.TB) {
	t.Helper()
	Eventually(t, "all is sent", func() bool {
		n := 0
		s.Do(t, func() {
			for _, c := range s.conns[1:] {
				n += s.Loop.Queued(c)
			}
		})
		return n == 0
	})
}

// A client that reads slowly is slowed down, not closed, and loses nothing.
func (x suite) testBackPressureEnds(t *testing.T) {
	const highWater = 32 << 10
	s := &Handler{}
	mostQueued := 0
	s.OnEndOfTurn = func() {
		for _, c := range s.conns {
			mostQueued = max(mostQueued, s.Loop.Queued(c))
		}
	}
	address := x.serve(t, "unix", ring.Options{HighWater: highWater}, s)
	nc := Dial(t, "unix", address)
	message := Frame(make([]byte, 50_000))
	const count = 60 // Several times what the kernel holds.
	go func() {
		for range count {
			if _, err := nc.Write(message); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	first := s.First(t)
	Eventually(t, "the mark is passed", func() (passed bool) {
		s.Do(t, func() { passed = mostQueued > highWater })
		return passed
	})
	for range count {
		Expect(t, nc, message)
	}
	Eventually(t, "nothing queued", func() bool { return s.queued(t, first) == 0 })
	s.Do(t, func() {
		if most := highWater + oneChunk + len(message); mostQueued > most {
			t.Errorf("up to %d bytes queued, want at most %d", mostQueued, most)
		}
	})
}

// Slow is not stalled: queued bytes that move, however slowly, keep a connection.
func (x suite) testSlowReaderIsNotStalled(t *testing.T) {
	const stall, step = 4 * time.Hour, 30 * time.Minute
	s, clock := &Handler{}, NewClock()
	closed := endings(s)
	const size, pieces = 4 << 20, 16
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		out := s.Loop.Out(c)
		out.Bytes = append(out.Bytes, make([]byte, size)...)
		return len(data), nil
	}
	nc := Dial(t, "unix", x.serve(t, "unix", ring.Options{StallTimeout: stall, Now: clock.Now}, s))
	if _, err := nc.Write([]byte("go")); err != nil {
		t.Fatal(err)
	}
	first := s.First(t)
	Eventually(t, "bytes queued", func() bool { return s.queued(t, first) > 0 })
	before, moved := size, 0
	for range pieces { // Of more than the kernel's buffer, so that each makes room.
		Expect(t, nc, make([]byte, size/pieces))
		queued := 0
		Eventually(t, "queued bytes that move", func() bool {
			queued = s.queued(t, first)
			return queued < before || queued == 0
		})
		if before = queued; queued > 0 {
			moved++
		}
		for range 4 { // Half of StallTimeout.
			clock.Advance(t, s, step)
		}
	}
	if len(closed) > 0 {
		t.Errorf("closed: %v", (<-closed).err)
	}
	if moved < pieces/2 {
		t.Errorf("bytes were queued for %d times half of %v only, the test shows nothing", moved, stall)
	}
}

func (x suite) testMaxQueued(t *testing.T) {
	s := &Handler{}
	closed := endings(s)
	const limit = 4 << 20
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		out := s.Loop.Out(c)
		// What the kernel takes before the loop compares counts as sent: far less than a limit.
		out.Bytes = append(out.Bytes, make([]byte, 2*limit)...)
		return len(data), nil
	}
	nc := Dial(t, "unix", x.serve(t, "unix", ring.Options{MaxQueued: limit}, s))
	if _, err := nc.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if end := Receive(t, closed, "Closed"); !errors.Is(end.err, ring.ErrStalled) {
		t.Errorf("ended with %v, want %v", end.err, ring.ErrStalled)
	}
	if stats := s.Stats(t); stats.Stalled != 1 {
		t.Errorf("stats %+v, want one stalled", stats)
	}
}

func (x suite) testMaxUnused(t *testing.T) {
	for _, limit := range []int{100, 16 << 10, 300_000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := &Handler{}
			closed := endings(s)
			unused := 0
			s.OnReceived = func(_ ring.ConnID, data []byte) (int, error) {
				unused = len(data)
				return 0, nil
			}
			nc := Dial(t, "unix", x.serve(t, "unix", ring.Options{MaxUnused: limit}, s))
			if _, err := nc.Write(make([]byte, limit)); err != nil {
				t.Fatal(err)
			}
			Eventually(t, "all of it unused", func() bool {
				now := 0
				s.Do(t, func() { now = unused })
				return now == limit
			})
			s.Do(t, func() {
				if s.Loop.Out(s.conns[0]) == nil {
					t.Error("closed at the limit")
				}
			})
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			ExpectEOF(t, nc)
			nc.Close()
			if end := Receive(t, closed, "Closed"); !errors.Is(end.err, ring.ErrUnused) {
				t.Errorf("ended with %v, want %v", end.err, ring.ErrUnused)
			}
		})
	}
}

func (x suite) testMaxConns(t *testing.T) {
	s := &Handler{}
	address := x.serve(t, "unix", ring.Options{MaxConns: 2}, s)
	first, second := Dial(t, "unix", address), Dial(t, "unix", address)
	RoundTrip(t, first, "one")
	RoundTrip(t, second, "two")
	third := Dial(t, "unix", address)
	ExpectEOF(t, third)
	stats := s.Stats(t)
	if stats.Refused != 1 || stats.OpenConns != 2 || stats.Accepted != 2 {
		t.Errorf("stats %+v, want two connections and one refused", stats)
	}
	first.Close()
	Eventually(t, "a free place", func() bool { return s.Stats(t).OpenConns == 1 })
	RoundTrip(t, Dial(t, "unix", address), "three")
}

func (x suite) testHandlerRefuses(t *testing.T) {
	s := &Handler{OnAccepted: func(ring.ConnID, ring.ListenerID, ring.Peer) error { return errors.New("not you") }}
	closed := endings(s)
	nc := Dial(t, "unix", x.serve(t, "unix", ring.Options{}, s))
	ExpectEOF(t, nc)
	stats := s.Stats(t)
	if stats.Refused != 1 || stats.OpenConns != 0 || stats.Accepted != 0 || len(closed) != 0 {
		t.Errorf("stats %+v and %d calls of Closed, want one refused", stats, len(closed))
	}
}

// TestMaxConnsOfEachListener: who uses up one listener keeps nobody out of another.
func (x suite) testMaxConnsOfEachListener(t *testing.T) {
	s := &Handler{}
	s.Loop = x.make(ring.Options{MaxConns: 1})
	crowded := Listen(t, s.Loop, "unix")
	other, err := s.Loop.Listen(2, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Start(t, s)
	RoundTrip(t, Dial(t, "unix", crowded), "one")
	ExpectEOF(t, Dial(t, "unix", crowded))
	RoundTrip(t, Dial(t, "tcp", other), "two")
}
