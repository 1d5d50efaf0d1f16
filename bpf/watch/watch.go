package watch

import (
	"os"
	"sync/atomic"
	"unsafe"
)

// The layout of a page: words of 64 bits, in the machine's byte order. What changes is apart,
// since processors fetch the neighbour of a cache line with it.
const (
	magic   = 0x6361_7573_7774_6368 // "causwtch"
	version = 1

	offMagic     = 0
	offVersion   = 8
	offBoot      = 16
	offLoops     = 24 // how many there are
	offOn        = 128
	offFollowing = 256 // how many loops go by on while it is set
	headBytes    = 32
)

// pageBytes is the size of a page's file.
func pageBytes() int { return os.Getpagesize() }

// Watch is a daemon's page. A nil one is never on.
type Watch struct {
	fd        int
	page      []byte
	on        *atomic.Uint64
	following *atomic.Int64
}

// New makes a page for a life of a daemon.
func New(boot uint64, loops int) (*Watch, error) {
	fd, page, err := create()
	if err != nil {
		return nil, err
	}
	word := func(off int) unsafe.Pointer { return unsafe.Pointer(&page[off]) }
	for _, w := range []struct {
		off   int
		value uint64
	}{{offLoops, uint64(loops)}, {offBoot, boot}, {offVersion, version}, {offMagic, magic}} {
		(*atomic.Uint64)(word(w.off)).Store(w.value)
	}
	return &Watch{fd: fd, page: page, on: (*atomic.Uint64)(word(offOn)), following: (*atomic.Int64)(word(offFollowing))}, nil
}

// On reports whether requests are to be timed.
func (w *Watch) On() bool { return w != nil && w.on.Load() != 0 }

// Follow notes that one more loop times requests, or one less.
func (w *Watch) Follow(on bool) {
	if on {
		w.following.Add(1)
	} else {
		w.following.Add(-1)
	}
}

// Close gives the page back. Nobody may use it any more.
func (w *Watch) Close() error {
	if w == nil {
		return nil
	}
	return w.discard()
}
