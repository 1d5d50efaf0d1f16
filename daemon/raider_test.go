package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/shm"
)

// Clients that do with their shared memory what they like.

// raider is a client in shared memory whose every byte is the test's.
type raider struct {
	t       testing.TB
	nc      *net.UnixConn
	segment *shm.Segment
	in      *shm.Consumer
	out     *shm.Producer
	memory  []byte // all of the file
	number  uint32
}

// Where the indexes are: see ring/shm.
const (
	requestsTail, requestsWaits               = 256, 384
	repliesHead, repliesSleeps                = 1024, 1152
	bellsAtOnce                               = 64 << 10
	attaches                                  = 10_000
	unreadAfter                 time.Duration = 200 * time.Millisecond
)

// raid connects a raider to node i.
func (c *cluster) raid(i int) *raider {
	c.t.Helper()
	nc, fd, err := attachRaw(c.socket(i))
	if err != nil {
		c.t.Fatal(err)
	}
	defer unix.Close(fd)
	r := &raider{t: c.t, nc: nc}
	if r.segment, err = shm.Attach(fd); err != nil {
		c.t.Fatal(err)
	}
	r.in, r.out = r.segment.Ends()
	if r.memory, err = unix.Mmap(fd, 0, os.Getpagesize()+2*ringBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(r.close)
	return r
}

// attachRaw shakes hands for rings and returns their file.
func attachRaw(path string) (*net.UnixConn, int, error) {
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, -1, err
	}
	_ = nc.SetDeadline(time.Now().Add(within))
	b, err := wire.AppendHandshake(nil, &wire.Hello{Client: "raider", Rings: true})
	if err == nil {
		_, err = nc.Write(b)
	}
	var controls int
	control := make([]byte, syscall.CmsgSpace(4))
	if err == nil {
		_, controls, _, _, err = nc.ReadMsgUnix(make([]byte, wire.MaxHandshakeBytes), control)
	}
	if err != nil {
		return nil, -1, errors.Join(err, nc.Close())
	}
	messages, err := syscall.ParseSocketControlMessage(control[:controls])
	if err != nil || len(messages) != 1 {
		return nil, -1, errors.Join(fmt.Errorf("%d messages with the welcome: %w", len(messages), err), nc.Close())
	}
	files, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(files) != 1 {
		return nil, -1, errors.Join(fmt.Errorf("%d files with the welcome: %w", len(files), err), nc.Close())
	}
	_ = nc.SetDeadline(time.Time{}) // it was the handshake's
	return nc, files[0], nil
}

func (r *raider) close() {
	if r.memory != nil {
		_ = r.nc.Close()
		_ = r.segment.Close()
		_ = unix.Munmap(r.memory)
		r.memory = nil
	}
}

func (r *raider) set(off int, value uint64) { binary.NativeEndian.PutUint64(r.memory[off:], value) }

func (r *raider) bell() { _, _ = r.nc.Write([]byte{wire.Bell}) }

// say puts bytes into the ring of requests, as many as there is room for, and rings.
func (r *raider) say(b []byte) int {
	n, err := r.out.Write(b)
	if err != nil {
		r.t.Error(err)
	}
	r.bell()
	return n
}

// reads are requests for the large value.
func (r *raider) reads(n int) (b []byte) {
	for range n {
		r.number++
		b = wire.AppendRequest(b, &causal.Request{
			ID: causal.RequestID{Session: 9, Number: r.number}, Op: causal.OpRead, Keys: [][]byte{[]byte("large")},
		})
	}
	return b
}

// batches are requests for the large value, many times each.
func (r *raider) batches(n, keys int) (b []byte) {
	for range n {
		r.number++
		b = wire.AppendRequest(b, &causal.Request{
			ID: causal.RequestID{Session: 9, Number: r.number}, Op: causal.OpReadMany,
			Keys: slices.Repeat([][]byte{[]byte("large")}, keys),
		})
	}
	return b
}

// ended waits for the node to hang up.
func (r *raider) ended() {
	r.t.Helper()
	_ = r.nc.SetReadDeadline(time.Now().Add(within))
	if _, err := io.Copy(io.Discard, r.nc); err != nil && !isReset(err) {
		r.t.Errorf("not closed: %v", err)
	}
}

