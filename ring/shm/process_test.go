//go:build linux

package shm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// peerVariable makes the test's program a client of another one.
const peerVariable = "SHM_TEST_PEER"

const (
	peerBytes = 4 << 20
	// Descriptors of the client process: the segment, the bell it waits for, the other.
	peerSegment, peerBell, peerOther = 3, 4, 5
)

func TestMain(m *testing.M) {
	if os.Getenv(peerVariable) == "" {
		os.Exit(m.Run())
	}
	if err := runPeer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runPeer sends a stream of requests and expects to have them back.
func runPeer() error {
	s, err := Attach(peerSegment)
	if err != nil {
		return err
	}
	if err := unix.Close(peerSegment); err != nil {
		return err
	}
	own, other := os.NewFile(peerBell, "own bell"), os.NewFile(peerOther, "other bell")
	in, out := s.Ends()
	p := overFiles(own, other)
	var sent, seen, sizes source = 6, 6, 7
	message := make([]byte, s.RingBytes())
	for done := 0; done < peerBytes; {
		n := 1 + int(sizes.next())%min(len(message), peerBytes-done)
		if sizes.next()%4 > 0 {
			n = 1 + (n-1)%100
		}
		if err := writeAll(out, sent.fill(message[:n]), p); err != nil {
			return err
		}
		got, err := readFull(in, message[:0:n], p)
		if err != nil {
			return err
		}
		if !seen.match(got) {
			return errOtherBytes
		}
		done += n
	}
	return s.Close()
}

// overFiles waits with eventfds, which never fill.
func overFiles(own, other *os.File) patient {
	count, one := make([]byte, 8), binary.NativeEndian.AppendUint64(nil, 1)
	return patient{
		wait: func() error { _, err := own.Read(count); return err },
		ring: func() { other.Write(one) }, // the other may have ended
	}
}

// TestTwoProcesses: what it is all for.
func TestTwoProcesses(t *testing.T) {
	s, err := Create(16 << 10)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	own, other := newEventFile(t), newEventFile(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	segment, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(segment), "segment")
	defer file.Close()
	var stderr bytes.Buffer
	peer := exec.CommandContext(ctx, program)
	peer.Env = append(os.Environ(), peerVariable+"=1")
	peer.ExtraFiles = []*os.File{file, other, own}
	peer.Stderr = &stderr
	// Should this process be killed, the other does not stay; it goes by the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	peer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseFD(); err != nil {
		t.Error(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- peer.Wait()
		own.Write(binary.NativeEndian.AppendUint64(nil, 1))
	}()
	got, err := echoUntil(s, overFiles(own, other), ended)
	if err != nil {
		t.Errorf("%v: %s", err, &stderr)
	}
	if got != peerBytes {
		t.Errorf("%d bytes came, %d were sent", got, peerBytes)
	}
}

// newEventFile is a bell between processes.
func newEventFile(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "bell")
	t.Cleanup(func() { f.Close() })
	return f
}

// echoUntil sends back all that comes, until the client's process has ended.
func echoUntil(s *Segment, p patient, ended <-chan error) (total int, err error) {
	in, out := s.Ends()
	private := make([]byte, 0, 1000)
	for {
		private, err = in.CopyOut(private)
		if err != nil {
			return total, err
		}
		total += len(private)
		if len(private) > 0 && in.MustRing() {
			p.ring()
		}
		if err = writeAll(out, private, p); err != nil {
			return total, err
		}
		if len(private) > 0 {
			private = private[:0]
			continue
		}
		if in.Sleep() {
			if err = p.wait(); err != nil {
				return total, err
			}
		}
		select {
		case err := <-ended:
			return total, err
		default:
		}
	}
}
