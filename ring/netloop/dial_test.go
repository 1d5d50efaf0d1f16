package netloop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

func TestDial(t *testing.T) {
	type outcome struct {
		c   ring.ConnID
		err error
	}
	outcomes := make(chan outcome, maxDials+1)
	s := &scripted{connected: func(token uint64, c ring.ConnID, err error) {
		if token != 7 {
			t.Errorf("token %d, want 7", token)
		}
		outcomes <- outcome{c, err}
	}}
	serve(t, "unix", ring.Options{}, s)
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			other := &scripted{}
			address := serve(t, network, ring.Options{}, other)
			answers := make(chan string, 1)
			s.do(t, func() {
				s.received = func(_ ring.ConnID, data []byte) (int, error) {
					answers <- string(data)
					return len(data), nil
				}
				s.loop.Dial(7, network, address, patience)
			})
			got := receive(t, outcomes, "Connected")
			if got.err != nil || got.c == 0 {
				t.Fatalf("connected as %d, %v", got.c, got.err)
			}
			s.do(t, func() { out := s.loop.Out(got.c); out.Bytes = append(out.Bytes, frame([]byte("hello"))...) })
			if answer := receive(t, answers, "the echo"); answer != string(frame([]byte("hello"))) {
				t.Errorf("got %q", answer)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		s.do(t, func() { s.loop.Dial(7, "unix", t.TempDir()+"/none", 0) })
		if got := receive(t, outcomes, "Connected"); got.c != 0 || !errors.Is(got.err, os.ErrNotExist) {
			t.Errorf("connected as %d, %v; want %v", got.c, got.err, os.ErrNotExist)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		address := silentTCP(t)
		s.do(t, func() { s.loop.Dial(7, "tcp", address, 20*time.Millisecond) })
		got := receive(t, outcomes, "Connected")
		var timeout net.Error
		if got.c != 0 || !errors.As(got.err, &timeout) || !timeout.Timeout() {
			t.Errorf("connected as %d, %v; want a timeout", got.c, got.err)
		}
	})
	t.Run("unknown network", func(t *testing.T) {
		s.do(t, func() { s.loop.Dial(7, "udp", "127.0.0.1:1", 0) })
		if got := receive(t, outcomes, "Connected"); got.c != 0 || !errors.Is(got.err, ErrNetwork) {
			t.Errorf("connected as %d, %v; want %v", got.c, got.err, ErrNetwork)
		}
	})
	t.Run("too many", func(t *testing.T) {
		// Within one turn none can be answered.
		s.do(t, func() {
			for range maxDials + 1 {
				s.loop.Dial(7, "unix", t.TempDir()+"/none", 0)
			}
		})
		refused := 0
		for range maxDials + 1 {
			if got := receive(t, outcomes, "Connected"); errors.Is(got.err, ErrTooManyDials) {
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
func TestStopAnswersDials(t *testing.T) {
	address := silentTCP(t)
	var got []error
	s := &scripted{connected: func(_ uint64, c ring.ConnID, err error) {
		if c != 0 {
			t.Errorf("connected as %d", c)
		}
		got = append(got, err)
	}}
	s.loop = New(ring.Options{})
	done := run(t, s)
	s.do(t, func() { s.loop.Dial(1, "tcp", address, time.Hour) })
	s.loop.Stop(patience)
	receive(t, done, "Run to return")
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
	for range 3 { // The kernel takes one more than it was told to.
		if nc, err := net.DialTimeout("tcp", address, 50*time.Millisecond); err == nil {
			t.Cleanup(func() { nc.Close() })
		}
	}
	return address
}
