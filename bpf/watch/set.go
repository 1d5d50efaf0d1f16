package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is the pause between two looks at how many loops follow.
const lookEvery = 2 * time.Millisecond

// Set has a daemon time requests, or not any more. It returns when all of its loops do; it
// does not wait until all have ended. It is ErrNone, among others, for a process that has
// ended, and for one that is not this life of a daemon.
func Set(ctx context.Context, pid int, boot uint64, on bool) error {
	fd, err := open(ctx, pid, boot)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	value := uint64(0)
	if on {
		value = 1
	}
	if _, err := unix.Pwrite(fd, binary.NativeEndian.AppendUint64(nil, value), offOn); err != nil {
		return fmt.Errorf("watch: set the word of process %d: %w", pid, err)
	}
	if on {
		return await(ctx, fd)
	}
	return nil
}

// await waits until all loops follow.
func await(ctx context.Context, fd int) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		loops, err1 := read(fd, offLoops)
		following, err2 := read(fd, offFollowing)
		if err := errors.Join(err1, err2); err != nil || loops == following {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%d of %d): %w", ErrLoops, following, loops, ctx.Err())
		case <-tick.C:
		}
	}
}

func read(fd int, off int64) (uint64, error) {
	var b [8]byte
	if n, err := unix.Pread(fd, b[:], off); n < len(b) || err != nil {
		return 0, fmt.Errorf("watch: read a page: %d bytes: %w", n, err)
	}
	return binary.NativeEndian.Uint64(b[:]), nil
}

// open finds the page of a life of a daemon.
func open(ctx context.Context, pid int, boot uint64) (int, error) {
	device, err := memoryDevice()
	if err != nil {
		return -1, err
	}
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	files, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return -1, fmt.Errorf("watch: %w", err)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return -1, err
		}
		path := filepath.Join(folder, f.Name())
		if name, err := os.Readlink(path); err != nil || name != linkName {
			continue
		}
		if fd, ok := openPage(path, device, boot); ok {
			return fd, nil
		}
	}
	return -1, fmt.Errorf("%w: process %d", ErrNone, pid)
}

// device is where files live.
type device struct{ major, minor uint32 }

// memoryDevice is where all files in memory live, and no others: there is one, within the
// kernel, that nobody can mount.
func memoryDevice() (device, error) {
	fd, err := memfd(fileName + "-device")
	if err != nil {
		return device{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	s, err := stat(fd)
	return device{s.Dev_major, s.Dev_minor}, err
}

// stat asks the kernel, and no file system's server, which could take its time.
func stat(fd int) (s unix.Statx_t, err error) {
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_SIZE, &s)
	return s, err
}

// openPage opens a file if it is a page of the right life. The name says nothing: the process
// may show it with a pipe, a device, or a file of a file system of its own. What it is, is
// found out before it is opened.
func openPage(path string, in device, boot uint64) (fd int, ok bool) {
	file, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false
	}
	defer func() { _ = unix.Close(file) }()
	s, err := stat(file)
	if err != nil || s.Mode&unix.S_IFMT != unix.S_IFREG || (device{s.Dev_major, s.Dev_minor}) != in || s.Size != uint64(pageBytes()) {
		return -1, false
	}
	fd, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", file), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, false
	}
	if has, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err == nil && has&seals == seals && isPage(fd, boot) {
		return fd, true
	}
	_ = unix.Close(fd)
	return -1, false
}

func isPage(fd int, boot uint64) bool {
	var b [headBytes]byte
	if n, err := unix.Pread(fd, b[:], 0); n < len(b) || err != nil {
		return false
	}
	word := func(off int) uint64 { return binary.NativeEndian.Uint64(b[off:]) }
	return word(offMagic) == magic && word(offVersion) == version && word(offBoot) == boot
}
