package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	patience = time.Minute // for what must come
	boot     = 0x1234_5678_9abc_def0
	loops    = 3
)

// leakCheck finds descriptors that are left open.
func leakCheck(t *testing.T) {
	t.Helper()
	count := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	time.Sleep(time.Nanosecond) // The runtime opens two of its own for the first timer.
	before := count()
	t.Cleanup(func() {
		if after := count(); after != before {
			t.Errorf("%d descriptors are open, %d were before", after, before)
		}
	})
}

func newWatch(t *testing.T) *Watch {
	t.Helper()
	w, err := New(boot, loops)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func set(t *testing.T, on bool) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return Set(ctx, os.Getpid(), boot, on)
}

// The loops learn of it, and whoever sets it learns when all have.
func TestSet(t *testing.T) {
	leakCheck(t)
	w := newWatch(t)
	other, err := New(boot+1, 0) // another node of the same process
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var end atomic.Bool
	var following atomic.Int64
	var all sync.WaitGroup
	for range loops {
		all.Go(func() {
			for on := false; !end.Load(); time.Sleep(100 * time.Microsecond) {
				if w.On() != on {
					if on = !on; on {
						following.Add(1)
					} else {
						following.Add(-1)
					}
					w.Follow(on)
				}
			}
		})
	}
	for range 20 {
		if err := set(t, true); err != nil {
			t.Fatal(err)
		}
		if n := following.Load(); !w.On() || n != loops {
			t.Errorf("on: %v, with %d loops", w.On(), n)
		}
		if err := set(t, false); err != nil {
			t.Fatal(err)
		}
		if w.On() || other.On() {
			t.Error("still on, or another one")
		}
		for deadline := time.Now().Add(patience); following.Load() > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(deadline) {
				t.Fatal("loops do not stop")
			}
		}
	}
	end.Store(true)
	all.Wait()
}

func TestLoopsThatDoNotFollow(t *testing.T) {
	leakCheck(t)
	w := newWatch(t)
	for range loops - 1 {
		w.Follow(true)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for ; !w.On() && ctx.Err() == nil; time.Sleep(100 * time.Microsecond) {
		}
		cancel() // It waits for the last loop now.
	})
	err := Set(ctx, os.Getpid(), boot, true)
	waiting.Wait()
	if !errors.Is(err, ErrLoops) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "(2 of 3)") {
		t.Errorf("%v", err)
	}
}

// Whose page it is not is left alone.
func TestNoPage(t *testing.T) {
	leakCheck(t)
	w := newWatch(t)
	for _, c := range []struct {
		pid  int
		boot uint64
	}{{os.Getpid(), boot + 1}, {1 << 30, boot}, {0, boot}, {-1, boot}} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := Set(ctx, c.pid, c.boot, true); !errors.Is(err, ErrNone) {
			t.Errorf("process %d, boot %x: %v", c.pid, c.boot, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := Set(ended, os.Getpid(), boot, true); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if w.On() {
		t.Error("set all the same")
	}
	var none *Watch
	if err := none.Close(); none.On() || err != nil {
		t.Errorf("%v", err)
	}
}

// page is what a page begins with.
func page(words ...uint64) []byte {
	b := make([]byte, pageBytes())
	for i, w := range words {
		binary.NativeEndian.PutUint64(b[8*i:], w)
	}
	return b
}

// fake is a file in memory that has the name.
func fake(t *testing.T, content []byte, seals int) int {
	t.Helper()
	fd, err := memfd(fileName)
	if err == nil {
		_, err = unix.Pwrite(fd, content, 0)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// Files in memory that have the name only are not written to.
func TestFakePages(t *testing.T) {
	leakCheck(t)
	good := page(magic, version, boot, 0)
	for name, c := range map[string]struct {
		content []byte
		seals   int
	}{
		"magic":    {page(magic+1, version, boot, 0), seals},
		"version":  {page(magic, version+1, boot, 0), seals},
		"boot":     {page(magic, version, boot+1, 0), seals},
		"larger":   {append(page(magic, version, boot, 0), 0), seals},
		"smaller":  {good[:pageBytes()-1], seals},
		"empty":    {nil, seals},
		"unsealed": {good, unix.F_SEAL_GROW | unix.F_SEAL_SEAL},
	} {
		t.Run(name, func(t *testing.T) {
			fd := fake(t, c.content, c.seals)
			if err := set(t, true); !errors.Is(err, ErrNone) {
				t.Errorf("%v", err)
			}
			got := make([]byte, len(c.content)+1)
			if n, err := unix.Pread(fd, got, 0); err != nil || string(got[:n]) != string(c.content) {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		fd := fake(t, good, seals)
		if err := set(t, true); err != nil {
			t.Error(err)
		}
		if on, err := read(fd, offOn); on != 1 || err != nil {
			t.Errorf("the word is %d, %v", on, err)
		}
	})
	t.Run("read only", func(t *testing.T) {
		fake(t, good, seals|unix.F_SEAL_WRITE)
		if err := set(t, true); !errors.Is(err, unix.EPERM) {
			t.Errorf("%v", err)
		}
	})
}

// What a process shows under the name may be anything. Nothing but files in memory is opened.
func TestOtherFiles(t *testing.T) {
	leakCheck(t)
	device, err := memoryDevice()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(folder string) string {
		f, err := os.CreateTemp(folder, "page")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		t.Cleanup(func() { _ = os.Remove(f.Name()) })
		if _, err := f.Write(page(magic, version, boot, 0)); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := write(dir)
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Fatal(err)
	}
	paths := []string{write(dir), huge, pipe, dir, "/dev/zero", "/dev/null", "/proc/self/status", filepath.Join(dir, "none")}
	if _, err := os.Stat("/dev/shm"); err == nil {
		paths = append(paths, write("/dev/shm")) // of the same file system as files in memory, but another one
	}
	opened := watchOpens(t, dir)
	for _, path := range paths {
		if fd, ok := openPage(path, device, boot); ok {
			t.Errorf("%s was opened as %d", path, fd)
		}
	}
	if opened() {
		t.Error("what is not in memory was opened, if only to see what it is")
	}
	if _, err := os.ReadFile(paths[0]); err != nil || !opened() {
		t.Error("the test does not see what is opened", err)
	}
	fd := fake(t, page(magic, version, boot, 0), seals)
	got, ok := openPage(fmt.Sprintf("/proc/self/fd/%d", fd), device, boot)
	if !ok {
		t.Fatal("a page was not opened")
	}
	_ = unix.Close(got)
}

// watchOpens returns a function that reports whether a folder, or something in it, was opened since.
func watchOpens(t *testing.T, folder string) (opened func() bool) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, folder, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		n, err := unix.Read(fd, make([]byte, 4096))
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
		return n > 0
	}
}

// The layout is read by other processes: whoever changes it raises version.
func TestLayout(t *testing.T) {
	w := newWatch(t)
	w.Follow(true)
	w.on.Store(1)
	for off, want := range map[int]uint64{0: 0x6361757377746368, 8: 1, 16: boot, 24: loops, 128: 1, 256: 1} {
		if got := binary.NativeEndian.Uint64(w.page[off:]); got != want {
			t.Errorf("at %d: %#x, want %#x", off, got, want)
		}
	}
}
