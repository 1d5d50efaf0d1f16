//go:build linux

package uring

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mapMemory returns zeroed memory off the Go heap, at a page's start. Pages that are
// not touched cost nothing. A child process does not inherit it, so that what the kernel
// writes is never copied; it also tells these mappings from all others of the process.
func mapMemory(size int) ([]byte, error) {
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	if err := unix.Madvise(b, unix.MADV_DONTFORK); err != nil {
		unmapMemory(b)
		return nil, fmt.Errorf("madvise %d bytes: %w", size, err)
	}
	return b, nil
}

// unmapMemory gives back what mapMemory has returned.
func unmapMemory(b []byte) {
	if b == nil {
		return
	}
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("uring: unmap %d bytes: %v", len(b), err)) // Not one of ours.
	}
}
