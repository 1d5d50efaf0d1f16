package shm

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"
)

// The layout of a segment: what both processes see. All offsets are in bytes from its
// start, all words are 64 bits in the machine's byte order. A change of anything here
// is a new layoutVersion.
const (
	magic         = 0x63_61_75_73_5f_73_68_6d // "caus_shm"
	layoutVersion = 2

	wordBytes = 8
	// apart is what keeps two words out of each other's way: processors fetch the
	// neighbour of a cache line with it.
	apart = 128
)

// Bounds of a ring. Where pages are larger than MinRingBytes, the smallest ring is a page.
const (
	MinRingBytes = 4 << 10
	MaxRingBytes = 64 << 20
)

// Words of the header that are never changed, and those that only the daemon writes.
const (
	offMagic     = 0 * wordBytes
	offVersion   = 1 * wordBytes
	offRingBytes = 2 * wordBytes
	offFlags     = apart // FlagStamp
)

// Words of a ring, from its place in the header.
const (
	offTail   = 0 * apart // written by the producer
	offWaits  = 1 * apart // set by the producer, taken away by whoever rings
	offHead   = 2 * apart // written by the consumer
	offSleeps = 3 * apart // set by the consumer, taken away by whoever rings

	offRequests = 2 * apart
	offReplies  = offRequests + ringWords
	ringWords   = 4 * apart
	offStamps   = offReplies + ringWords            // written by the client
	headerWords = offStamps + stampCount*stampBytes // the rest of the page is zero
)

// headerBytes is the header's page. Both processes are on one machine and agree on it.
func headerBytes() int { return os.Getpagesize() }

// fileBytes is the size of a segment's file.
func fileBytes(ringBytes int) int { return headerBytes() + 2*ringBytes }

// checkRingBytes says whether a ring can have this size.
func checkRingBytes(n int) error {
	if n < MinRingBytes || n > MaxRingBytes || n&(n-1) != 0 || n%os.Getpagesize() != 0 {
		return fmt.Errorf("%w: not %d", ErrRingBytes, n)
	}
	return nil
}

// memory is a segment as one process sees it.
type memory struct {
	header unsafe.Pointer
	// requests and replies are the rings' bytes, each ring twice in succession.
	requests, replies []byte
	// mapped is what is to be unmapped; nil for memory of the Go heap.
	mapped []byte
}

func (m *memory) word(off uintptr) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Add(m.header, off))
}

// stamps are the client's.
func (m *memory) stamps() *stamps { return (*stamps)(unsafe.Add(m.header, offStamps)) }

// format writes the header of a new segment, all of whose memory is zero.
func (m *memory) format(ringBytes int) {
	m.word(offRingBytes).Store(uint64(ringBytes))
	m.word(offVersion).Store(layoutVersion)
	m.word(offMagic).Store(magic)
}

// check looks at the header of a segment that somebody else has made. The size was
// learned from the file's, which is sealed; nothing is believed that stands here only.
func (m *memory) check(ringBytes int) error {
	if w := m.word(offMagic).Load(); w != magic {
		return fmt.Errorf("%w: magic %#x", ErrNotSegment, w)
	}
	if w := m.word(offVersion).Load(); w != layoutVersion {
		return fmt.Errorf("%w: layout %d, not %d", ErrNotSegment, w, layoutVersion)
	}
	if w := m.word(offRingBytes).Load(); w != uint64(ringBytes) {
		return fmt.Errorf("%w: rings of %d bytes in a file for %d", ErrNotSegment, w, ringBytes)
	}
	// The daemon may have begun to use its ends. A client's begin at zero.
	if m.word(offRequests+offTail).Load() != 0 || m.word(offReplies+offHead).Load() != 0 {
		return ErrUsed
	}
	return nil
}

// ring is one ring as either end sees it.
type ring struct {
	tail, waits  *atomic.Uint64
	head, sleeps *atomic.Uint64
	data         []byte // all bytes twice, or once on the Go heap
	size         uint64
}

// ringAt is the ring whose words are at off in the header.
func (m *memory) ringAt(off uintptr, data []byte, ringBytes int) ring {
	return ring{
		tail: m.word(off + offTail), waits: m.word(off + offWaits),
		head: m.word(off + offHead), sleeps: m.word(off + offSleeps),
		data: data, size: uint64(ringBytes),
	}
}

// span is n bytes from index at, or on the Go heap what of them lies before the end.
func (r *ring) span(at, n uint64) []byte {
	from := at & (r.size - 1)
	to := min(from+n, uint64(len(r.data)))
	return r.data[from:to:to]
}

// publish stores a word so that what is loaded afterwards is loaded afterwards. That is
// what Store promises. But under the race detector it only releases (golang/go#58020), which
// loses wake-ups in mapped memory; and on amd64 it is this very instruction.
func publish(w *atomic.Uint64, value uint64) { w.Swap(value) }

// takeFlag says whether a flag is set, and takes it away. Mostly it is not, and then
// its cache line is left to be shared.
func takeFlag(flag *atomic.Uint64) bool {
	return flag.Load() != 0 && flag.Swap(0) != 0
}

// dropFlag takes a flag away.
func dropFlag(flag *atomic.Uint64) {
	if flag.Load() != 0 {
		flag.Store(0)
	}
}
