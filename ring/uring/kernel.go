//go:build linux

package uring

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

const (
	// submissions is how many operations fit into one turn's io_uring_enter; what
	// does not fit goes with the next one. The kernel has room for twice as many
	// completions.
	submissions = 2048
	// ringFlags: one thread submits, and completions are made when it asks for them,
	// instead of interrupting it (kernel 6.1).
	// With SetupTaskrunFlag a word in memory says that there is something to ask for.
	ringFlags = giouring.SetupSingleIssuer | giouring.SetupDeferTaskrun | giouring.SetupTaskrunFlag | giouring.SetupSubmitAll
)

// kernel is the io_uring of a loop. It belongs to the thread that has made it.
type kernel struct {
	ring     *giouring.Ring
	mappings [2]mapping
	flags    *uint32 // the kernel's
	// timeout is off the heap because giouring passes its address as an integer,
	// which a stack that moves would not be told of.
	timeout *syscall.Timespec
	page    []byte
	enters  uint64
}

// mapping is memory that giouring has mapped.
type mapping struct {
	at   unsafe.Pointer
	size uintptr
}

func newKernel(entries uint32) (*kernel, error) {
	k := &kernel{ring: giouring.NewRing()}
	if err := k.ring.QueueInit(entries, ringFlags); err != nil {
		return nil, fmt.Errorf("io_uring_setup: %w", err)
	}
	k.mappings, k.flags = mappingsOf(k.ring, entries), flagsOf(k.ring)
	page, err := mapMemory(int(unsafe.Sizeof(syscall.Timespec{})))
	if err != nil {
		k.close()
		return nil, err
	}
	k.page, k.timeout = page, (*syscall.Timespec)(unsafe.Pointer(&page[0]))
	return k, nil
}

// mappingsOf finds the two mappings of a ring, which giouring keeps to itself. A
// kernel that knows ringFlags maps both queues at once.
func mappingsOf(r *giouring.Ring, entries uint32) [2]mapping {
	queue := reflect.ValueOf(r).Elem().FieldByName("sqRing").Elem()
	return [2]mapping{
		{queue.FieldByName("ringPtr").UnsafePointer(), uintptr(queue.FieldByName("ringSize").Uint())},
		{queue.FieldByName("sqes").UnsafePointer(), uintptr(entries) * unsafe.Sizeof(giouring.SubmissionQueueEntry{})},
	}
}

// flagsOf finds the word in which the kernel says what it has.
func flagsOf(r *giouring.Ring) *uint32 {
	return (*uint32)(reflect.ValueOf(r).Elem().FieldByName("sqRing").Elem().FieldByName("flags").UnsafePointer())
}

// close ends the ring. Ring.QueueExit would leave both mappings behind: it unmaps
// through x/sys/unix, which refuses what was not mapped through it.
func (k *kernel) close() {
	unix.Close(k.ring.RingFd())
	for _, m := range k.mappings {
		if err := unix.MunmapPtr(m.at, m.size); err != nil {
			panic(fmt.Sprintf("uring: unmap a queue of %d bytes: %v", m.size, err))
		}
	}
	unmapMemory(k.page)
}

// noWait is for enter.
const noWait time.Duration = -1

// enter submits what is prepared and, unless wait is noWait, waits so long for a
// completion. This is the one io_uring_enter of a turn. It is left out if it would do
// nothing but fetch more completions while idle is false: there are some to handle.
func (k *kernel) enter(wait time.Duration, idle bool) error {
	waiting := k.ring.CQReady() > 0
	var err error
	switch {
	case (waiting || !idle) && k.ring.SQReady() == 0:
		return nil
	case waiting || wait < 0:
		_, err = k.ring.SubmitAndGetEvents()
	default:
		*k.timeout = syscall.NsecToTimespec(int64(min(wait, math.MaxInt64/2)))
		_, err = k.ring.SubmitAndWaitTimeout(1, k.timeout, nil)
	}
	k.enters++
	switch {
	case err == nil, errors.Is(err, unix.ETIME), errors.Is(err, unix.EINTR):
		return nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EBUSY):
		return nil // Short of memory or of room for completions; the next turn tries again.
	}
	return fmt.Errorf("io_uring_enter: %w", err)
}

// hasNews is whether an enter would find completions, without a system call.
func (k *kernel) hasNews() bool {
	return k.ring.CQReady() > 0 || atomic.LoadUint32(k.flags)&(giouring.SQTaskrun|giouring.SQCQOverflow) != 0
}

// submitted is whether the kernel has taken everything that was prepared.
func (k *kernel) submitted() bool { return k.ring.SQReady() == 0 }

// drained is whether all completions have been fetched.
func (k *kernel) drained() bool { return k.ring.CQReady() == 0 && !k.ring.CQHasOverflow() }
