//go:build linux

package clientlib

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/shm"
)

// within bounds what must happen.
const within = 30 * time.Second

const testRing = 64 << 10

// sharedServer is a server whose every connection a test plays by hand.
type sharedServer struct {
	t    testing.TB
	path string
	l    *net.UnixListener
}

func newSharedServer(t testing.TB) *sharedServer {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &sharedServer{t: t, path: path, l: l}
}

// accept takes a client and its hello.
func (s *sharedServer) accept() *net.UnixConn {
	s.t.Helper()
	_ = s.l.SetDeadline(time.Now().Add(within))
	nc, err := s.l.AcceptUnix()
	if err != nil {
		s.t.Error(err)
		panic("no client")
	}
	_ = nc.SetDeadline(time.Now().Add(within))
	if _, err := nc.Read(make([]byte, wire.MaxHandshakeBytes)); err != nil {
		s.t.Error(err)
	}
	return nc
}

// say sends a welcome, with what follows it and with files.
func (s *sharedServer) say(nc *net.UnixConn, w wire.Welcome, rest string, files ...int) {
	s.t.Helper()
	b, err := wire.AppendHandshake(nil, &w)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := nc.WriteMsgUnix(append(b, rest...), unix.UnixRights(files...), nil); err != nil {
		s.t.Error(err)
	}
}

// share takes a client and gives it rings, whose other side is the test's.
func (s *sharedServer) share() *sharedConn {
	s.t.Helper()
	nc, segment := s.accept(), newSegment(s.t)
	words, err := unix.Mmap(segment.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		s.t.Fatal(err)
	}
	w := testWelcome
	w.Rings = true
	s.say(nc, w, "", segment.FD())
	k := &sharedConn{t: s.t, nc: nc, segment: segment, words: words}
	k.in, k.out = segment.Ends()
	return k
}

// sharedConn is the server's side of a connection.
type sharedConn struct {
	t       testing.TB
	nc      *net.UnixConn
	segment *shm.Segment
	in      *shm.Consumer
	out     *shm.Producer
	words   []byte // the page of the segment that has the indexes
}

// Where the indexes are: see ring/shm.
const (
	requestsTail, requestsHead, requestsSleeps = 256, 512, 640
	repliesTail                                = 768
)

func (k *sharedConn) set(off int, value uint64) { binary.NativeEndian.PutUint64(k.words[off:], value) }

// tail is how many bytes of requests the client has written.
func (k *sharedConn) tail() uint64 { return binary.NativeEndian.Uint64(k.words[requestsTail:]) }

// awaitTail waits until the client has written so many bytes of requests, which nobody reads.
func (k *sharedConn) awaitTail(n uint64) {
	k.t.Helper()
	eventually(k.t, "the client writes", func() bool { return k.tail() >= n })
}

func (k *sharedConn) close() {
	_ = k.nc.Close()
	_ = unix.Munmap(k.words)
	_ = k.segment.Close()
}

// bell waits for the client's.
func (k *sharedConn) bell() {
	if _, err := k.nc.Read(make([]byte, 64)); err != nil {
		k.t.Error(err)
		panic("no bell")
	}
}

// request waits for a whole request and returns a copy of its frame.
func (k *sharedConn) request() *causal.Request {
	b := make([]byte, 0, 4<<20)
	for {
		var err error
		if b, err = k.in.CopyOut(b); err != nil {
			k.t.Fatal(err)
		}
		if k.in.MustRing() {
			_, _ = k.nc.Write(bell)
		}
		body, _, err := wire.Next(b, wire.MaxFrameBytes)
		if err != nil {
			k.t.Fatal(err)
		}
		if body != nil {
			r := new(causal.Request)
			if err := wire.DecodeRequest(body, r); err != nil {
				k.t.Fatal(err)
			}
			return r
		}
		if k.in.Sleep() {
			k.bell()
		}
	}
}

// send writes to the ring of replies, however long it takes.
func (k *sharedConn) send(b []byte) {
	for len(b) > 0 {
		n, err := k.out.Write(b)
		if err != nil {
			k.t.Fatal(err)
		}
		b = b[n:]
		if n > 0 && k.out.MustRing() {
			_, _ = k.nc.Write(bell)
		}
		if n == 0 && k.out.AwaitRoom(1) {
			k.bell()
		}
	}
}

// answer answers a request: a read finds value.
func (k *sharedConn) answer(r *causal.Request, value []byte) {
	v := causal.Version{Dot: causal.Dot{Counter: 1}, Stamp: causal.Stamp{Time: 5}, Epoch: 1, Value: value}
	reply := &causal.Reply{ID: r.ID, Op: r.Op, Epoch: 1, Time: 9, Stability: causal.SignedVector{Vector: causal.VectorClock{1, 0, 0}}}
	if r.Op == causal.OpWrite {
		reply.Written = v
	} else {
		reply.Versions = []causal.Version{v}
	}
	k.send(wire.AppendReply(nil, reply, nil))
}

func newSegment(t testing.TB) *shm.Segment {
	t.Helper()
	segment, err := shm.Create(testRing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = segment.Close() })
	return segment
}

// dial connects while the server does what it does.
func (s *sharedServer) dial(scheme string, serve func()) (*Client, error) {
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	c, err := Dial(ctx, scheme+":"+s.path, WithTimeout(within))
	<-served
	return c, err
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
