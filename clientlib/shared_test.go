//go:build linux

package clientlib

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/table"
)

// Servers of shared memory that are not what they should be.

// held is what the process has open and mapped.
func held(t testing.TB) (files, mappings int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return len(open), strings.Count(string(maps), "/memfd:")
}

// memory makes a file in memory.
func memory(t testing.TB, bytes int64, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Ftruncate(fd, bytes); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

func tableOf(t testing.TB, epoch causal.Epoch) int {
	t.Helper()
	tab, err := table.New(table.Options{Bytes: 1 << 20, Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tab.Close() })
	fd, err := tab.Share()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// A handshake that promises shared memory and brings something else is an error that
// says so, and leaves nothing behind.
func TestImpossibleSharing(t *testing.T) {
	s := newSharedServer(t)
	const sealed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rings, used := newSegment(t).FD(), newSegment(t)
	words, err := unix.Mmap(used.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	binary.NativeEndian.PutUint64(words[requestsTail:], 1)
	defer unix.Munmap(words)
	right := int64(os.Getpagesize() + 2*testRing)
	good, other := tableOf(t, testWelcome.Epoch), tableOf(t, testWelcome.Epoch+1)
	welcome := func(rings, table bool) wire.Welcome {
		w := testWelcome
		w.Rings, w.Table = rings, table
		return w
	}
	many := make([]int, 250)
	for i := range many {
		many[i] = rings
	}
	for name, c := range map[string]struct {
		scheme  string
		welcome wire.Welcome
		rest    string
		files   []int
		want    error
	}{
		"no rings":            {"shm", welcome(false, false), "", nil, ErrRefused},
		"no rings, but files": {"shm", welcome(false, false), "", []int{rings}, ErrRefused},
		"no table":            {"direct", welcome(true, false), "", []int{rings}, ErrRefused},
		"a table unasked":     {"shm", welcome(true, true), "", []int{rings, good}, ErrRefused},
		"no file":             {"shm", welcome(true, false), "", nil, ErrProtocol},
		"one file of two":     {"direct", welcome(true, true), "", []int{rings}, ErrProtocol},
		"two files for one":   {"shm", welcome(true, false), "", []int{rings, rings}, ErrProtocol},
		"three files":         {"direct", welcome(true, true), "", []int{rings, good, good}, ErrProtocol},
		"many files":          {"shm", welcome(true, false), "", many, ErrProtocol},
		"bytes behind it":     {"shm", welcome(true, false), "x", []int{rings}, ErrProtocol},
		"a pipe":              {"shm", welcome(true, false), "", []int{pipe[0]}, ErrProtocol},
		"a file":              {"shm", welcome(true, false), "", []int{int(file.Fd())}, ErrProtocol},
		"unsealed":            {"shm", welcome(true, false), "", []int{memory(t, right, 0)}, ErrProtocol},
		"half sealed":         {"shm", welcome(true, false), "", []int{memory(t, right, unix.F_SEAL_GROW)}, ErrProtocol},
		"empty":               {"shm", welcome(true, false), "", []int{memory(t, 0, sealed)}, ErrProtocol},
		"huge":                {"shm", welcome(true, false), "", []int{memory(t, 1<<40, sealed)}, ErrProtocol},
		"all zero":            {"shm", welcome(true, false), "", []int{memory(t, right, sealed)}, ErrProtocol},
		"read only":           {"shm", welcome(true, false), "", []int{memory(t, right, sealed|unix.F_SEAL_WRITE)}, ErrProtocol},
		"used":                {"shm", welcome(true, false), "", []int{used.FD()}, ErrProtocol},
		"a table as rings":    {"shm", welcome(true, false), "", []int{good}, ErrProtocol},
		"rings as a table":    {"direct", welcome(true, true), "", []int{rings, rings}, ErrProtocol},
		"a pipe as a table":   {"direct", welcome(true, true), "", []int{rings, pipe[0]}, ErrProtocol},
		"zeros as a table":    {"direct", welcome(true, true), "", []int{rings, memory(t, 1<<20, sealed)}, ErrProtocol},
		"unsealed table":      {"direct", welcome(true, true), "", []int{rings, memory(t, 1<<20, 0)}, ErrProtocol},
		"of another epoch":    {"direct", welcome(true, true), "", []int{rings, other}, ErrProtocol},
		"good rings":          {"shm", welcome(true, false), "", []int{rings}, nil},
		"good table":          {"direct", welcome(true, true), "", []int{rings, good}, nil},
		"files over unix":     {"unix", welcome(false, false), "", []int{rings, good}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			files, mappings := held(t)
			var nc *net.UnixConn
			client, err := s.dial(c.scheme, func() {
				nc = s.accept()
				s.say(nc, c.welcome, c.rest, c.files...)
			})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			_ = nc.Close()
			if client != nil {
				_ = client.Close()
				client = nil
			}
			leftBy(t, files, mappings)
		})
	}
}

// leftBy waits until no more is held than before. A table's mapping goes with the garbage.
func leftBy(t *testing.T, files, mappings int) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		f, m := held(t)
		if f <= files && m <= mappings {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files and %d mappings, before %d and %d", f, m, files, mappings)
		}
	}
}