// quick makes nodes lose their patience with clients that do not read soon.
func quick(n *node) {
	n.front.stallAfter = unreadAfter
	for _, r := range n.remotes {
		r.stallAfter = unreadAfter
	}
}

// raided is a node with a large value and clients that must be served all the while.
func raided(t *testing.T) (*cluster, []*witness) {
	t.Helper()
	c := newCluster(t, 1, nil)
	c.prepare = quick
	c.start(0)
	c.waitReady()
	client := c.dial(0, "unix")
	put(t, client.Session(), "large", strings.Repeat("x", 1<<20))
	_ = client.Close()
	return c, c.witnesses(0, "shm", "unix")
}

// What cannot be is counted, and ends the one connection that it came over.
func TestRaiders(t *testing.T) {
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(i*131 + i>>7)
	}
	corrupt := func(c Counters) uint64 { return c.CorruptRings }
	malformed := func(c Counters) uint64 { return c.Malformed }
	unread := func(c Counters) uint64 { return c.Unread }
	c, others := raided(t)
	raids := []struct {
		name  string
		do    func(r *raider)
		count func(Counters) uint64
	}{
		{"noise", func(r *raider) { r.say(noise) }, malformed},
		{"huge frame", func(r *raider) { r.say([]byte{0xff, 0xff, 0xff, 0xff}) }, malformed},
		{"empty frame", func(r *raider) { r.say([]byte{0, 0, 0, 0}) }, malformed},
		{"a hello", func(r *raider) { r.say(hello(r.t)) }, malformed},
		{"noise behind a request", func(r *raider) { r.say(append(r.reads(1), noise...)) }, malformed},
		{"no bell", func(r *raider) { _, _ = r.nc.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, malformed},
		{"bells, and then none", func(r *raider) { _, _ = r.nc.Write([]byte{wire.Bell, wire.Bell, 0}) }, malformed},
		{"a request on the socket", func(r *raider) { _, _ = r.nc.Write(r.reads(1)) }, malformed},
		{"tail too far", func(r *raider) { r.set(requestsTail, ringBytes+1); r.bell() }, corrupt},
		{"tail far too far", func(r *raider) { r.set(requestsTail, 1<<63); r.bell() }, corrupt},
		{"tail backwards", func(r *raider) { r.say(r.reads(1)); r.set(requestsTail, ^uint64(0)); r.bell() }, corrupt},
		{"head too far", func(r *raider) { r.set(repliesHead, 1<<40); r.say(r.reads(2)) }, corrupt},
		{"head backwards", func(r *raider) { r.set(repliesHead, ^uint64(0)); r.say(r.reads(2)) }, corrupt},
		{"reads nothing", func(r *raider) { r.say(r.reads(200)) }, unread},
		{"reads nothing, and asks on", func(r *raider) {
			for all := r.reads(20_000); len(all) > 0; {
				n := r.say(all)
				if all = all[n:]; n == 0 {
					return
				}
			}
		}, unread},
		{"huge batches", func(r *raider) { r.say(r.batches(100, 3)) }, unread},
		{"batches over the limit", func(r *raider) { r.say(append(r.batches(1, 256), r.batches(100, 3)...)) }, unread},
		{"batches of the node's core", func(r *raider) { r.say(append(r.batches(100, 3), r.batches(100, 5)...)) }, unread},
	}
	for _, raid := range raids {
		t.Run(raid.name, func(t *testing.T) {
			before := raid.count(c.status(0).Daemon)
			r := c.raid(0)
			r.t = t
			raid.do(r)
			goOn(t, others)
			r.ended()
			r.close()
			goOn(t, others)
			eventually(t, "it is counted", func() bool { return raid.count(c.status(0).Daemon) > before })
			eventually(t, "it is gone", func() bool { return c.status(0).Daemon.Clients == len(others) })
			if n := raid.count(c.status(0).Daemon) - before; n != 1 {
				t.Errorf("counted %d times", n)
			}
		})
	}
	stop(t, others)
	// One client has set up the node; none of the others had to connect again.
	if s := c.status(0).Daemon; int(s.Welcomed) != 1+len(others)+len(raids) {
		t.Errorf("others were cut off: %+v", s)
	}
}

