package shm

import "errors"

var (
	// ErrRingBytes is what Create fails with for a size that no ring can have.
	ErrRingBytes = errors.New("shm: no ring has this size: choose a power of two from MinRingBytes to MaxRingBytes, of whole pages")
	// ErrNotSegment: what was given to Attach is not a segment of this program's.
	ErrNotSegment = errors.New("shm: not a segment of this layout: use the client library that belongs to the daemon")
	// ErrUnsealed: whoever has the file could truncate it, and whoever uses it would fault.
	ErrUnsealed = errors.New("shm: the segment's size is not sealed: attach only to what a daemon has created")
	// ErrUsed: somebody has attached to the segment and used it.
	ErrUsed = errors.New("shm: the segment is used by another client: ask the daemon for one more")
	// ErrTooLong: no ring of this size has so much room, ever. The ring is as it was.
	ErrTooLong = errors.New("shm: longer than the ring: make larger rings, or Write it piece by piece")
	// ErrCorrupt: the other side has published an index that cannot be. It stays.
	ErrCorrupt = errors.New("shm: the other side has broken the ring: close the segment and connect anew")
	// ErrClosed is what the ends of a closed segment fail with.
	ErrClosed = errors.New("shm: the segment is closed: connect anew")
	// ErrSystem: the system has refused a file or a mapping.
	ErrSystem = errors.New("shm: the system refuses the memory: raise the limits on open files, address space and memory (ulimit -n, -v, the control group's), or use a socket")
	// ErrUnavailable: there is no such memory on this system.
	ErrUnavailable = errors.New("shm: shared segments need Linux: use a socket")
)
