package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/shm"
)

// shared is a client in shared memory that publishes and takes when the test says so.
type shared struct {
	b         *bench
	socket    *net.UnixConn
	segment   *shm.Segment
	in        *shm.Consumer
	out       *shm.Producer
	memory    []byte // the file's first page
	published int
}

// attach greets the first node.
func (b *bench) attach() *shared {
	b.t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: b.Nodes[0].Socket, Net: "unix"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	hello, err := wire.AppendHandshake(nil, &wire.Hello{Client: "test", Rings: true})
	if err = errors.Join(err, c.SetDeadline(time.Now().Add(within))); err == nil {
		_, err = c.Write(hello)
	}
	control := make([]byte, syscall.CmsgSpace(4))
	n := 0
	if err == nil {
		_, n, _, _, err = c.ReadMsgUnix(make([]byte, wire.MaxHandshakeBytes), control)
	}
	messages, err2 := syscall.ParseSocketControlMessage(control[:n])
	if err != nil || err2 != nil || len(messages) != 1 {
		b.t.Fatal(err, err2, len(messages))
	}
	files, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = unix.Close(files[0]) }()
	s := &shared{b: b, socket: c}
	if s.segment, err = shm.Attach(files[0]); err != nil {
		b.t.Fatal(err)
	}
	if s.memory, err = unix.Mmap(files[0], 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := errors.Join(s.segment.Close(), unix.Munmap(s.memory)); err != nil {
			b.t.Error(err)
		}
	})
	s.in, s.out = s.segment.Ends()
	return s
}

// publish publishes a read.
func (s *shared) publish() {
	s.b.t.Helper()
	s.published++
	r := causal.Request{ID: causal.RequestID{Session: 1, Number: uint32(s.published)}, Op: causal.OpRead, Keys: [][]byte{[]byte(rawKey)}}
	frame := wire.AppendRequest(nil, &r)
	if n, err := s.out.Write(frame); n != len(frame) || err != nil {
		s.b.t.Fatal(n, err)
	}
	if s.out.MustRing() {
		if _, err := s.socket.Write([]byte{wire.Bell}); err != nil {
			s.b.t.Fatal(err)
		}
	}
}

// take waits for the reply.
func (s *shared) take() {
	s.b.t.Helper()
	s.b.eventually("a reply", s.in.Ready)
	if _, err := s.in.CopyOut(make([]byte, 0, 64<<10)); err != nil {
		s.b.t.Fatal(err)
	}
}

// stamp is where the time of the request that was published last is noted: see ring/shm.
func (s *shared) stamp() []byte {
	const stamps, count, bytes = 1280, 64, 16
	return s.memory[stamps+(s.published-1)%count*bytes+8:][:8]
}

// A request that is published while the node stands still waits in the queue.
func TestStandstillShowsInSharedMemory(t *testing.T) {
	b := start(t, single)
	b.shared = true
	c := b.attach()
	pid := b.Nodes[0].PID()
	for _, d := range holds {
		b.probe()
		b.stop(pid)
		before := time.Now()
		c.publish()
		after := time.Now()
		<-time.After(d) // It is this that is measured.
		going := time.Now()
		signal(t, pid, syscall.SIGCONT)
		c.take()
		ended := time.Now()
		b.awaitCounted(1)
		o := b.check(b.latency(), "read", 1)
		b.between("queue", o.Queue, going.Sub(after), ended.Sub(before))
		b.between("service", o.Service, 0, ended.Sub(going))
		b.between("total", o.Total, going.Sub(after), ended.Sub(before))
		b.off()
		c.publish()
		c.take()
	}
}

