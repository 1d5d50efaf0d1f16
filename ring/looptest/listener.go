package looptest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

func (x suite) testListenUnix(t *testing.T) {
	cases := []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    error
	}{
		{"no file", func(*testing.T, string) {}, nil},
		{"dead socket", func(t *testing.T, path string) {
			bindUnix(t, path).Close()
		}, nil},
		{"live socket", func(t *testing.T, path string) {
			nl := bindUnix(t, path)
			t.Cleanup(func() { nl.Close() })
		}, socket.ErrAddressTaken},
		{"live socket with a full backlog", func(t *testing.T, path string) {
			fillBacklog(t, path)
		}, socket.ErrAddressTaken},
		{"other file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, socket.ErrNotSocket},
		{"no folder", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, os.ErrNotExist},
		{"locked folder", func(t *testing.T, path string) {
			folder, err := os.Open(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { folder.Close() })
			if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		}, socket.ErrPathLocked},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "d", "s")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			c.prepare(t, path)
			before, _ := os.Lstat(path)
			s := &Handler{Loop: x.make(ring.Options{})}
			_, err := s.Loop.Listen(1, "unix", path)
			if !errors.Is(err, c.want) {
				t.Fatalf("Listen: %v, want %v", err, c.want)
			}
			Start(t, s)
			if err == nil {
				RoundTrip(t, Dial(t, "unix", path), "hello")
			} else if after, _ := os.Lstat(path); before != nil && !os.SameFile(before, after) {
				t.Error("the file was replaced")
			}
		})
	}
}

// bindUnix makes a listener that leaves its file behind.
func bindUnix(t *testing.T, path string) net.Listener {
	t.Helper()
	nl, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	nl.(*net.UnixListener).SetUnlinkOnClose(false)
	return nl
}

func fillBacklog(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		nc, err := net.Dial("unix", path)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
	}
	t.Fatal("the backlog does not fill")
}

func (x suite) testListenErrors(t *testing.T) {
	l := x.make(ring.Options{})
	t.Cleanup(func() { l.Stop(0) })
	if _, err := l.Listen(1, "udp", "127.0.0.1:0"); !errors.Is(err, socket.ErrNetwork) {
		t.Errorf("Listen on udp: %v, want %v", err, socket.ErrNetwork)
	}
	if _, err := l.Listen(1, "tcp", "127.0.0.1:0"); err != nil {
		t.Error(err)
	}
	if _, err := l.Listen(1, "tcp", "127.0.0.1:0"); !errors.Is(err, socket.ErrListenerID) {
		t.Errorf("Listen under the same id: %v, want %v", err, socket.ErrListenerID)
	}
}
