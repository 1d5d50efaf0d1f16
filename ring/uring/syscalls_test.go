//go:build linux

package uring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// callCounter counts a thread's system calls by number, through the kernel's tracepoint.
type callCounter struct {
	files map[int]int // by number of the call
}

// tracepoint is the id of raw_syscalls:sys_enter.
func tracepoint() (uint64, error) {
	const folder = "/sys/kernel/tracing"
	path := filepath.Join(folder, "events/raw_syscalls/sys_enter/id")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := unix.Mount("tracefs", folder, "tracefs", 0, ""); err != nil {
			return 0, fmt.Errorf("mount tracefs: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// newCallCounter does not count yet.
func newCallCounter(t *testing.T, thread int, calls ...int) *callCounter {
	t.Helper()
	id, err := tracepoint()
	if err != nil {
		t.Skipf("NOT TESTED: system calls cannot be counted: %v", err)
	}
	k := &callCounter{map[int]int{}}
	t.Cleanup(func() {
		for _, fd := range k.files {
			unix.Close(fd)
		}
	})
	for _, call := range calls {
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Bits: unix.PerfBitDisabled}
		attr.Size = uint32(unsafe.Sizeof(attr))
		fd, err := unix.PerfEventOpen(&attr, thread, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			t.Skipf("NOT TESTED: system calls cannot be counted: perf_event_open: %v", err)
		}
		k.files[call] = fd
		filter, err := unix.BytePtrFromString(fmt.Sprintf("id == %d", call))
		if err != nil {
			t.Fatal(err)
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.PERF_EVENT_IOC_SET_FILTER, uintptr(unsafe.Pointer(filter)))
		if errno != 0 {
			t.Fatalf("filter %d: %v", call, errno)
		}
	}
	return k
}

func (k *callCounter) each(request uint) error {
	for _, fd := range k.files {
		if err := unix.IoctlSetInt(fd, request, 0); err != nil {
			return err
		}
	}
	return nil
}

func (k *callCounter) start() error { return k.each(unix.PERF_EVENT_IOC_ENABLE) }
func (k *callCounter) stop() error  { return k.each(unix.PERF_EVENT_IOC_DISABLE) }

func (k *callCounter) count(t *testing.T, call int) uint64 {
	t.Helper()
	var b [8]byte
	if n, err := unix.Read(k.files[call], b[:]); n != len(b) {
		t.Fatalf("count of call %d: %d bytes, %v", call, n, err)
	}
	return binary.NativeEndian.Uint64(b[:])
}

// socketCalls are those that move bytes.
var socketCalls = []int{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV,
	unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SENDMSG, unix.SYS_RECVMSG,
	unix.SYS_SENDMMSG, unix.SYS_RECVMMSG,
}

// counted runs work beside a loop and returns what the loop and the kernel have counted
// from one of the loop's turns to another.
func counted(t *testing.T, l *Loop, s *looptest.Handler, work func()) (stats ring.Stats, k *callCounter) {
	t.Helper()
	thread := 0
	s.Do(t, func() { thread = unix.Gettid() })
	k = newCallCounter(t, thread, append(socketCalls, unix.SYS_IO_URING_ENTER)...)
	var before, after ring.Stats
	var err1, err2 error
	s.Do(t, func() {
		before = l.Stats()
		err1 = k.start()
	})
	work()
	s.Do(t, func() {
		err2 = k.stop()
		after = l.Stats()
	})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	stats.Turns, stats.Enters = after.Turns-before.Turns, after.Enters-before.Enters
	stats.BytesIn, stats.BytesOut = after.BytesIn-before.BytesIn, after.BytesOut-before.BytesOut
	return stats, k
}

// checkCalls holds the kernel's count against the loop's. moves is how many calls it would
// take at least to move the bytes by other calls.
func checkCalls(t *testing.T, stats ring.Stats, k *callCounter, moves uint64) {
	t.Helper()
	enters := k.count(t, unix.SYS_IO_URING_ENTER)
	t.Logf("%d turns, %d io_uring_enter, %d bytes in, %d out", stats.Turns, enters, stats.BytesIn, stats.BytesOut)
	if enters != stats.Enters {
		t.Errorf("io_uring_enter %d times, Stats says %d", enters, stats.Enters)
	}
	if enters > stats.Turns {
		t.Errorf("io_uring_enter %d times in %d turns, want at most one a turn", enters, stats.Turns)
	}
	for _, call := range socketCalls {
		// The Go runtime may wake its poller from any thread, with a write, now and then.
		if n := k.count(t, call); n > moves/10 {
			t.Errorf("system call %d made %d times in %d turns, want none", call, n, stats.Turns)
		}
	}
}

// A request and its answer cost one system call.
func TestPingPongCostsOneEnter(t *testing.T) {
	const batches, rounds = 50, 20
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			clock := looptest.NewClock() // It stands still, so that no time is due between requests.
			l := newLoop(t, ring.Options{Tick: time.Hour, Now: clock.Now})
			s := &looptest.Handler{Loop: l}
			nc := looptest.Dial(t, network, looptest.Serve(t, network, s))
			looptest.RoundTrip(t, nc, "warm")
			exact, inexact, done := 0, 0, uint64(0)
			stats, k := counted(t, l, s, func() {
				// A signal may end a wait early in some of the batches, but not in most.
				looptest.Eventually(t, "as many enters as requests", func() bool {
					before := s.Stats(t).Enters
					for range rounds {
						looptest.RoundTrip(t, nc, "one request")
					}
					done += rounds
					if enters := s.Stats(t).Enters - before - 1; enters == rounds { // One is that of Stats.
						exact++
					} else if enters < rounds {
						t.Fatalf("io_uring_enter %d times for %d requests", enters, rounds)
					}
					if inexact = int(done)/rounds - exact; inexact > exact+batches {
						t.Fatalf("%d of %d batches took more calls than requests", inexact, exact+inexact)
					}
					return exact == batches
				})
			})
			checkCalls(t, stats, k, done)
			if stats.BytesIn != 15*done || stats.BytesOut != 15*done {
				t.Errorf("%d bytes in and %d out, want %d", stats.BytesIn, stats.BytesOut, 15*done)
			}
		})
	}
}

