package netloop

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

type ending struct {
	c   ring.ConnID
	err error
}

// endings collects the calls of Closed.
func endings(s *scripted) <-chan ending {
	all := make(chan ending, 100)
	s.closed = func(c ring.ConnID, err error) { all <- ending{c, err} }
	return all
}

// A client that sends and never reads is not read from any more once HighWater is
// queued, is closed after StallTimeout, and holds up nobody.
func TestClientThatNeverReads(t *testing.T) {
	const highWater, stall = 64 << 10, 300 * time.Millisecond
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			s := &scripted{}
			closed := endings(s)
			mostQueued := 0
			s.endOfTurn = func() { mostQueued = max(mostQueued, s.loop.Queued(1)) }
			address := serve(t, network, ring.Options{HighWater: highWater, StallTimeout: stall}, s)
			greedy := dial(t, network, address)
			eventually(t, "the first connection", func() bool { return s.stats(t).OpenConns == 1 })
			began := time.Now()
			go func() { // Ends when the loop closes the connection.
				for message := frame(make([]byte, 1000)); ; {
					if _, err := greedy.Write(message); err != nil {
						return
					}
				}
			}()
			polite := dial(t, network, address)
			for {
				roundTrip(t, polite, "still served")
				if len(closed) > 0 {
					break
				}
				if time.Since(began) > patience {
					t.Fatal("the client that never reads is still connected")
				}
			}
			end := <-closed
			if end.c != 1 || !errors.Is(end.err, ring.ErrStalled) {
				t.Errorf("connection %d ended with %v; want 1 with %v", end.c, end.err, ring.ErrStalled)
			}
			if took := time.Since(began); took < stall {
				t.Errorf("closed after %v, StallTimeout is %v", took, stall)
			}
			stats := s.stats(t)
			if stats.Stalled != 1 || stats.OpenConns != 1 {
				t.Errorf("stats %+v, want one stalled and one open", stats)
			}
			s.do(t, func() {
				// One more chunk may be answered after the mark is passed.
				if mostQueued <= highWater || mostQueued > highWater+readChunk {
					t.Errorf("up to %d bytes queued, want a little more than %d", mostQueued, highWater)
				}
			})
		})
	}
}

