package looptest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

// A client that ends its sending still gets all answers.
func (x suite) testHalfClose(t *testing.T) {
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			s := &Handler{}
			closed := endings(s)
			nc := Dial(t, network, x.serve(t, network, ring.Options{}, s))
			messages := bytes.Repeat(Frame(make([]byte, 1000)), 2000)
			go func() {
				_, err := nc.Write(messages)
				err = errors.Join(err, nc.(interface{ CloseWrite() error }).CloseWrite())
				if err != nil {
					t.Error(err)
				}
			}()
			Expect(t, nc, messages)
			ExpectEOF(t, nc)
			if end := Receive(t, closed, "Closed"); end.err != nil {
				t.Errorf("ended with %v, want an orderly end", end.err)
			}
		})
	}
}

// What is in Out arrives before the connection ends, whether the handler calls
// Close or fails, and although the client goes on sending.
func (x suite) testCloseFlushes(t *testing.T) {
	failure := errors.New("not a frame")
	const size = 4 << 20 // More than the kernel's buffers.
	cases := []struct {
		name string
		end  func(l ring.Loop, c ring.ConnID) error
		want error
	}{
		{"close", func(l ring.Loop, c ring.ConnID) error { l.Close(c); return nil }, nil},
		{"error", func(ring.Loop, ring.ConnID) error { return failure }, failure},
	}
	for _, network := range Networks {
		for _, c := range cases {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				s := &Handler{}
				closed := endings(s)
				calls := 0
				s.OnReceived = func(id ring.ConnID, data []byte) (int, error) {
					calls++
					out := s.Loop.Out(id)
					out.Bytes = append(out.Bytes, make([]byte, size)...)
					err := c.end(s.Loop, id)
					if err == nil && s.Loop.Out(id) != nil {
						t.Error("Out after Close")
					}
					return len(data), err
				}
				nc := Dial(t, network, x.serve(t, network, ring.Options{}, s))
				// Unread bytes on the loop's side, so that a careless close resets.
				sent := make([]byte, 100_000)
				if _, err := nc.Write(sent); err != nil {
					t.Fatal(err)
				}
				Expect(t, nc, make([]byte, size))
				if _, err := nc.Write(sent); err != nil {
					t.Errorf("write before the end was read: %v", err)
				}
				ExpectEOF(t, nc)
				nc.Close()
				if end := Receive(t, closed, "Closed"); end.err != c.want {
					t.Errorf("ended with %v, want %v", end.err, c.want)
				}
				if calls != 1 {
					t.Errorf("Received %d times, want once", calls)
				}
			})
		}
	}
}

// The loop does not wait for ever for the other side to close.
func (x suite) testLingerEnds(t *testing.T) {
	const linger = 100 * time.Millisecond
	s := &Handler{}
	closed := endings(s)
	nc := Dial(t, "unix", x.serve(t, "unix", ring.Options{LingerTimeout: linger}, s))
	RoundTrip(t, nc, "x")
	first := s.First(t)
	var began time.Time
	s.Do(t, func() { began = time.Now() })
	// A later job is in a later turn, and the loop's time is that of the turn.
	s.Do(t, func() { s.Loop.Close(first) })
	ExpectEOF(t, nc)
	if end := Receive(t, closed, "Closed"); end.err != nil {
		t.Errorf("ended with %v", end.err)
	}
	if took := time.Since(began); took < linger {
		t.Errorf("ended after %v; the other side has %v", took, linger)
	}
}

// What follows from sending is done at once, not when something else happens: a
// connection is closed after its answer, and a paused one goes on.
func (x suite) testNothingWaitsForATick(t *testing.T) {
	rare := ring.Options{Tick: time.Hour, HighWater: 1000}
	soon := rare
	soon.LingerTimeout = time.Millisecond
	for _, network := range Networks {
		t.Run(network+"/close", func(t *testing.T) {
			s := &Handler{}
			closed := endings(s)
			s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
				used, err := s.Echo(c, data)
				s.Loop.Close(c)
				return used, err
			}
			nc := Dial(t, network, x.serve(t, network, rare, s))
			RoundTrip(t, nc, "the only one")
			ExpectEOF(t, nc)
			nc.Close()
			Receive(t, closed, "Closed")
		})
		t.Run(network+"/resume", func(t *testing.T) {
			nc := Dial(t, network, x.serve(t, network, rare, &Handler{}))
			messages := bytes.Repeat(Frame(make([]byte, 700)), 100)
			if _, err := nc.Write(messages); err != nil {
				t.Fatal(err)
			}
			Expect(t, nc, messages)
		})
		t.Run(network+"/linger", func(t *testing.T) {
			s := &Handler{}
			closed := endings(s)
			nc := Dial(t, network, x.serve(t, network, soon, s))
			RoundTrip(t, nc, "hello")
			first := s.First(t)
			s.Do(t, func() { s.Loop.Close(first) })
			ExpectEOF(t, nc)
			Receive(t, closed, "Closed, although the other side stays")
		})
	}
}

