package looptest

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"causalmesh/ring"
)

// source is a Handler that polls: work arrives in memory, as from another process.
type source struct {
	Handler
	work  atomic.Int64
	sleep atomic.Bool // the loop may be asleep: who adds work has to wake it
	spin  time.Duration

	done atomic.Int64

	sleeps int // the loop's
}

func (s *source) Ready() bool { return s.work.Load() > s.done.Load() }
func (s *source) Poll() {
	s.sleep.Store(false)
	s.done.Store(s.work.Load())
}
func (s *source) Spin() time.Duration { return s.spin }
func (s *source) Sleep() bool {
	s.sleep.Store(true)
	s.sleeps++
	return !s.Ready()
}

// serveSource runs a polling handler until the test ends.
func (x suite) serveSource(t *testing.T, s *source, opts ring.Options) (address string) {
	s.Loop = x.make(opts)
	address = Listen(t, s.Loop, "unix")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Loop.Run(s); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		s.Loop.Stop(0)
		Receive(t, done, "Run to return")
	})
	return address
}

// add adds work, and wakes the loop if it may be asleep, as a client would.
func (s *source) add() {
	s.work.Add(1)
	if s.sleep.Swap(false) {
		s.Loop.Wake()
	}
}

// finish waits until all work is done. It does not call the loop, which would wake it.
func (s *source) finish(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(Patience); s.Ready(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d done of %d: a wake-up is lost", s.done.Load(), s.work.Load())
		}
	}
}

// Work in memory is found, whether the loop sleeps or spins, and a loop that sleeps is
// asleep: it was told so, and takes no turns.
func (x suite) testPoller(t *testing.T) {
	for _, spin := range []time.Duration{0, 200 * time.Microsecond} {
		s := &source{spin: spin}
		address := x.serveSource(t, s, ring.Options{Tick: time.Hour})
		nc := Dial(t, "unix", address)
		for i := range 2000 {
			s.add()
			if i%100 == 0 {
				RoundTrip(t, nc, "served as well")
			}
		}
		s.finish(t)
		Eventually(t, "the loop to say that it sleeps", func() (sleeps bool) {
			s.Do(t, func() { sleeps = s.sleeps > 0 })
			return sleeps
		})
		Rests(t, &s.Handler)
	}
}

// A sleeping loop is woken for work that arrives while it falls asleep: Sleep's answer
// counts. Each piece of work comes when the loop has just done the one before.
func (x suite) testPollerFallsAsleep(t *testing.T) {
	s := &source{}
	x.serveSource(t, s, ring.Options{Tick: time.Hour})
	for range 3000 {
		s.add()
		s.finish(t)
	}
}

// Files go over a Unix socket with the bytes in front of all others.
func (x suite) testSendFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := &Handler{}
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		if err := s.Loop.SendFiles(c, []byte("here:"), []int{int(file.Fd()), int(file.Fd())}); err != nil {
			t.Error(err)
		}
		s.Loop.Out(c).Bytes = append(s.Loop.Out(c).Bytes, "behind"...)
		return len(data), nil
	}
	address := x.serve(t, "unix", ring.Options{}, s)
	nc := Dial(t, "unix", address).(*net.UnixConn)
	if _, err := nc.Write([]byte("files, please")); err != nil {
		t.Fatal(err)
	}
	b, oob := make([]byte, 5), make([]byte, 256)
	n, oobn, _, _, err := nc.ReadMsgUnix(b, oob)
	if err != nil || string(b[:n]) != "here:" {
		t.Fatalf("%q, %v", b[:n], err)
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		t.Fatalf("files %v, %v", fds, err)
	}
	for _, fd := range fds {
		got := os.NewFile(uintptr(fd), "received")
		content := make([]byte, 7)
		if _, err := got.ReadAt(content, 0); err != nil || string(content) != "content" {
			t.Errorf("%q, %v", content, err)
		}
		got.Close()
	}
	Expect(t, nc, []byte("behind"))
	s.Do(t, func() {
		if err := s.Loop.SendFiles(1<<40, []byte("x"), nil); err == nil {
			t.Error("files to nobody")
		}
	})
}

// Over TCP no files can be sent.
func (x suite) testSendFilesOverTCP(t *testing.T) {
	s := &Handler{}
	address := x.serve(t, "tcp", ring.Options{}, s)
	RoundTrip(t, Dial(t, "tcp", address), "hello")
	c := s.First(t)
	s.Do(t, func() {
		if err := s.Loop.SendFiles(c, []byte("x"), []int{0}); err == nil {
			t.Error("files went over TCP")
		}
	})
}
