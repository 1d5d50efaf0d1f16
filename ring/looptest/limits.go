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
	const highWater, stall = 64 << 10, 300 * time.Millisecond
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			s := &Handler{}
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
			address := x.serve(t, network, ring.Options{HighWater: highWater, StallTimeout: stall}, s)
			greedy := Dial(t, network, address)
			Eventually(t, "the first connection", func() bool { return s.Stats(t).OpenConns == 1 })
			began := time.Now()
			go func() { // Ends when the loop closes the connection.
				for message := Frame(make([]byte, 1000)); ; {
					if _, err := greedy.Write(message); err != nil {
						return
					}
				}
			}()
			polite := Dial(t, network, address)
			for {
				RoundTrip(t, polite, "still served")
				if len(closed) > 0 {
					break
				}
				if time.Since(began) > Patience {
					t.Fatal("the client that never reads is still connected")
				}
			}
			end := <-closed
			if end.c != s.First(t) || !errors.Is(end.err, ring.ErrStalled) {
				t.Errorf("connection %d ended with %v; want the first with %v", end.c, end.err, ring.ErrStalled)
			}
			if took := time.Since(began); took < stall {
				t.Errorf("closed after %v, StallTimeout is %v", took, stall)
			}
			stats := s.Stats(t)
			if stats.Stalled != 1 || stats.OpenConns != 1 {
				t.Errorf("stats %+v, want one stalled and one open", stats)
			}
			s.Do(t, func() {
				// One more chunk may be answered after the mark is passed.
				if mostQueued <= highWater || mostQueued > highWater+oneChunk {
					t.Errorf("up to %d bytes queued, want a little more than %d", mostQueued, highWater)
				}
			})
		})
	}
}

// A client that reads slowly is slowed down, not closed, and loses nothing.
func (x suite) testBackPressureEnds(t *testing.T) {
	const highWater = 32 << 10
	s := &Handler{}
	address := x.serve(t, "unix", ring.Options{HighWater: highWater}, s)
	nc := Dial(t, "unix", address)
	message := Frame(make([]byte, 50_000))
	const count = 60
	go func() {
		for range count {
			if _, err := nc.Write(message); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	first := s.First(t)
	looks, seen := 0, uint64(0)
	Eventually(t, "reading has stopped with bytes queued", func() bool {
		s.Do(t, func() {
			in := s.Loop.Stats().BytesIn
			if looks++; in != seen || s.Loop.Queued(first) == 0 {
				looks, seen = 0, in
			}
		})
		return looks == 50
	})
	for range count {
		Expect(t, nc, message)
	}
	Eventually(t, "nothing queued", func() bool {
		queued := 1
		s.Do(t, func() { queued = s.Loop.Queued(first) })
		return queued == 0
	})
}

// Slow is not stalled: queued bytes that move, however slowly, keep a connection.
func (x suite) testSlowReaderIsNotStalled(t *testing.T) {
	const stall = 500 * time.Millisecond
	s := &Handler{}
	closed := endings(s)
	const size = 4 << 20
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		out := s.Loop.Out(c)
		out.Bytes = append(out.Bytes, make([]byte, size)...)
		return len(data), nil
	}
	nc := Dial(t, "unix", x.serve(t, "unix", ring.Options{StallTimeout: stall}, s))
	if _, err := nc.Write([]byte("go")); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, size/16)
	pause := time.NewTicker(stall / 4)
	defer pause.Stop()
	for range 16 { // Four times StallTimeout in all.
		<-pause.C
		Expect(t, nc, piece)
	}
	if len(closed) > 0 {
		t.Errorf("closed: %v", (<-closed).err)
	}
}

func (x suite) testMaxQueued(t *testing.T) {
	s := &Handler{}
	closed := endings(s)
	const limit = 4 << 20
	address := x.serve(t, "unix", ring.Options{MaxQueued: limit}, s)
	nc := Dial(t, "unix", address)
	s.Do(t, func() {
		s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
			out := s.Loop.Out(c)
			out.Bytes = append(out.Bytes, make([]byte, limit+1)...)
			return len(data), nil
		}
	})
	// What the kernel has room for counts as sent, so it may take a few.
	for {
		if _, err := nc.Write([]byte("x")); err != nil {
			break
		}
		if len(closed) > 0 {
			break
		}
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
