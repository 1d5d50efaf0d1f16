package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
)

// memoryWith returns memory like a table's with bytes in it, and the means to change
// them.
func memoryWith(t *testing.T, content []byte) (fd int, writable []byte) {
	t.Helper()
	fd, err := createMemory(uint64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(fd, 0, len(content), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Munmap(b)
		_ = unix.Close(fd)
	})
	var none [osPage]byte
	for at := 0; at < len(content); at += osPage {
		if page := content[at : at+osPage]; string(page) != string(none[:]) {
			copy(b[at:], page)
		}
	}
	return fd, b
}

// bareMemory returns memory of zeros, with seals of the test's choice.
func bareMemory(t *testing.T, flags, seals, size int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", flags|unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestAttachRefuses: whatever could be cut short under a reader, and what is no table.
func TestAttachRefuses(t *testing.T) {
	good := snapshot(smallTable(t))
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	onShm, err := os.CreateTemp("/dev/shm", "causalmesh-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer onShm.Close()
	_ = os.Remove(onShm.Name())
	for _, f := range []*os.File{plain, onShm} {
		if _, err := f.Write(good[:headerBytes]); err != nil {
			t.Fatal(err)
		}
	}
	memory := func(flags, seals, size int) int { return bareMemory(t, flags, seals, size) }
	changed := func(off int, w uint64) int {
		bad := append([]byte(nil), good...)
		binary.NativeEndian.PutUint64(bad[off:], w)
		fd, _ := memoryWith(t, bad)
		return fd
	}
	short, _ := memoryWith(t, good[:len(good)-osPage])
	for _, c := range []struct {
		what string
		fd   int
		want error
	}{
		{"no descriptor", -1, unix.EBADF},
		{"a plain file", int(plain.Fd()), ErrNotSealed},
		{"a file on tmpfs", int(onShm.Fd()), ErrNotSealed},
		{"unsealed memory", memory(0, 0, len(good)), ErrNotSealed},
		{"memory that is sealed otherwise", memory(0, unix.F_SEAL_GROW|unix.F_SEAL_SEAL, len(good)), ErrNotSealed},
		{"huge pages", memory(unix.MFD_HUGETLB, unix.F_SEAL_SHRINK, 0), ErrNotSealed},
		{"nothing", memory(0, unix.F_SEAL_SHRINK, 0), ErrLayout},
		{"half a header", memory(0, unix.F_SEAL_SHRINK, headerBytes/2), ErrLayout},
		{"zeros", memory(0, unix.F_SEAL_SHRINK, len(good)), ErrLayout},
		{"half a page too much", memory(0, unix.F_SEAL_SHRINK, len(good)+osPage/2), ErrLayout},
		{"a page too little", short, ErrLayout},
		{"another magic", changed(offMagic, magic+1), ErrLayout},
		{"an older version", changed(offVersion, layoutVersion-1), ErrLayout},
		{"a newer version", changed(offVersion, layoutVersion+1), ErrLayout},
		{"parts beyond the end", changed(offSegments, uint64(len(good))), ErrLayout},
	} {
		if _, err := Attach(c.fd); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
	}
	whole, _ := memoryWith(t, good)
	m, err := Attach(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHostileHeaderHarmsNobody: whatever stands in the header, before or after somebody
// attaches, he comes back, and with nothing that lies outside of the mapping.
func TestHostileHeaderHarmsNobody(t *testing.T) {
	good := snapshot(smallTable(t))
	fd, bad := memoryWith(t, good)
	rng := rand.New(rand.NewSource(9))
	words := []uint64{
		offMagic, offVersion, offBytes, offEpoch, offKey0, offKey1, offDirectory, offMaxDepth, offSegments,
		offMaxSegments, offBlocks, offShape, offDepth, offShut, offStableSequence, offStableLength, offBeat,
	}
	spoil := func() {
		for range 1 + rng.Intn(3) {
			off := words[rng.Intn(len(words))]
			w := rng.Uint64() >> rng.Intn(64)
			switch rng.Intn(4) {
			case 0:
				w = binary.NativeEndian.Uint64(bad[off:]) ^ 1<<rng.Intn(64)
			case 1:
				w = uint64(len(bad)) - uint64(rng.Intn(3*bucketBytes))
			case 2: // a part that starts where another does
				w = binary.NativeEndian.Uint64(good[words[rng.Intn(len(words))]:])
			}
			binary.NativeEndian.PutUint64(bad[off:], w)
		}
	}
	refused, hits := 0, 0
	for range 2000 {
		copy(bad[:headerBytes], good)
		if rng.Intn(2) == 0 {
			spoil()
		}
		m, err := Attach(fd)
		if err != nil {
			if refused++; !errors.Is(err, ErrLayout) {
				t.Fatal(err)
			}
			continue
		}
		spoil()
		_, _, _ = m.Beat(), m.Shut(), m.Epoch()
		r := m.NewReader()
		var s causal.SignedVector
		var a Ahead
		for i := range 50 {
			r.Stability(&s)
			key := fmt.Appendf(nil, "k%d", i)
			var v causal.Version
			r.Approach(key, &a)
			r.Reach(&a)
			if r.Slot(key, &v) {
				hits++
				_ = append([]byte(nil), v.Value...)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 || hits == 0 {
		t.Errorf("%d refused, %d hits: the test shows nothing", refused, hits)
	}
}