// What a server does to the rings later ends the connection with an error, and nothing else.
func TestHostileRings(t *testing.T) {
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(i*31 + 7)
	}
	for name, harm := range map[string]func(k *sharedConn){
		"noise":             func(k *sharedConn) { k.send(noise) },
		"a huge frame":      func(k *sharedConn) { k.send([]byte{0xff, 0xff, 0xff, 0xff, 1}) },
		"an empty frame":    func(k *sharedConn) { k.send([]byte{0, 0, 0, 0}) },
		"a framed nothing":  func(k *sharedConn) { k.send([]byte{0, 0, 0, 3, 1, 2, 3}) },
		"tail too far":      func(k *sharedConn) { k.set(repliesTail, testRing+1) },
		"tail backwards":    func(k *sharedConn) { k.set(repliesTail, ^uint64(0)) },
		"head too far":      func(k *sharedConn) { k.set(requestsHead, 1<<40) },
		"head backwards":    func(k *sharedConn) { k.set(requestsHead, ^uint64(0)) },
		"no bell":           func(k *sharedConn) { _, _ = k.nc.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")) },
		"a second welcome":  func(k *sharedConn) { b, _ := wire.AppendHandshake(nil, &testWelcome); _, _ = k.nc.Write(b) },
		"zeros on the wire": func(k *sharedConn) { _, _ = k.nc.Write(make([]byte, 8)) },
	} {
		t.Run(name, func(t *testing.T) {
			files, mappings := held(t)
			s := newSharedServer(t)
			var k *sharedConn
			client, err := s.dial("shm", func() { k = s.share() })
			if err != nil {
				t.Fatal(err)
			}
			failed := make(chan error, 1)
			go func() {
				// More than a ring holds, so that the client looks at both indexes.
				failed <- client.Session().Write(context.Background(), "k", make([]byte, 2*testRing))
			}()
			k.awaitTail(1)
			harm(k)
			_, _ = k.nc.Write(bell)
			select {
			case err := <-failed:
				if !errors.Is(err, ErrProtocol) {
					t.Errorf("got %v", err)
				}
			case <-time.After(within):
				t.Fatal("an operation does not end")
			}
			k.close()
			_ = client.Close()
			_ = s.l.Close()
			leftBy(t, files, mappings)
		})
	}
}

// A server that is lost while a request is on its way: the session's next reply is its own.
func TestLostWhileSending(t *testing.T) {
	s := newSharedServer(t)
	var k *sharedConn
	client, err := s.dial("shm", func() { k = s.share() })
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session := client.Session()
	for round := range 3 {
		value, before := make([]byte, 4*testRing), k.tail()
		written := make(chan error, 1)
		go func() { written <- session.Write(context.Background(), "k", value) }()
		k.awaitTail(before + testRing) // the ring is full
		k.close()
		k = s.share() // the same life: the request is repeated
		r := k.request()
		if r.Op != causal.OpWrite || len(r.Value) != len(value) {
			t.Fatalf("round %d: %v of %d bytes", round, r.Op, len(r.Value))
		}
		k.answer(r, nil)
		if err := <-written; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		read := make(chan error, 1)
		go func() {
			got, found, err := session.Read(context.Background(), "other")
			if err == nil && (!found || string(got) != fmt.Sprint(round)) {
				err = fmt.Errorf("read %q, %v", got, found)
			}
			read <- err
		}()
		k.answer(k.request(), fmt.Append(nil, round))
		if err := <-read; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	k.close()
}

// The reply to an operation that was given up is read, though nobody waits for it and
// nothing else happens: a server must not take its client for one that does not read.
func TestLateReplyIsRead(t *testing.T) {
	s := newSharedServer(t)
	var k *sharedConn
	client, err := s.dial("shm", func() { k = s.share() })
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer k.close()
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		read := make(chan error, 1)
		go func() {
			_, _, err := client.Session().Read(ctx, "k")
			read <- err
		}()
		r := k.request()
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		k.answer(r, make([]byte, 10*testRing)) // waits for the client to read it
	}
	read := make(chan error, 1)
	go func() {
		got, _, err := client.Session().Read(context.Background(), "k")
		if err == nil && string(got) != "v" {
			err = fmt.Errorf("read %q", got)
		}
		read <- err
	}()
	k.answer(k.request(), []byte("v"))
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// A server that claims to sleep, again and again, and never hears a bell, holds up nobody:
// a socket takes some hundred of them.
func TestServerThatDoesNotHear(t *testing.T) {
	s := newSharedServer(t)
	var k *sharedConn
	client, err := s.dial("shm", func() { k = s.share() })
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer k.close()
	rung := make(chan struct{})
	go func() {
		defer close(rung)
		channel := client.current.(*channel)
		for range 5000 {
			k.set(requestsSleeps, 1)
			channel.ring()
		}
	}()
	select {
	case <-rung:
	case <-time.After(within):
		t.Fatal("a bell that nobody hears is waited for")
	}
	if n, err := k.nc.Read(make([]byte, 8<<10)); err != nil || n < 10 {
		t.Errorf("%d bells are in the socket, it takes more: %v", n, err)
	}
}

// A server that hangs up with the hello half read resets the connection.
func TestResetWithinTheHandshake(t *testing.T) {
	for _, scheme := range []string{"unix", "shm", "direct"} {
		s := newSharedServer(t)
		_, err := s.dial(scheme, func() {
			nc, err := s.l.AcceptUnix()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := nc.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			_ = nc.Close()
		})
		if !errors.Is(err, ErrDisconnected) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}
