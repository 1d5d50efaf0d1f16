package table

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapRegion reserves address space. Memory is taken page by page, when touched.
func mapRegion(bytes uint64) (region, error) {
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	b, err := unix.Mmap(-1, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return region{}, fmt.Errorf("%w: %d bytes: %w", ErrAddressSpace, bytes, err)
	}
	// A core dump has no use for it, and without this it is all the same to us.
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	return region{base: unsafe.Pointer(&b[0]), bytes: bytes, mapped: b}, nil
}

// release gives memory back to the system; the addresses stay. What is read there
// is zero from now on. Memory of the Go heap is kept.
func (r *region) release(off, n uint64) {
	if r.mapped == nil {
		return
	}
	if err := unix.Madvise(r.mapped[off:off+n], unix.MADV_DONTNEED); err != nil {
		panic(fmt.Sprintf("table: give back %d bytes: %v", n, err)) // not a range of ours
	}
}

// unmap ends the mapping.
func (r *region) unmap() error {
	b := r.mapped
	r.mapped, r.base = nil, nil
	if b == nil {
		return nil
	}
	return unix.Munmap(b)
}

// machineBytes is the memory of the machine.
func machineBytes() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("ask for the size of the machine's memory: %w", err)
	}
	return uint64(info.Totalram) * uint64(info.Unit), nil
}
