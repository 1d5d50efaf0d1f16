package table

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// memoryName is what the memory is called in /proc/PID/maps.
const memoryName = "causalmesh-table"

// mapRegion reserves address space over a file in memory that others can map too.
// Memory is taken page by page, when touched.
func mapRegion(bytes uint64) (region, error) {
	fd, err := createMemory(bytes)
	if err != nil {
		return region{}, err
	}
	const flags = unix.MAP_SHARED | unix.MAP_NORESERVE
	b, err := unix.Mmap(fd, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		_ = unix.Close(fd) // the error is the one above
		return region{}, fmt.Errorf("%w: %d bytes: %w", ErrAddressSpace, bytes, err)
	}
	// A core dump has no use for it, and without this it is all the same to us.
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	r := regionOf(b)
	r.mapped, r.file = b, fd
	return r, nil
}

// createMemory returns a file in memory, of a size that nobody can change, which only
// this user may open.
func createMemory(bytes uint64) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(memoryName, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(memoryName, flags)
	}
	if err != nil {
		return -1, fmt.Errorf("table: make memory that can be shared: %w", err)
	}
	if err := sealMemory(fd, bytes); err != nil {
		_ = unix.Close(fd) // the error is the one above
		return -1, err
	}
	return fd, nil
}

// sealMemory sets mode, size and seals. F_SEAL_FUTURE_WRITE is not among them: it
// would forbid release too.
func sealMemory(fd int, bytes uint64) error {
	if err := unix.Fchmod(fd, 0o400); err != nil {
		return fmt.Errorf("table: keep other users from the memory: %w", err)
	}
	if err := unix.Ftruncate(fd, int64(bytes)); err != nil {
		return fmt.Errorf("%w: a file of %d bytes: %w", ErrAddressSpace, bytes, err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("table: seal the size of the memory: %w", err)
	}
	return nil
}

// share returns a new descriptor of the region's memory, to read only. To open it anew
// is the one way: a copy of the descriptor could be written through.
func (r *region) share() (int, error) {
	if r.mapped == nil {
		return -1, fmt.Errorf("%w: it is on the Go heap, or closed: make it with New", ErrNotShared)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", r.file), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return -1, fmt.Errorf("%w: mount /proc: it is opened there: %w", ErrNotShared, err)
	case errors.Is(err, unix.EACCES):
		return -1, fmt.Errorf("%w: share as the user who made the table: %w", ErrNotShared, err)
	case err != nil:
		return -1, fmt.Errorf("%w: %w", ErrNotShared, err)
	}
	return fd, nil
}

// mapShared maps what another process shares, to read only.
func mapShared(fd int) ([]byte, error) {
	bytes, err := sealedBytes(fd)
	if err != nil {
		return nil, err
	}
	b, err := unix.Mmap(fd, 0, int(bytes), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes: %w", ErrAddressSpace, bytes, err)
	}
	_ = unix.Madvise(b, unix.MADV_DONTDUMP) // as in mapRegion
	return b, nil
}

// sealedBytes is the size of a file in memory, if that size is for good: whoever reads
// beyond the end of a file is killed.
func sealedBytes(fd int) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return 0, fmt.Errorf("table: attach to descriptor %d: %w", fd, err)
	}
	// Of huge pages there may be none left when one is touched.
	if fs.Type != unix.TMPFS_MAGIC {
		return 0, fmt.Errorf("%w: file system %#x", ErrNotSealed, fs.Type)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotSealed, err)
	}
	if seals&unix.F_SEAL_SHRINK == 0 {
		return 0, fmt.Errorf("%w: seals %#x", ErrNotSealed, seals)
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return 0, fmt.Errorf("table: attach to descriptor %d: %w", fd, err)
	}
	if s.Size < headerBytes || s.Size%osPage != 0 {
		return 0, fmt.Errorf("%w: %d bytes", ErrLayout, s.Size)
	}
	return uint64(s.Size), nil
}

// release gives memory back to the system; the addresses stay. What is read there
// is zero from now on, for everybody who maps it. Memory of the Go heap is kept.
func (r *region) release(off, n uint64) {
	if r.mapped == nil {
		return
	}
	const flags = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	err := unix.Fallocate(r.file, flags, int64(off), int64(n))
	for errors.Is(err, unix.EINTR) {
		err = unix.Fallocate(r.file, flags, int64(off), int64(n))
	}
	if err != nil {
		panic(fmt.Sprintf("table: give back %d bytes: %v", n, err)) // not a range of ours
	}
}

// close ends the mapping. The memory is there until others have ended theirs.
func (r *region) close() error {
	b, fd := r.mapped, r.file
	*r = region{}
	if b == nil {
		return nil
	}
	return errors.Join(unix.Munmap(b), unix.Close(fd))
}

func unmap(b []byte) error { return unix.Munmap(b) }

// machineBytes is the memory of the machine.
func machineBytes() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("ask for the size of the machine's memory: %w", err)
	}
	return uint64(info.Totalram) * uint64(info.Unit), nil
}