// However busy: many connections, pipelined, answers that do not fit into the kernel's
// buffers, clients that come and go.
func TestOneEnterPerTurn(t *testing.T) {
	for _, network := range looptest.Networks {
		t.Run(network, func(t *testing.T) {
			l := newLoop(t, ring.Options{HighWater: 64 << 10})
			s := &looptest.Handler{Loop: l}
			address := looptest.Serve(t, network, s)
			stats, k := counted(t, l, s, func() {
				done := make(chan error)
				const clients = 20
				for client := range clients {
					go func() { done <- exchangeMany(network, address, client) }()
				}
				for range clients {
					if err := looptest.Receive(t, done, "a client"); err != nil {
						t.Error(err)
					}
				}
			})
			checkCalls(t, stats, k, stats.BytesIn/receiveBuffer)
		})
	}
}

// exchangeMany sends frames of many sizes and reads their echoes at the same time, over
// several connections one after the other.
func exchangeMany(network, address string, client int) error {
	for round := range 5 {
		nc, err := net.DialTimeout(network, address, looptest.Patience)
		if err != nil {
			return err
		}
		var stream []byte
		for i := range 100 {
			stream = append(stream, looptest.Frame(make([]byte, (client*i*i*(round+1))%20_000))...)
		}
		sent := make(chan error, 1)
		go func() {
			_, err := nc.Write(stream)
			sent <- err
		}()
		got := 0
		for buffer := make([]byte, 1<<16); got < len(stream) && err == nil; {
			var n int
			looptest.Extend(nc)
			n, err = nc.Read(buffer)
			got += n
		}
		if err := errors.Join(err, <-sent, nc.Close()); err != nil {
			return fmt.Errorf("client %d, after %d of %d bytes: %w", client, got, len(stream), err)
		}
	}
	return nil
}
