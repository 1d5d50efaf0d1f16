package netloop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"causalmesh/ring"
)

// A client that ends its sending still gets all answers.
func TestHalfClose(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			s := &scripted{}
			closed := endings(s)
			nc := dial(t, network, serve(t, network, ring.Options{}, s))
			messages := bytes.Repeat(frame(make([]byte, 1000)), 2000)
			go func() {
				_, err := nc.Write(messages)
				err = errors.Join(err, nc.(interface{ CloseWrite() error }).CloseWrite())
				if err != nil {
					t.Error(err)
				}
			}()
			expect(t, nc, messages)
			expectEOF(t, nc)
			if end := receive(t, closed, "Closed"); end.err != nil {
				t.Errorf("ended with %v, want an orderly end", end.err)
			}
		})
	}
}

// What is in Out arrives before the connection ends, whether the handler calls
// Close or fails, and although the client goes on sending.
func TestCloseFlushes(t *testing.T) {
	failure := errors.New("not a frame")
	const size = 4 << 20 // More than the kernel's buffers.
	cases := []struct {
		name string
		end  func(l *Loop, c ring.ConnID) error
		want error
	}{
		{"close", func(l *Loop, c ring.ConnID) error { l.Close(c); return nil }, nil},
		{"error", func(*Loop, ring.ConnID) error { return failure }, failure},
	}
	for _, network := range networks {
		for _, c := range cases {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				s := &scripted{}
				closed := endings(s)
				calls := 0
				s.received = func(id ring.ConnID, data []byte) (int, error) {
					calls++
					out := s.loop.Out(id)
					out.Bytes = append(out.Bytes, make([]byte, size)...)
					err := c.end(s.loop, id)
					if err == nil && s.loop.Out(id) != nil {
						t.Error("Out after Close")
					}
					return len(data), err
				}
				nc := dial(t, network, serve(t, network, ring.Options{}, s))
				// Unread bytes on the loop's side, so that a careless close resets.
				sent := make([]byte, 100_000)
				if _, err := nc.Write(sent); err != nil {
					t.Fatal(err)
				}
				expect(t, nc, make([]byte, size))
				if _, err := nc.Write(sent); err != nil {
					t.Errorf("write before the end was read: %v", err)
				}
				expectEOF(t, nc)
				nc.Close()
				if end := receive(t, closed, "Closed"); end.err != c.want {
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
func TestLingerEnds(t *testing.T) {
	s := &scripted{}
	closed := endings(s)
	nc := dial(t, "unix", serve(t, "unix", ring.Options{}, s))
	roundTrip(t, nc, "x")
	began := time.Now()
	s.do(t, func() { s.loop.Close(1) })
	expectEOF(t, nc)
	if end := receive(t, closed, "Closed"); end.err != nil {
		t.Errorf("ended with %v", end.err)
	}
	if took := time.Since(began); took < lingerTimeout/2 {
		t.Errorf("ended after %v; the other side has %v", took, lingerTimeout)
	}
}

func TestCallsAboutUnknownConnections(t *testing.T) {
	s := &scripted{}
	serve(t, "unix", ring.Options{}, s)
	s.do(t, func() {
		s.loop.Close(99)
		if s.loop.Out(99) != nil || s.loop.Queued(99) != 0 {
			t.Error("an unknown connection has a buffer")
		}
	})
}

func TestStopFlushesWithinGrace(t *testing.T) {
	const size = 8 << 20
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			check := leakCheck(t)
			s := &scripted{}
			closed := endings(s)
			asked := make(chan struct{})
			s.received = func(c ring.ConnID, data []byte) (int, error) {
				out := s.loop.Out(c)
				out.Bytes = append(out.Bytes, make([]byte, size)...)
				close(asked)
				return len(data), nil
			}
			s.loop = New(ring.Options{Tick: time.Hour})
			address := listen(t, s.loop, network)
			done := run(t, s)
			nc := dial(t, network, address)
			silent := dial(t, network, address)
			eventually(t, "both connections", func() bool { return s.stats(t).OpenConns == 2 })
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			receive(t, asked, "the request")
			s.loop.Stop(patience)
			if _, err := net.Dial(network, address); err == nil {
				t.Error("a connection after Stop")
			}
			expectEOF(t, silent)
			select {
			case <-done:
				t.Error("Run has returned before its bytes were sent")
			default:
			}
			expect(t, nc, make([]byte, size))
			expectEOF(t, nc)
			receive(t, done, "Run to return")
			for range 2 {
				if end := receive(t, closed, "Closed"); !errors.Is(end.err, ring.ErrLoopEnded) {
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
func TestStopDoesNotWaitForStalled(t *testing.T) {
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
			s := &scripted{}
			asked := make(chan struct{})
			s.received = func(c ring.ConnID, data []byte) (int, error) {
				out := s.loop.Out(c)
				out.Bytes = append(out.Bytes, make([]byte, 8<<20)...)
				close(asked)
				return len(data), nil
			}
			s.loop = New(ring.Options{Tick: time.Hour, StallTimeout: time.Hour})
			address := listen(t, s.loop, "unix")
			done := run(t, s)
			nc := dial(t, "unix", address)
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			receive(t, asked, "the request")
			began := time.Now()
			for _, grace := range c.graces {
				s.loop.Stop(grace)
			}
			receive(t, done, "Run to return")
			if took := time.Since(began); took < c.least {
				t.Errorf("ended after %v, want at least %v", took, c.least)
			}
			if n, err := io.Copy(io.Discard, nc); n >= 8<<20 {
				t.Errorf("all bytes arrived (%v): the test shows nothing", err)
			}
		})
	}
}

func TestStopBeforeRun(t *testing.T) {
	s := &scripted{loop: New(ring.Options{})}
	address := listen(t, s.loop, "unix")
	s.loop.Stop(time.Hour)
	if _, err := os.Lstat(address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's file: %v", err)
	}
	receive(t, run(t, s), "Run to return")
	if err := s.loop.Run(s); !errors.Is(err, ErrRunning) {
		t.Errorf("second Run: %v, want %v", err, ErrRunning)
	}
	if _, err := s.loop.Listen(2, "tcp", "127.0.0.1:0"); !errors.Is(err, ring.ErrLoopEnded) {
		t.Errorf("Listen after Stop: %v, want %v", err, ring.ErrLoopEnded)
	}
}