// A client that asks and does not read has no more waiting for it than is meant to.
func TestRaiderThatDoesNotReadTakesLittleMemory(t *testing.T) {
	c := startCluster(t, 1, nil)
	s := c.dial(0, "unix").Session()
	put(t, s, "large", strings.Repeat("x", 1<<20))
	settled(t, s)
	reads := func() uint64 {
		s := c.status(0)
		return s.Server.Counters.Reads + s.Daemon.DirectReads
	}
	before := reads()
	r := c.raid(0)
	const asked = 300
	r.say(r.reads(asked))
	eventually(t, "some are served", func() bool { return reads() > before })
	put(t, s, "after", "1") // the node has come so far
	last := uint64(0)
	eventually(t, "no more are served", func() bool {
		c.tick(0)
		was := last
		last = reads()
		return was == last
	})
	if n := last - before; n > clientAhead>>20+2 {
		t.Errorf("%d MiB were read for a client that reads nothing", n)
	}
	// It gets all of them when it reads.
	var got []byte
	for next := uint32(1); next <= asked; {
		var err error
		if got, err = r.in.CopyOut(slices.Grow(got, ringBytes)); err != nil {
			t.Fatal(err)
		}
		if r.in.MustRing() {
			r.bell()
		}
		for {
			body, rest, err := wire.Next(got, wire.MaxFrameBytes)
			if err != nil {
				t.Fatal(err)
			}
			if body == nil {
				break
			}
			if id, err := wire.ReplyID(body); err != nil || id.Number != next {
				t.Fatalf("reply %d: %v, %v", next, id, err)
			}
			next++
			got = got[:copy(got, rest)]
		}
		if next <= asked && r.in.Sleep() {
			_ = r.nc.SetReadDeadline(time.Now().Add(within))
			if _, err := r.nc.Read(make([]byte, 64)); err != nil {
				t.Fatalf("before reply %d: %v", next, err)
			}
		}
	}
}

// A client that writes anything anywhere, again and again, harms nobody else.
func TestRandomWordsHarmNobody(t *testing.T) {
	const raids = 150
	c, others := raided(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range raids {
		r := c.raid(0)
		r.say(r.reads(1 + random.IntN(3)))
		for range 200 {
			value := random.Uint64()
			if random.IntN(2) == 0 {
				value >>= random.IntN(64)
			}
			switch random.IntN(4) {
			case 0: // a word of the header
				r.set(8*random.IntN(256), value)
			case 1: // a word nearby
				r.set(128*random.IntN(16), value)
			default:
				r.set(8*random.IntN(len(r.memory)/8), value)
			}
			if random.IntN(8) == 0 {
				r.bell()
			}
		}
		r.close()
	}
	goOn(t, others)
	stop(t, others)
	eventually(t, "they are gone", func() bool { return c.status(0).Daemon.Clients == 0 })
	if s := c.status(0).Daemon; s.CorruptRings == 0 {
		t.Errorf("nothing was found: %+v", s)
	}
}

// A client may ring as often as it likes, and say that it sleeps and waits all the time
// without ever listening.
func TestRaiderThatRingsAndDoesNotListen(t *testing.T) {
	c, others := raided(t)
	r := c.raid(0)
	bells := make([]byte, bellsAtOnce)
	for i := range bells {
		bells[i] = wire.Bell
	}
	for range 1_000_000 / bellsAtOnce {
		if _, err := r.nc.Write(bells); err != nil {
			t.Fatal(err)
		}
	}
	goOn(t, others)
	for range 2000 {
		r.set(requestsWaits, 1)
		r.set(repliesSleeps, 1)
		if r.say(r.reads(1)) == 0 {
			break
		}
		if _, err := r.in.CopyOut(make([]byte, 0, ringBytes)); err != nil {
			t.Fatal(err)
		}
	}
	goOn(t, others)
	stop(t, others)
	if s := c.status(0).Daemon; s.Malformed != 0 || s.CorruptRings != 0 {
		t.Errorf("it was called hostile: %+v", s)
	}
}

// Clients that come and go leave nothing behind.
func TestAttachedAndGone(t *testing.T) {
	c, others := raided(t)
	stop(t, others)
	before := c.baseline()
	attached := c.status(0).Daemon.Attached
	for range attaches {
		nc, fd, err := attachRaw(c.socket(0))
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
		_ = nc.Close()
	}
	eventually(t, "they are gone", func() bool {
		s := c.status(0).Daemon
		return s.Clients == 0 && s.Attached == attached+attaches
	})
	before.eventuallyLeft(t)
}