// A client may say any time. What cannot be is not believed, and what it says is believed for
// no longer than its ring has held something.
func TestStrangeStamps(t *testing.T) {
	b := start(t, single)
	c := b.attach()
	pid := b.Nodes[0].PID()
	b.probe()
	for i, want := range []struct {
		at    func(now uint64) uint64
		known bool
	}{
		{func(uint64) uint64 { return 0 }, false},
		{func(uint64) uint64 { return 1 }, false},
		{func(uint64) uint64 { return 1<<64 - 1 }, false},
		{func(uint64) uint64 { return 1 << 63 }, false},
		{func(now uint64) uint64 { return now + uint64(time.Hour) }, false},
		{func(now uint64) uint64 { return now - uint64(2*time.Minute) }, false},
		{func(now uint64) uint64 { return now - uint64(30*time.Second) }, true},
		{func(now uint64) uint64 { return now }, true},
	} {
		began := time.Now()
		c.publish()
		c.take()
		b.awaitCounted(2*i + 1)
		earlier := b.latency()["read"]
		b.stop(pid)
		c.publish()
		binary.NativeEndian.PutUint64(c.stamp(), want.at(shm.Now()))
		signal(t, pid, syscall.SIGCONT)
		c.take()
		ended := time.Now()
		b.awaitCounted(2*i + 2)
		o := b.latency()["read"]
		unknown := uint64(1)
		if want.known {
			unknown = 0
		}
		if o.Requests != earlier.Requests+1 || o.Service.Count != earlier.Service.Count+1 || o.Untimed != 0 || o.Unready != earlier.Unready+unknown {
			t.Errorf("%d: %+v after %+v, want %d unready", i, o, earlier, unknown)
		}
		if most := float64(ended.Sub(began)) * rounding; want.known && float64(o.Queue.Mean*o.Queue.Count-earlier.Queue.Mean*earlier.Queue.Count) > most+float64(o.Queue.Count) {
			t.Errorf("%d: %+v after %+v, want less than %.0f for one more", i, o.Queue, earlier.Queue, most)
		}
	}
}

// Probes go on and off while clients are busy: nobody notices but that they stamp, those who
// were there before as well.
func TestProbesSwitchUnderLoad(t *testing.T) {
	b := start(t, single)
	idle := b.attach()
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for _, way := range []string{"shm", "unix"} {
		c := b.dial(b.Nodes[0].Target(way))
		for range 4 {
			all.Go(func() {
				for s := c.Session(); ctx.Err() == nil; {
					if err := operate(b.ctx, s, 10); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	for range 5 {
		b.probe()
		if f := idle.segment.Flags(); f != shm.FlagStamp {
			t.Fatalf("flags %#x when the probes are on", f)
		}
		if f := b.attach().segment.Flags(); f != shm.FlagStamp {
			t.Fatalf("flags %#x of a client that comes later", f)
		}
		n := b.latency()["read"].Requests
		b.eventually("reads are counted", func() bool { return b.latency()["read"].Requests > n+100 })
		for name, o := range b.latency() {
			if o.Untimed > 16 { // They were on their way when the probes came.
				t.Errorf("%s: %+v", name, o)
			}
		}
		b.off()
		b.eventually("clients need not stamp", func() bool { return idle.segment.Flags() == 0 })
	}
	idle.publish()
	idle.take()
	if at := binary.NativeEndian.Uint64(idle.stamp()); at != 0 {
		t.Errorf("a stamp of %d while nobody watches", at)
	}
}

// What a client reads from the table itself is its own affair.
func TestDirectReadsAreNotSeen(t *testing.T) {
	b := start(t, single)
	b.probe()
	s := b.dial(b.Nodes[0].Target("direct")).Session()
	sent := 1
	if err := s.Write(b.ctx, rawKey, []byte("value")); err != nil {
		t.Fatal(err)
	}
	b.eventually("reads go to the table", func() bool {
		for range 100 {
			if _, _, err := s.Read(b.ctx, rawKey); err != nil {
				t.Fatal(err)
			}
		}
		sent += 100
		status, err := b.Nodes[0].Status(b.ctx)
		if err != nil {
			return false // It is busy.
		}
		return status.Daemon.Requests > 0 && int(status.Daemon.Requests) < sent
	})
	// It has counted some, and no others.
	n := 0
	b.eventually("as many are counted as the node has had", func() bool {
		status, err := b.Nodes[0].Status(b.ctx)
		n = b.counted()
		return err == nil && n == int(status.Daemon.Requests)
	})
	if n >= sent {
		t.Errorf("%d are counted of %d that went to the table or the node", n, sent)
	}
}

// When somebody has removed the pins, off still has the daemon stop.
func TestOffWithoutPins(t *testing.T) {
	b := start(t, single)
	c := b.attach()
	b.probe()
	if err := os.Rename(b.root, b.root+"-away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bpf.Off(b.root+"-away", "0") })
	if got, err := Off(b.ctx, b.root, b.Nodes[0].Admin); err != nil || !got.Already {
		t.Fatalf("%+v, %v", got, err)
	}
	b.eventually("clients need not stamp", func() bool { return c.segment.Flags() == 0 })
}
