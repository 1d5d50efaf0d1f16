//go:build linux

package uring

import (
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// footprint is what loops have mapped in this process.
type footprint struct {
	queues int // mappings of an io_uring
	kib    int // of memory that children do not inherit, as mapMemory makes it
}

func mapped(t *testing.T) (f footprint) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skipf("NOT TESTED: no /proc: %v", err)
	}
	size, queue := 0, false
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case strings.Contains(key, " "): // The head of a mapping: "from-to flags …".
			if queue = strings.Contains(line, "[io_uring]"); queue {
				f.queues++
			}
		case key == "Size":
			if _, err := fmt.Sscanf(value, "%d kB", &size); err != nil {
				t.Fatal(err)
			}
		case key == "VmFlags" && strings.Contains(value+" ", " dc ") && !queue:
			f.kib += size
		}
	}
	return f
}

// A loop that has ended leaves no mapping behind, however it was used.
func TestLoopsLeaveNoMappings(t *testing.T) {
	before := mapped(t)
	during := footprint{}
	for round := range 20 {
		s := &looptest.Handler{Loop: newLoop(t, ring.Options{})}
		address := looptest.Listen(t, s.Loop, "unix")
		done := looptest.Start(t, s)
		nc := looptest.Dial(t, "unix", address)
		looptest.RoundTrip(t, nc, "small")
		looptest.RoundTrip(t, nc, strings.Repeat("larger", smallBlock))
		looptest.RoundTrip(t, nc, strings.Repeat("largest", largeBlock))
		looptest.RoundTrip(t, nc, strings.Repeat("larger", smallBlock))
		during = mapped(t)
		if round%2 == 0 {
			nc.Close()
		}
		s.Loop.Stop(0)
		looptest.Receive(t, done, "Run to return")
	}
	if during.queues != before.queues+2 || during.kib <= before.kib {
		t.Errorf("while a loop runs: %+v, before %+v; the test shows nothing", during, before)
	}
	if after := mapped(t); after != before {
		t.Errorf("after 20 loops: %+v, before %+v", after, before)
	}
}

// Connections that come and go, in whatever state, leave neither files nor memory.
func TestConnectStormLeavesNothing(t *testing.T) {
	const connects, clients, most = 10_000, 16, 512
	// The garbage collector closes forgotten sockets, which would hide a leak.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	check, before := looptest.LeakCheck(t), mapped(t)
	l := newLoop(t, ring.Options{})
	// So many connections there are at most that the loop has not closed.
	places := make(chan struct{}, most)
	for range most {
		places <- struct{}{}
	}
	s := &looptest.Handler{Loop: l, OnClosed: func(ring.ConnID, error) { places <- struct{}{} }}
	address := looptest.Listen(t, l, "tcp")
	done := looptest.Start(t, s)
	big := looptest.Frame(make([]byte, 100_000))
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := client; i < connects; i += clients {
				looptest.Receive(t, places, "a connection to be closed")
				nc, err := net.DialTimeout("tcp", address, looptest.Patience)
				if err != nil {
					t.Error(err)
					return
				}
				looptest.Extend(nc)
				switch i / clients % 5 {
				case 0: // goes in the middle of a frame
					nc.Write(big[:3])
				case 1: // resets with answers under way
					nc.Write(big)
					nc.(*net.TCPConn).SetLinger(0)
				case 2: // reads a part
					nc.Write(big)
					nc.Read(make([]byte, 10))
				case 3: // ends its sending, and reads nothing
					nc.Write(big)
					nc.(*net.TCPConn).CloseWrite()
				case 4: // never says anything
				}
				nc.Close()
			}
		})
	}
	wg.Wait()
	looptest.Eventually(t, "all connections closed", func() bool {
		stats := s.Stats(t)
		return stats.Accepted == connects && stats.Closed == connects && stats.OpenConns == 0
	})
	s.Do(t, func() {
		if len(l.slots) > most || len(l.free) != len(l.slots) {
			t.Errorf("%d slots, %d of them free", len(l.slots), len(l.free))
		}
		if back := len(l.blocks.small); back != len(l.blocks.chunks)*chunkBlocks {
			t.Errorf("%d of %d blocks are back", back, len(l.blocks.chunks)*chunkBlocks)
		}
	})
	l.Stop(looptest.Patience)
	looptest.Receive(t, done, "Run to return")
	check()
	if after := mapped(t); after != before {
		t.Errorf("mapped %+v, before %+v", after, before)
	}
}

// Accepts that fail for want of descriptors are tried again.
func TestAcceptErrors(t *testing.T) {
	l := newLoop(t, ring.Options{Tick: time.Hour})
	s := &looptest.Handler{Loop: l}
	address := looptest.Serve(t, "unix", s)
	looptest.RoundTrip(t, looptest.Dial(t, "unix", address), "before")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	client := os.NewFile(uintptr(fd), "client")
	defer client.Close()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 1
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restore := sync.OnceFunc(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
	defer restore()
	// An accept goes by the limit that it has met when it was armed.
	s.Do(t, func() { l.cancel(acceptRecords, endRecord, 0) })
	looptest.Eventually(t, "the accept ended", func() bool { return s.Stats(t).AcceptErrors >= 1 })
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		t.Fatal(err)
	}
	looptest.Eventually(t, "failed accepts", func() bool { return s.Stats(t).AcceptErrors >= 3 })
	restore()
	if _, err := client.Write(looptest.Frame([]byte("after"))); err != nil {
		t.Fatal(err)
	}
	looptest.Expect(t, client, looptest.Frame([]byte("after")))
}
