//go:build linux

package shm

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSizes: what a ring's size can be.
func TestSizes(t *testing.T) {
	for _, n := range []int{MinRingBytes, 64 << 10, MaxRingBytes} {
		s, err := Create(n)
		if err != nil {
			t.Errorf("%d bytes: %v", n, err)
			continue
		}
		s.Close()
	}
	for _, n := range []int{
		math.MinInt, -MinRingBytes, 0, 1, MinRingBytes / 2, MinRingBytes - 1, MinRingBytes + 1, 3 * MinRingBytes,
		MaxRingBytes - MinRingBytes, 2 * MaxRingBytes, math.MaxInt,
	} {
		if _, err := Create(n); !errors.Is(err, ErrRingBytes) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestSizeIsSealed: nobody can truncate the file under the other, nor take the seals
// off, root included; a hole reads as zero.
func TestSizeIsSealed(t *testing.T) {
	p := newMapped(t, MinRingBytes)
	// A client has a descriptor of its own.
	fd, err := unix.Dup(p.daemon.FD())
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, n := range []int64{0, int64(fileBytes(MinRingBytes)) - 1, int64(fileBytes(MinRingBytes)) + 1, 1 << 30} {
		if err := unix.Ftruncate(fd, n); err != unix.EPERM {
			t.Errorf("truncate to %d bytes: %v", n, err)
		}
	}
	if err := unix.Fallocate(fd, 0, 0, 1<<30); err != unix.EPERM {
		t.Errorf("allocate more: %v", err)
	}
	if _, err := unix.Pwrite(fd, []byte{1}, int64(fileBytes(MinRingBytes))); err != unix.EPERM {
		t.Errorf("write behind the end: %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); err != unix.EPERM {
		t.Errorf("seal more: %v", err)
	}
	out, in := p.requests()
	if _, err := out.Write([]byte("gone")); err != nil {
		t.Fatal(err)
	}
	const hole = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if err := unix.Fallocate(fd, hole, int64(headerBytes()), 2*MinRingBytes); err != nil {
		t.Fatal(err)
	}
	if b, err := in.Peek(); string(b) != "\x00\x00\x00\x00" || err != nil {
		t.Errorf("a hole reads %q, %v", b, err)
	}
}

// fileOf is a file in memory with these seals, sizes and words.
func fileOf(t *testing.T, bytes, seals int, words map[int64]uint64) int {
	t.Helper()
	fd, err := memfd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(bytes)); err != nil {
		t.Fatal(err)
	}
	for off, w := range words {
		var b [wordBytes]byte
		native.PutUint64(b[:], w)
		if _, err := unix.Pwrite(fd, b[:], off); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

// header is that of a new segment, except for one word.
func header(off int64, w uint64) map[int64]uint64 {
	words := map[int64]uint64{offMagic: magic, offVersion: layoutVersion, offRingBytes: MinRingBytes}
	words[off] = w
	return words
}

// TestAttachRefuses: what is not a segment that a daemon of this layout has made for
// this client. Nothing of it is kept.
func TestAttachRefuses(t *testing.T) {
	good := header(offMagic, magic)
	size := fileBytes(MinRingBytes)
	for _, c := range []struct {
		what         string
		bytes, seals int
		words        map[int64]uint64
		want         error
	}{
		{"a good one", size, seals, good, nil},
		{"a better one", size, seals, header(offFlags, 1), nil},
		{"one in use by the daemon", size, seals, header(offReplies+offTail, 1), nil},
		{"one with more seals", size, seals | unix.F_SEAL_EXEC, good, nil},
		{"no seals", size, 0, good, ErrUnsealed},
		{"it can shrink", size, seals &^ unix.F_SEAL_SHRINK, good, ErrUnsealed},
		{"it can grow", size, seals &^ unix.F_SEAL_GROW, good, ErrUnsealed},
		{"more seals can be set", size, seals &^ unix.F_SEAL_SEAL, good, ErrUnsealed},
		{"nothing can be written", size, seals | unix.F_SEAL_WRITE, good, ErrSystem},
		{"empty", 0, seals, nil, ErrNotSegment},
		{"a header only", headerBytes(), seals, good, ErrNotSegment},
		{"a byte is missing", size - 1, seals, good, ErrNotSegment},
		{"a byte too many", size + 1, seals, good, ErrNotSegment},
		{"two bytes too many", size + 2, seals, good, ErrNotSegment},
		{"rings too small", fileBytes(MinRingBytes / 2), seals, header(offRingBytes, MinRingBytes/2), ErrNotSegment},
		{"rings too large", fileBytes(2 * MaxRingBytes), seals, header(offRingBytes, 2*MaxRingBytes), ErrNotSegment},
		{"rings of three pages", fileBytes(3 * MinRingBytes), seals, header(offRingBytes, 3*MinRingBytes), ErrNotSegment},
		{"longer than anything", 1 << 30, seals, good, ErrNotSegment},
		{"another magic", size, seals, header(offMagic, magic+1), ErrNotSegment},
		{"an older layout", size, seals, header(offVersion, layoutVersion-1), ErrNotSegment},
		{"a newer layout", size, seals, header(offVersion, layoutVersion+1), ErrNotSegment},
		{"other rings than the file has", size, seals, header(offRingBytes, 2*MinRingBytes), ErrNotSegment},
		{"odd rings", size, seals, header(offRingBytes, 12345), ErrNotSegment},
		{"requests were made", size, seals, header(offRequests+offTail, 1), ErrUsed},
		{"replies were read", size, seals, header(offReplies+offHead, 1), ErrUsed},
	} {
		fd := fileOf(t, c.bytes, c.seals, c.words)
		files, maps := openFiles(t), mappings(t)
		s, err := Attach(fd)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		if err == nil {
			if s.FD() != -1 {
				t.Errorf("%s: has descriptor %d", c.what, s.FD())
			}
			s.Close()
		}
		if f, m := openFiles(t), mappings(t); f != files || m != maps {
			t.Errorf("%s: %d files and %d mappings are open, before %d and %d", c.what, f, m, files, maps)
		}
	}
}

// TestAttachRefusesOtherFiles: and what is no file at all.
func TestAttachRefusesOtherFiles(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, make([]byte, fileBytes(MinRingBytes)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(plain, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Files of a tmpfs have seals, none of which is set.
	if _, err := Attach(int(f.Fd())); !errors.Is(err, ErrNotSegment) && !errors.Is(err, ErrUnsealed) {
		t.Errorf("a plain file: %v", err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if _, err := Attach(pipe[0]); !errors.Is(err, ErrNotSegment) {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := Attach(-1); !errors.Is(err, ErrSystem) || !errors.Is(err, unix.EBADF) {
		t.Errorf("no descriptor: %v", err)
	}
	s, err := Create(MinRingBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	readOnly, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", s.FD()))
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if _, err := Attach(int(readOnly.Fd())); !errors.Is(err, ErrSystem) || !errors.Is(err, unix.EACCES) {
		t.Errorf("a descriptor to read only: %v", err)
	}
}
