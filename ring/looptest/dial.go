package looptest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

func (x suite) testDial(t *testing.T) {
	type outcome struct {
		c   ring.ConnID
		err error
	}
	outcomes := make(chan outcome, socket.MaxDials+1)
	s := &Handler{OnConnected: func(token uint64, c ring.ConnID, err error) {
		if token != 7 {
			t.Errorf("token %d, want 7", token)
		}
		outcomes <- outcome{c, err}
	}}
	x.serve(t, "unix", ring.Options{}, s)
	for _, network := range Networks {
		t.Run(network, func(t *testing.T) {
			other := &Handler{}
			address := x.serve(t, network, ring.Options{}, other)
			answers := make(chan string, 1)
			s.Do(t, func() {
				s.OnReceived = func(_ ring.ConnID, data []byte) (int, error) {
					answers <- string(data)
					return len(data), nil
				}
				s.Loop.Dial(7, network, address, Patience)
			})
			got := Receive(t, outcomes, "Connected")
			if got.err != nil || got.c == 0 {
				t.Fatalf("connected as %d, %v", got.c, got.err)
			}
			s.Do(t, func() { out := s.Loop.Out(got.c); out.Bytes = append(out.Bytes, Frame([]byte("hello"))...) })
			if answer := Receive(t, answers, "the echo"); answer != string(Frame([]byte("hello"))) {
				t.Errorf("got %q", answer)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		path := t.TempDir() + "/none"
		s.Do(t, func() { s.Loop.Dial(7, "unix", path, 0) })
		if got := Receive(t, outcomes, "Connected"); got.c != 0 || !errors.Is(got.err, os.ErrNotExist) {
			t.Errorf("connected as %d, %v; want %v", got.c, got.err, os.ErrNotExist)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		address := silentTCP(t)
		s.Do(t, func() { s.Loop.Dial(7, "tcp", address, 20*time.Millisecond) })
		got := Receive(t, outcomes, "Connected")
		var timeout net.Error
		if got.c != 0 || !errors.As(got.err, &timeout) || !timeout.Timeout() {
			t.Errorf("connected as %d, %v; want a timeout", got.c, got.err)
		}
	})
	t.Run("unknown network", func(t *testing.T) {
		s.Do(t, func() { s.Loop.Dial(7, "udp", "127.0.0.1:1", 0) })
		if got := Receive(t, outcomes, "Connected"); got.c != 0 || !errors.Is(got.err, socket.ErrNetwork) {
			t.Errorf("connected as %d, %v; want %v", got.c, got.err, socket.ErrNetwork)
		}
	})
	t.Run("too many", func(t *testing.T) {
		path := t.TempDir() + "/none"
		// Within one turn none can be answered.
		s.Do(t, func() {
			for range socket.MaxDials + 1 {
				s.Loop.Dial(7, "unix", path, Patience)
			}
		})
		refused := 0
		for range socket.MaxDials + 1 {
			if got := Receive(t, outcomes, "Connected"); errors.Is(got.err, socket.ErrTooManyDials) {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d refused, want 1", refused)
		}
	})
}

// A dial that is under way when the loop ends is answered, without waiting for its
// timeout.
func (x suite) testStopAnswersDials(t *testing.T) {
	address := silentTCP(t)
	var got []error
	s := &Handler{OnConnected: func(_ uint64, c ring.ConnID, err error) {
		if c != 0 {
			t.Errorf("connected as %d", c)
		}
		got = append(got, err)
	}}
	s.Loop = x.make(ring.Options{})
	done := Start(t, s)
	s.Do(t, func() { s.Loop.Dial(1, "tcp", address, time.Hour) })
	s.Loop.Stop(Patience)
	Receive(t, done, "Run to return")
	if len(got) != 1 || got[0] == nil {
		t.Errorf("Connected with %v, want one error", got)
	}
}

// silentTCP is an address whose backlog is full: the kernel drops what asks to
// connect.
func silentTCP(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0))
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	Dial(t, "tcp", address) // The kernel takes one more than it was told to, and this is it.
	queue := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	Eventually(t, "a full backlog", func() bool {
		n, err := unix.Poll(queue, 0)
		return err == nil && n == 1
	})
	return address
}