// A client that reads slowly is slowed down, not closed, and loses nothing.
func TestBackPressureEnds(t *testing.T) {
	s := &scripted{}
	address := serve(t, "unix", ring.Options{HighWater: 32 << 10}, s)
	nc := dial(t, "unix", address)
	message := frame(make([]byte, 50_000))
	const count = 60
	go func() {
		for range count {
			if _, err := nc.Write(message); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	eventually(t, "the reader paused", func() (paused bool) {
		s.do(t, func() { paused = s.loop.conns[1] != nil && s.loop.conns[1].paused })
		return paused
	})
	for range count {
		expect(t, nc, message)
	}
	eventually(t, "nothing queued", func() bool {
		queued := 1
		s.do(t, func() { queued = s.loop.Queued(1) })
		return queued == 0
	})
}

// Slow is not stalled: queued bytes that move, however slowly, keep a connection.
func TestSlowReaderIsNotStalled(t *testing.T) {
	const stall = 200 * time.Millisecond
	s := &scripted{}
	closed := endings(s)
	const size = 4 << 20
	s.received = func(c ring.ConnID, data []byte) (int, error) {
		out := s.loop.Out(c)
		out.Bytes = append(out.Bytes, make([]byte, size)...)
		return len(data), nil
	}
	nc := dial(t, "unix", serve(t, "unix", ring.Options{StallTimeout: stall}, s))
	if _, err := nc.Write([]byte("go")); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, size/16)
	pause := time.NewTicker(stall / 4)
	defer pause.Stop()
	for range 16 { // Four times StallTimeout in all.
		<-pause.C
		expect(t, nc, piece)
	}
	if len(closed) > 0 {
		t.Errorf("closed: %v", (<-closed).err)
	}
}

func TestMaxQueued(t *testing.T) {
	s := &scripted{}
	closed := endings(s)
	const limit = 4 << 20
	address := serve(t, "unix", ring.Options{MaxQueued: limit}, s)
	nc := dial(t, "unix", address)
	s.do(t, func() {
		s.received = func(c ring.ConnID, data []byte) (int, error) {
			out := s.loop.Out(c)
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
	if end := receive(t, closed, "Closed"); !errors.Is(end.err, ring.ErrStalled) {
		t.Errorf("ended with %v, want %v", end.err, ring.ErrStalled)
	}
	if stats := s.stats(t); stats.Stalled != 1 {
		t.Errorf("stats %+v, want one stalled", stats)
	}
}

func TestMaxUnused(t *testing.T) {
	for _, limit := range []int{100, baseBuffer, 300_000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := &scripted{}
			closed := endings(s)
			unused := 0
			s.received = func(_ ring.ConnID, data []byte) (int, error) {
				unused = len(data)
				return 0, nil
			}
			nc := dial(t, "unix", serve(t, "unix", ring.Options{MaxUnused: limit}, s))
			if _, err := nc.Write(make([]byte, limit)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "all of it unused", func() bool {
				now := 0
				s.do(t, func() { now = unused })
				return now == limit
			})
			s.do(t, func() {
				if s.loop.Out(1) == nil {
					t.Error("closed at the limit")
				}
			})
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			expectEOF(t, nc)
			nc.Close()
			if end := receive(t, closed, "Closed"); !errors.Is(end.err, ring.ErrUnused) {
				t.Errorf("ended with %v, want %v", end.err, ring.ErrUnused)
			}
		})
	}
}

func TestMaxConns(t *testing.T) {
	s := &scripted{}
	address := serve(t, "unix", ring.Options{MaxConns: 2}, s)
	first, second := dial(t, "unix", address), dial(t, "unix", address)
	roundTrip(t, first, "one")
	roundTrip(t, second, "two")
	third := dial(t, "unix", address)
	expectEOF(t, third)
	stats := s.stats(t)
	if stats.Refused != 1 || stats.OpenConns != 2 || stats.Accepted != 2 {
		t.Errorf("stats %+v, want two connections and one refused", stats)
	}
	first.Close()
	eventually(t, "a free place", func() bool { return s.stats(t).OpenConns == 1 })
	roundTrip(t, dial(t, "unix", address), "three")
}

func TestHandlerRefuses(t *testing.T) {
	s := &scripted{accepted: func(ring.ConnID, ring.ListenerID, ring.Peer) error { return errors.New("not you") }}
	closed := endings(s)
	nc := dial(t, "unix", serve(t, "unix", ring.Options{}, s))
	expectEOF(t, nc)
	stats := s.stats(t)
	if stats.Refused != 1 || stats.OpenConns != 0 || stats.Accepted != 0 || len(closed) != 0 {
		t.Errorf("stats %+v and %d calls of Closed, want one refused", stats, len(closed))
	}
}

// A failed accept does not end the acceptor.
func TestAcceptErrors(t *testing.T) {
	s := &scripted{loop: New(ring.Options{})}
	address := listen(t, s.loop, "unix")
	s.loop.listeners[0].nl = &failingListener{s.loop.listeners[0].nl, 3}
	run(t, s)
	roundTrip(t, dial(t, "unix", address), "after errors")
	if stats := s.stats(t); stats.AcceptErrors != 3 {
		t.Errorf("stats %+v, want 3 accept errors", stats)
	}
}

type failingListener struct {
	net.Listener
	failures int
}

func (f *failingListener) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, unix.EMFILE
	}
	return f.Listener.Accept()
}

// One big frame does not leave a big buffer behind.
func TestBuffersAreGivenBack(t *testing.T) {
	c := &conn{loop: New(ring.Options{})}
	c.in = newBuffer(8 << 20)
	c.in.Bytes = c.in.Bytes[:8<<20]
	c.start = len(c.in.Bytes) - 10
	copy(c.in.Bytes[c.start:], "0123456789")
	c.makeRoom()
	if got := string(c.in.Bytes[c.start:]); got != "0123456789" || cap(c.in.Bytes) > keepBuffer {
		t.Errorf("%q in a buffer of %d bytes; want the unused bytes in one of at most %d", got, cap(c.in.Bytes), keepBuffer)
	}
	for range 100 {
		putBuffer(newBuffer(8 << 20))
	}
	for range 200 {
		if b := getBuffer(); cap(b.Bytes) > keepBuffer || len(b.Bytes) != 0 {
			t.Fatalf("the pool gave a buffer of %d bytes, %d of them in use", cap(b.Bytes), len(b.Bytes))
		}
	}
}

// TestMaxConnsOfEachListener: who uses up one listener keeps nobody out of another.
func TestMaxConnsOfEachListener(t *testing.T) {
	s := &scripted{}
	s.loop = New(ring.Options{MaxConns: 1})
	crowded := listen(t, s.loop, "unix")
	other, err := s.loop.Listen(2, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	roundTrip(t, dial(t, "unix", crowded), "one")
	expectEOF(t, dial(t, "unix", crowded))
	roundTrip(t, dial(t, "tcp", other), "two")
}
