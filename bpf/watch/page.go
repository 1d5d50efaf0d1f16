package watch

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	fileName = "causalmesh-watch"
	// linkName is what /proc shows of the file.
	linkName = "/memfd:" + fileName + " (deleted)"
	// seals keep the size as it is, and the seals too.
	seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
)

// memfd makes a file in memory that nobody can execute, which kernels before 6.3 do not know.
func memfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return -1, fmt.Errorf("watch: create a file in memory: %w", err)
	}
	return fd, nil
}

func create() (fd int, page []byte, err error) {
	if fd, err = memfd(fileName); err != nil {
		return -1, nil, err
	}
	if err = unix.Ftruncate(fd, int64(pageBytes())); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err == nil {
		page, err = unix.Mmap(fd, 0, pageBytes(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, fmt.Errorf("watch: a page of memory: %w", err)
	}
	return fd, page, nil
}

func (w *Watch) discard() error { return errors.Join(unix.Munmap(w.page), unix.Close(w.fd)) }
