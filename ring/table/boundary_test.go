package table

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
)

// writeThrough tries all ways to change memory through a descriptor that Share has
// returned, and says which one was not refused.
func writeThrough(fd int) error {
	const both = unix.PROT_READ | unix.PROT_WRITE
	mmap := func(protection int) ([]byte, error) { return unix.Mmap(fd, 0, osPage, protection, unix.MAP_SHARED) }
	for _, c := range []struct {
		what string
		want error
		try  func() error
	}{
		{"map it writable", unix.EACCES, func() error { _, err := mmap(both); return err }},
		{"map it writable alone", unix.EACCES, func() error { _, err := mmap(unix.PROT_WRITE); return err }},
		{"make a mapping writable", unix.EACCES, func() error {
			b, err := mmap(unix.PROT_READ)
			if err != nil {
				return err
			}
			return errors.Join(unix.Mprotect(b, both), unix.Munmap(b))
		}},
		{"write", unix.EBADF, func() error { _, err := unix.Pwrite(fd, []byte{1}, 0); return err }},
		{"truncate", unix.EINVAL, func() error { return unix.Ftruncate(fd, 0) }},
		{"punch a hole", unix.EBADF, func() error {
			return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, osPage)
		}},
		{"seal it", unix.EPERM, func() error {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
			return err
		}},
	} {
		if err := c.try(); !errors.Is(err, c.want) {
			return fmt.Errorf("%s: got %v, want %w", c.what, err, c.want)
		}
	}
	return nil
}

// reopen opens anew what a descriptor stands for.
func reopen(fd, flags int) error {
	n, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), flags|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Close(n)
	}
	return err
}

// playStranger is another user who was given the table, and with it a file in memory
// that anybody may open.
func playStranger() error {
	const open = firstFile + 1
	m, err := Attach(firstFile)
	if err != nil {
		return err
	}
	var v causal.Version
	if !m.NewReader().Slot([]byte("k1"), &v) {
		return errors.New("k1 cannot be read")
	}
	if err := writeThrough(firstFile); err != nil {
		return err
	}
	for _, flags := range []int{unix.O_RDWR, unix.O_WRONLY, unix.O_RDWR | unix.O_TRUNC, unix.O_RDONLY} {
		if err := reopen(firstFile, flags); !errors.Is(err, unix.EACCES) {
			return fmt.Errorf("open it anew with flags %#x: got %w", flags, err)
		}
	}
	if err := unix.Fchmod(firstFile, 0o666); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("change its mode: got %w", err)
	}
	if err := unix.Fchown(firstFile, os.Getuid(), -1); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("change its owner: got %w", err)
	}
	// It is the mode that refuses, not something else of this process.
	if err := reopen(open, unix.O_RDWR); err != nil {
		return fmt.Errorf("open what anybody may: %w", err)
	}
	return m.Close()
}

// TestSharedIsReadOnly: nothing can be changed through what Share returns, whoever tries.
func TestSharedIsReadOnly(t *testing.T) {
	table := newMapped(t, 1<<20)
	fill(table, 10)
	before := snapshot(table)
	if err := writeThrough(shared(t, table)); err != nil {
		t.Error(err)
	}
	if string(snapshot(table)) != string(before) {
		t.Error("something has changed")
	}
	var s unix.Stat_t
	if err := unix.Fstat(table.region.file, &s); err != nil {
		t.Fatal(err)
	}
	if s.Mode&0o7777 != 0o400 {
		t.Errorf("the mode is %o", s.Mode)
	}
	for _, fd := range []int{table.region.file, shared(t, table)} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d is inherited: %#x, %v", fd, flags, err)
		}
	}
}

// TestStrangerCannotWrite: another user who was given the table reads it, and has no
// way to write.
func TestStrangerCannotWrite(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("to become another user takes root")
	}
	table := newMapped(t, 1<<20)
	fill(table, 10)
	open, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(open)
	if err := unix.Fchmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	fd, err := table.Share()
	if err != nil {
		t.Fatal(err)
	}
	openToRead, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", open), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := other("stranger", fd, openToRead)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	err = c.Run()
	for _, f := range c.ExtraFiles {
		_ = f.Close()
	}
	if err != nil {
		t.Error(err)
	}
}

// playWithoutProc shares a table where /proc is not.
func playWithoutProc() error {
	if err := unix.Chroot(os.Getenv("TMPDIR")); err != nil {
		return err
	}
	table, err := New(Options{Bytes: 1 << 20})
	if err != nil {
		return err
	}
	fd, err := table.Share()
	if !errors.Is(err, ErrNotShared) || !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "mount /proc") || fd >= 0 {
		return fmt.Errorf("shared as %d: %w", fd, err)
	}
	return table.Close()
}

// TestShareNeedsProc: and says so.
func TestShareNeedsProc(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("to go where /proc is not takes root")
	}
	c := other("without proc")
	c.Env = append(c.Env, "TMPDIR="+t.TempDir())
	if err := c.Run(); err != nil {
		t.Error(err)
	}
}
