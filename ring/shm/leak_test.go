//go:build linux

package shm

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// procFile reads one of the system's files about this process.
func procFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// openFiles is how many descriptors of segments the process has. Others come and go: the runtime's, and
// those of processes that were started before.
func openFiles(t testing.TB) (n int) {
	t.Helper()
	const folder = "/proc/self/fd"
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		// The folder's own is gone by now.
		if name, err := os.Readlink(filepath.Join(folder, f.Name())); err == nil && strings.HasPrefix(name, "/memfd:"+fileName) {
			n++
		}
	}
	return n
}

// mappings is how many mappings of segments the process has.
func mappings(t testing.TB) int {
	t.Helper()
	return strings.Count(procFile(t, "maps"), "/memfd:"+fileName)
}

// TestNothingIsLeft: a thousand segments come and go, and leave neither files, nor
// mappings, nor reserved addresses.
func TestNothingIsLeft(t *testing.T) {
	const n = 1 << 20
	addresses := func() (pages int) {
		for _, c := range strings.Fields(procFile(t, "statm"))[0] {
			pages = 10*pages + int(c-'0')
		}
		return pages * os.Getpagesize()
	}
	files, maps, before := openFiles(t), mappings(t), addresses()
	for i := range 1000 {
		daemon, err := Create(n)
		if err != nil {
			t.Fatal(err)
		}
		client, err := Attach(daemon.FD())
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && (openFiles(t) != files+1 || mappings(t) < maps+2 || addresses() < before+8*n) {
			t.Fatalf("%d files, %d mappings: the test shows nothing", openFiles(t)-files, mappings(t)-maps)
		}
		if _, err := client.out.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := daemon.CloseFD(); err != nil {
				t.Fatal(err)
			}
			if daemon.FD() != -1 {
				t.Fatalf("has descriptor %d", daemon.FD())
			}
			if b, err := daemon.in.Peek(); string(b) != "hello" || err != nil {
				t.Fatalf("without the descriptor there is %q, %v", b, err)
			}
		}
		for _, s := range []*Segment{daemon, client, daemon, client} {
			if err := errors.Join(s.Close(), s.CloseFD()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f, m := openFiles(t), mappings(t); f != files || m != maps {
		t.Errorf("%d files and %d mappings are open, before %d and %d", f, m, files, maps)
	}
	// Go's heap grows too, but not by hundreds of segments.
	if grown := addresses() - before; grown > 100*4*n {
		t.Errorf("%d MiB more of addresses", grown>>20)
	}
}

// TestWithoutDescriptors: a daemon that has no descriptor left says so, and keeps nothing.
func TestWithoutDescriptors(t *testing.T) {
	maps := mappings(t)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err := Create(MinRingBytes)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, ErrSystem) || !errors.Is(err, unix.EMFILE) {
		t.Errorf("without descriptors: %v", err)
	}
	if m := mappings(t); m != maps {
		t.Errorf("%d mappings, before %d", m, maps)
	}
}

// TestMapFails: a mapping that fails half-way leaves nothing of what there was of it.
func TestMapFails(t *testing.T) {
	fd := fileOf(t, fileBytes(MinRingBytes), seals|unix.F_SEAL_WRITE, nil)
	maps := strings.Count(procFile(t, "maps"), "\n")
	for range 200 {
		if _, err := mapFile(fd, MinRingBytes); !errors.Is(err, ErrSystem) {
			t.Fatalf("mapped what is sealed: %v", err)
		}
	}
	// The runtime maps things too.
	if m := strings.Count(procFile(t, "maps"), "\n"); m > maps+100 {
		t.Errorf("%d mappings, before %d", m, maps)
	}
}
