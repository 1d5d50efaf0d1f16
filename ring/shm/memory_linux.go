package shm

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fileName is what /proc shows, as /memfd:causalmesh.
const fileName = "causalmesh"

// seals keep the size as it is, and the seals too. Without them either side could
// truncate the file, and the other would fault at its next look.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// createFile makes a file in memory whose size is sealed.
func createFile(bytes int) (int, error) {
	fd, err := memfd()
	if err != nil {
		return -1, fmt.Errorf("%w: create a file in memory: %w", ErrSystem, err)
	}
	if err = unix.Ftruncate(fd, int64(bytes)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		unix.Close(fd) // it has nothing to say about an empty file
		return -1, fmt.Errorf("%w: a file of %d bytes: %w", ErrSystem, bytes, err)
	}
	return fd, nil
}

// memfd makes a file that nobody can execute, which kernels before 6.3 do not know.
func memfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(fileName, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(fileName, flags)
	}
	return fd, err
}

// checkFile says what size of rings a file has that somebody else has made. First the
// seals, so that the size is still the same afterwards.
func checkFile(fd int) (ringBytes int, err error) {
	has, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err == unix.EINVAL {
		return 0, fmt.Errorf("%w: not a file in memory", ErrNotSegment)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: ask for the seals: %w", ErrSystem, err)
	}
	if has&seals != seals {
		return 0, fmt.Errorf("%w: seals %#x, not %#x", ErrUnsealed, has, seals)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return 0, fmt.Errorf("%w: ask for the size: %w", ErrSystem, err)
	}
	if stat.Size > int64(fileBytes(MaxRingBytes)) {
		return 0, fmt.Errorf("%w: a file of %d bytes", ErrNotSegment, stat.Size)
	}
	ringBytes = (int(stat.Size) - headerBytes()) / 2
	if checkRingBytes(ringBytes) != nil || fileBytes(ringBytes) != int(stat.Size) {
		return 0, fmt.Errorf("%w: a file of %d bytes", ErrNotSegment, stat.Size)
	}
	return ringBytes, nil
}

func closeFile(fd int) error { return unix.Close(fd) }

// mapFile maps the header once and each ring twice, into one reservation: all goes with
// one call, whether it was mapped as a whole or not.
func mapFile(fd, ringBytes int) (memory, error) {
	header := headerBytes()
	total := header + 4*ringBytes
	const reserve = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	b, err := unix.Mmap(-1, 0, total, unix.PROT_NONE, reserve)
	if err != nil {
		return memory{}, fmt.Errorf("%w: reserve %d bytes of addresses: %w", ErrSystem, total, err)
	}
	m := memory{
		header:   unsafe.Pointer(&b[0]),
		requests: b[header : header+2*ringBytes : header+2*ringBytes],
		replies:  b[header+2*ringBytes:],
		mapped:   b,
	}
	for _, part := range []struct {
		at     []byte
		offset int
	}{
		{b[:header], 0},
		{m.requests[:ringBytes], header},
		{m.requests[ringBytes:], header},
		{m.replies[:ringBytes], header + ringBytes},
		{m.replies[ringBytes:], header + ringBytes},
	} {
		_, err := unix.MmapPtr(fd, int64(part.offset), unsafe.Pointer(&part.at[0]), uintptr(len(part.at)),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			err = fmt.Errorf("%w: map %d bytes: %w", ErrSystem, len(part.at), err)
			_ = m.unmap() // the reservation is ours
			return memory{}, err
		}
	}
	// A core dump has no use for it, and without this it is all the same to us.
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	return m, nil
}

// monotonic is the system's monotonic clock, by a system call.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("shm: no monotonic clock: %v", err)) // Every Linux has one.
	}
	return t.Nano()
}

// unmap ends all mappings of the segment.
func (m *memory) unmap() error {
	b := m.mapped
	*m = memory{}
	if b == nil {
		return nil
	}
	return unix.Munmap(b)
}
