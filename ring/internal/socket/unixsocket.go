package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	probeTimeout = time.Second
	lockTimeout  = time.Second
	lockPoll     = 5 * time.Millisecond
)

// listenUnix binds a Unix socket. The file of a socket that nobody accepts on is
// removed first. The file goes when the listener is closed.
func listenUnix(path string) (net.Listener, error) {
	if strings.HasPrefix(path, "@") { // Linux's abstract names have no file.
		return net.Listen("unix", path)
	}
	// Of two processes that find the same dead file, the second would otherwise
	// remove the socket that the first has just bound.
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return ErrNotSocket
	}
	nc, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		nc.Close()
		return ErrAddressTaken
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, unix.EAGAIN): // Its backlog is full: somebody is there.
		return ErrAddressTaken
	}
	return fmt.Errorf("whether the socket is in use: %w", err)
}

// lockFolder takes the advisory lock on a folder, which leaves no file behind.
func lockFolder(path string) (unlock func(), err error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockPoll) {
		err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { folder.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			folder.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if time.Now().After(deadline) {
			folder.Close()
			return nil, fmt.Errorf("%s: %w", path, ErrPathLocked)
		}
	}
}
