package socket

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// SendFiles sends b and open files over the Unix socket fd, without waiting. Kernels send
// files with the first byte, so either both are taken or neither; but b must be taken
// whole, too.
func SendFiles(fd int, b []byte, files []int) error {
	// Other sockets take the bytes and drop the files without a word.
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_UNIX {
		return ErrNotUnix
	}
	for {
		n, err := unix.SendmsgN(fd, b, unix.UnixRights(files...), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("send %d files: %w", len(files), err)
		case n < len(b):
			return fmt.Errorf("send %d files: %w", len(files), io.ErrShortWrite)
		}
		return nil
	}
}
