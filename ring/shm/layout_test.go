//go:build linux

package shm

import (
	"bytes"
	"os"
	"testing"
	"unsafe"
)

// TestLayout: these numbers are read by other processes. Whoever changes one raises
// layoutVersion.
func TestLayout(t *testing.T) {
	if layoutVersion != 2 {
		t.Fatal("state the numbers of the new layout here")
	}
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"magic", magic, 0x636175735f73686d},
		{"offMagic", offMagic, 0},
		{"offVersion", offVersion, 8},
		{"offRingBytes", offRingBytes, 16},
		{"offFlags", offFlags, 128},
		{"tail of requests", offRequests + offTail, 256},
		{"waits of requests", offRequests + offWaits, 384},
		{"head of requests", offRequests + offHead, 512},
		{"sleeps of requests", offRequests + offSleeps, 640},
		{"tail of replies", offReplies + offTail, 768},
		{"waits of replies", offReplies + offWaits, 896},
		{"head of replies", offReplies + offHead, 1024},
		{"sleeps of replies", offReplies + offSleeps, 1152},
		{"offStamps", offStamps, 1280},
		{"a stamp", uint64(unsafe.Sizeof(stamp{})), stampBytes},
		{"stamps", uint64(unsafe.Sizeof(stamps{})), 1024},
		{"position of a stamp", uint64(unsafe.Offsetof(stamp{}.position)), 0},
		{"time of a stamp", uint64(unsafe.Offsetof(stamp{}.at)), 8},
		{"headerWords", headerWords, 2304},
		{"FlagStamp", FlagStamp, 1},
		{"MinRingBytes", MinRingBytes, 4096},
		{"MaxRingBytes", MaxRingBytes, 64 << 20},
		{"the header", uint64(headerBytes()), uint64(os.Getpagesize())},
		{"a file", uint64(fileBytes(1 << 20)), uint64(os.Getpagesize()) + 2<<20},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, was %#x", c.what, c.got, c.want)
		}
	}
	if headerWords > MinRingBytes {
		t.Error("the words do not fit on the smallest page")
	}
}

// TestWordsAreApart: no two words that change share a cache line, nor its neighbour,
// and each is where 64-bit atomics work.
func TestWordsAreApart(t *testing.T) {
	offs := []int{offMagic, offFlags}
	for _, r := range []int{offRequests, offReplies} {
		offs = append(offs, r+offTail, r+offWaits, r+offHead, r+offSleeps)
	}
	offs = append(offs, offStamps)
	for i, off := range offs {
		if off%128 != 0 || i > 0 && off-offs[i-1] < 128 {
			t.Errorf("a word at %d, after one at %d", off, offs[i-1])
		}
	}
	var s Segment
	if at := unsafe.Offsetof(s.in); at-unsafe.Offsetof(s.gone) < apart {
		t.Errorf("the ends begin at %d of a segment", at)
	}
	if unsafe.Sizeof(s)-unsafe.Offsetof(s.out)-unsafe.Sizeof(s.out) < apart {
		t.Error("nothing is behind the ends")
	}
}

// TestMappedTwice: both halves of a ring are the same memory, each side sees the other's,
// and rings do not meet one another or the header.
func TestMappedTwice(t *testing.T) {
	const n = 2 * MinRingBytes
	p := newMapped(t, n)
	mark := func(b []byte, first byte) {
		for at := 0; at < len(b); at += 512 {
			b[at], b[at+511] = first+byte(at/512), ^first
		}
	}
	mark(p.daemon.memory.requests[:n], 1)
	mark(p.client.memory.replies[n:], 101)
	for _, s := range []*Segment{p.daemon, p.client} {
		for _, r := range []struct {
			data  []byte
			first byte
		}{{s.memory.requests, 1}, {s.memory.replies, 101}} {
			want := make([]byte, n)
			mark(want, r.first)
			if len(r.data) != 2*n || !bytes.Equal(r.data[:n], want) || !bytes.Equal(r.data[n:], want) {
				t.Errorf("the ring that begins with %d is not mapped twice", r.first)
			}
		}
		if err := s.memory.check(n); err != nil {
			t.Error(err)
		}
		if s.RingBytes() != n {
			t.Errorf("rings of %d bytes", s.RingBytes())
		}
	}
	if len(p.daemon.memory.mapped) != headerBytes()+4*n {
		t.Errorf("%d bytes are mapped", len(p.daemon.memory.mapped))
	}
	p.daemon.SetFlags(42)
	if f := p.client.Flags(); f != 42 {
		t.Errorf("the client sees flags %d", f)
	}
}