func (x suite) testCallsAboutUnknownConnections(t *testing.T) {
	s := &Handler{}
	x.serve(t, "unix", ring.Options{}, s)
	s.Do(t, func() {
		s.Loop.Close(99)
		if s.Loop.Out(99) != nil || s.Loop.Queued(99) != 0 {
			t.Error("an unknown connection has a buffer")
		}
	})
}

func (x suite) testStopFlushesWithinGrace(t *testing.T) {
	const size = 8 << 20
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			check := LeakCheck(t)
			s := &Handler{}
			closed := endings(s)
			asked := make(chan struct{})
			s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
				out := s.Loop.Out(c)
				out.Bytes = append(out.Bytes, make([]byte, size)...)
				close(asked)
				return len(data), nil
			}
			s.Loop = x.make(ring.Options{Tick: time.Hour})
			address := Listen(t, s.Loop, network)
			done := Start(t, s)
			nc := Dial(t, network, address)
			silent := Dial(t, network, address)
			Eventually(t, "both connections", func() bool { return s.Stats(t).OpenConns == 2 })
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			Receive(t, asked, "the request")
			s.Loop.Stop(Patience)
			if _, err := net.Dial(network, address); err == nil {
				t.Error("a connection after Stop")
			}
			ExpectEOF(t, silent)
			select {
			case <-done:
				t.Error("Run has returned before its bytes were sent")
			default:
			}
			Expect(t, nc, make([]byte, size))
			ExpectEOF(t, nc)
			Receive(t, done, "Run to return")
			for range 2 {
				if end := Receive(t, closed, "Closed"); !errors.Is(end.err, ring.ErrLoopEnded) {
					t.Errorf("ended with %v, want %v", end.err, ring.ErrLoopEnded)
				}
			}
			if network == "unix" {
				if _, err := os.Lstat(address); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the socket's file: %v", err)
				}
			}
			nc.Close()
			silent.Close()
			check()
		})
	}
}

// The grace period bounds Stop, and a second Stop shortens it.
func (x suite) testStopDoesNotWaitForStalled(t *testing.T) {
	cases := []struct {
		name   string
		graces []time.Duration
		least  time.Duration
	}{
		{"none", []time.Duration{0}, 0},
		{"short", []time.Duration{100 * time.Millisecond}, 100 * time.Millisecond},
		{"shortened", []time.Duration{time.Hour, 50 * time.Millisecond}, 50 * time.Millisecond},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &Handler{}
			asked := make(chan struct{})
			s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
				out := s.Loop.Out(c)
				out.Bytes = append(out.Bytes, make([]byte, 8<<20)...)
				close(asked)
				return len(data), nil
			}
			s.Loop = x.make(ring.Options{Tick: time.Hour})
			address := Listen(t, s.Loop, "unix")
			done := Start(t, s)
			nc := Dial(t, "unix", address)
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			Receive(t, asked, "the request")
			began := time.Now()
			for i, grace := range c.graces {
				if i > 0 { // While the grace period lasts there is nothing to do.
					Rests(t, s)
				}
				s.Loop.Stop(grace)
			}
			Receive(t, done, "Run to return")
			if took := time.Since(began); took < c.least {
				t.Errorf("ended after %v, want at least %v", took, c.least)
			}
			if n, err := io.Copy(io.Discard, nc); n >= 8<<20 {
				t.Errorf("all bytes arrived (%v): the test shows nothing", err)
			}
		})
	}
}

func (x suite) testStopBeforeRun(t *testing.T) {
	s := &Handler{Loop: x.make(ring.Options{})}
	address := Listen(t, s.Loop, "unix")
	s.Loop.Stop(time.Hour)
	if _, err := os.Lstat(address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's file: %v", err)
	}
	Receive(t, Start(t, s), "Run to return")
	if err := s.Loop.Run(s); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("second Run: %v, want %v", err, socket.ErrRunning)
	}
	if _, err := s.Loop.Listen(2, "tcp", "127.0.0.1:0"); !errors.Is(err, ring.ErrLoopEnded) {
		t.Errorf("Listen after Stop: %v, want %v", err, ring.ErrLoopEnded)
	}
}
