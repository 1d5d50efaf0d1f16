package daemon

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
	"causalmesh/ring/shm"
)

// Clients in shared memory. What they ask for goes the same way as what comes over a
// socket; only the bytes are elsewhere, and the front polls for them.

const (
	// ringBytes is the size of a client's rings, each. Longer frames go through in pieces.
	ringBytes = 256 << 10
	// spinAtMost is how long a loop looks out for requests before it sleeps, if they have
	// come closer together than half of that lately: to be woken takes about as long, on a
	// virtual machine whose processors have gone to sleep, too.
	spinAtMost = 120 * time.Microsecond
	// exploreEvery: of so many sleeps without a spin before them one has one. Who sleeps makes
	// its clients slower, and so never sees how soon they could be back.
	exploreEvery = 16
	// serveAtOnce is how often a client's ring is emptied in a turn.
	serveAtOnce = 4
	// stallAfter ends a client that does not read its replies for so long.
	stallAfter = 10 * time.Second
	// firstRequests is what a client's requests are copied to at first.
	firstRequests = 4 << 10
)

// attached is a client's shared memory. It belongs to the front's loop.
type attached struct {
	segment *shm.Segment
	in      *shm.Consumer
	out     *shm.Producer
	// requests are copies of what has arrived and is not served: the client may change
	// its memory at any time.
	requests []byte
	// putOff: there may be whole requests among them, which wait until the client has read.
	putOff  bool
	replies ring.Outgoing
	// place is where replies began in the ring, nil if they began on the heap. They have
	// outgrown the ring's room if they are not there any more.
	place *byte
	// polled: the front looks for requests; else the client has to ring.
	polled bool
	// touched: there are replies to publish at the end of the turn.
	touched bool
	served  bool // something since the last tick
	movedAt causal.Time
	// came says of requests when they were taken, and emptied is when nothing was left
	// last. Neither goes on while nobody watches.
	came    coming
	emptied uint64
}

// attach takes a client that asks for shared memory in its hello, and answers it.
func (c *client) attach(hello *wire.Hello, w *wire.Welcome) error {
	f := c.f
	if err := f.cfg.mayShare(c.peer, hello.Table); err != nil {
		f.counters.SharingRefused++
		return c.refuse(wire.RefusedSharing, err)
	}
	segment, err := shm.Create(ringBytes)
	if err != nil {
		f.counters.SharingRefused++
		return c.refuse(wire.RefusedSharing, err)
	}
	segment.SetFlags(f.segmentFlags())
	files := []int{segment.FD()}
	w.Rings = true
	if hello.Table {
		fd, err := f.state.Load().table.Share()
		if err != nil {
			f.counters.SharingRefused++
			return errors.Join(c.refuse(wire.RefusedSharing, err), segment.Close())
		}
		defer func() { _ = unix.Close(fd) }()
		files, w.Table = append(files, fd), true
	}
	b, err := wire.AppendHandshake(nil, w)
	if err == nil {
		err = f.loop.SendFiles(c.id, b, files)
	}
	if err = errors.Join(err, segment.CloseFD()); err != nil {
		return errors.Join(err, segment.Close())
	}
	a := &attached{segment: segment, movedAt: f.now}
	a.in, a.out = segment.Ends()
	c.attached = a
	f.attached++
	f.counters.Attached++
	f.poll(c)
	return nil
}

// mayShare says why a client may not share memory with this node, nil if it may: its
// machine is this one, and if it wants to read the table its user is on the list.
func (c *Config) mayShare(p ring.Peer, table bool) error {
	switch {
	case p.UID < 0:
		return errElsewhere
	case table && p.UID != 0 && p.UID != os.Geteuid() && !slices.Contains(c.DirectUIDs, strconv.Itoa(p.UID)):
		return fmt.Errorf("%w: uid %d; add it to direct-uids, or dial shm: and not direct: as the target", errNotDirect, p.UID)
	}
	return nil
}

// detach gives a client's memory back.
func (c *client) detach() {
	f, a := c.f, c.attached
	if a == nil {
		return
	}
	c.attached = nil
	f.attached--
	f.polled = slices.DeleteFunc(f.polled, func(p *client) bool { return p == c })
	f.touched = slices.DeleteFunc(f.touched, func(p *client) bool { return p == c })
	if err := a.segment.Close(); err != nil {
		f.log.Error("memory of a client cannot be given back", "error", err)
	}
}

// bells takes what comes over the socket of a client in shared memory. Whatever is wrong
// with it is over when the turn gets to its ring.
func (c *client) bells(data []byte) int {
	if err := c.heed(data); err != nil {
		c.f.end(c, err)
	}
	return len(data)
}

func (c *client) heed(data []byte) error {
	for _, b := range data {
		if b != wire.Bell {
			return c.refuse(wire.RefusedMalformed, errNoBell)
		}
	}
	c.f.look()
	c.f.poll(c)
	return c.serveAttached()
}

// poll has the front look for requests of a client by itself from now on.
func (f *front) poll(c *client) {
	if a := c.attached; !a.polled {
		a.polled = true
		a.in.Awake()
		f.polled = append(f.polled, c)
	}
}

// Ready implements ring.Poller.
func (f *front) Ready() bool {
	for _, c := range f.polled {
		if c.wants() {
			return true
		}
	}
	return false
}

// servePolled carries out the requests of clients in shared memory.
func (f *front) servePolled() {
	f.look()
	for i := 0; i < len(f.polled); i++ {
		c := f.polled[i]
		if err := c.serveAttached(); err != nil {
			f.end(c, err)
			i-- // it is out of the list
		}
	}
}

// wants reports whether there is something to do for a client: it has asked for something,
// and has read enough of what it got.
func (c *client) wants() bool {
	a := c.attached
	return (a.putOff || a.in.Ready()) && !c.behind()
}

// serveAttached serves what a client has in its ring.
func (c *client) serveAttached() error {
	a := c.attached
	for n := 0; n < serveAtOnce && c.wants(); n++ {
		if !a.putOff {
			if err := c.takeRequests(); err != nil {
				return err
			}
		}
		used, err := c.serve(a.requests)
		if err != nil {
			return err
		}
		a.requests = a.requests[:copy(a.requests, a.requests[used:])]
		a.putOff = c.behind()
	}
	if len(a.requests) == 0 && cap(a.requests) > keepLetters {
		a.requests = nil
	}
	return c.publish()
}

// takeRequests copies what is in a client's ring.
func (c *client) takeRequests() (err error) {
	a, f := c.attached, c.f
	if n := cap(a.requests); len(a.requests) == n {
		a.requests = slices.Grow(a.requests, max(firstRequests, n)) // bounded by the longest frame
	}
	since := c.since()
	if a.requests, err = a.in.CopyOut(a.requests); err != nil {
		f.counters.CorruptRings++
		return err
	}
	c.noteComing(since)
	if a.in.MustRing() {
		f.ring(c)
	}
	a.served = true
	f.noteArrival()
	return nil
}

// out is what the turn has to say to a client, wherever it goes; nil if it is gone.
func (f *front) out(id ring.ConnID) *ring.Outgoing {
	if f.attached > 0 {
		if c := f.clients[id]; c != nil && c.attached != nil {
			return c.replies()
		}
	}
	return f.loop.Out(id)
}

// queued is how many bytes of a client's replies wait.
func (f *front) queued(id ring.ConnID) int {
	if f.attached > 0 {
		if c := f.clients[id]; c != nil && c.attached != nil {
			return c.waiting()
		}
	}
	return f.loop.Queued(id)
}

// waiting is how many bytes of replies the ring has had no room for.
func (c *client) waiting() int {
	a := c.attached
	if a.inPlace() {
		return 0
	}
	return len(a.replies.Bytes)
}

// inPlace reports whether all of the replies are in the ring, to be committed.
func (a *attached) inPlace() bool {
	return a.place != nil && a.place == unsafe.SliceData(a.replies.Bytes)
}

// replies is what the client is told next: written in place if the ring has room.
func (c *client) replies() *ring.Outgoing {
	a := c.attached
	if len(a.replies.Bytes) == 0 {
		a.movedAt = c.f.now // nothing has waited
		// An error says that the ring is corrupt: publish finds it.
		if b, err := a.out.Reserve(1); err == nil && cap(b) > 0 {
			a.replies.Bytes, a.place = b, unsafe.SliceData(b)
		}
	}
	if !a.touched {
		a.touched = true
		c.f.touched = append(c.f.touched, c)
	}
	return &a.replies
}

// publish makes replies visible to the client, as many as there is room for.
func (c *client) publish() error {
	behind := c.behind()
	if err := c.release(); err != nil {
		return err
	}
	if behind && !c.behind() {
		c.f.poll(c) // while it was, nobody looked for its requests, and it had no bell to ring
	}
	return nil
}

func (c *client) release() error {
	a := c.attached
	if c.f.watched && len(a.replies.Bytes) > 0 {
		c.tellTimes()
	}
	for len(a.replies.Bytes) > 0 {
		b, n := a.replies.Bytes, len(a.replies.Bytes)
		var err error
		if a.inPlace() {
			a.out.Commit(n)
		} else {
			n, err = a.out.Write(b)
		}
		if err != nil {
			c.f.counters.CorruptRings++
			return err
		}
		a.place = nil
		if n > 0 {
			a.movedAt = c.f.now
			if a.out.MustRing() {
				c.f.ring(c)
			}
		}
		a.replies.Bytes = b[n:]
		switch {
		case n == len(b):
		case len(a.replies.Bytes) > maxQueued:
			return fmt.Errorf("%d bytes queued: %w", len(a.replies.Bytes), ring.ErrStalled)
		case a.out.AwaitRoom(1):
			return nil
		}
	}
	a.replies, a.place = a.replies.Reused(nil), nil
	return nil
}

// ring rings a client's bell.
func (f *front) ring(c *client) {
	if out := f.loop.Out(c.id); out != nil {
		out.Bytes = append(out.Bytes, wire.Bell)
	}
}

// publishTouched ends a turn: what the core has said goes out.
func (f *front) publishTouched() {
	for len(f.touched) > 0 {
		c := f.touched[len(f.touched)-1]
		f.touched = f.touched[:len(f.touched)-1]
		c.attached.touched = false
		if err := c.publish(); err != nil {
			f.end(c, err)
		}
	}
}

// noteArrival keeps an average of the time between requests, for Spin. A single pause, or
// being put off the processor, does not end the spinning: four in a row do.
func (f *front) noteArrival() {
	gap := min(f.now.Sub(f.arrivedAt), 2*spinAtMost)
	f.arrivedAt = f.now
	f.gap += (gap - f.gap) / 8
}

// Spin implements ring.Poller: it is worth it if a request is to be expected soon.
func (f *front) Spin() time.Duration {
	switch {
	case len(f.polled) == 0:
		return 0
	case f.gap > spinAtMost/2:
		if f.rests++; f.rests%exploreEvery > 0 {
			return 0
		}
	}
	return spinAtMost
}

// Sleep implements ring.Poller: from now on all clients have to ring.
func (f *front) Sleep() bool {
	for len(f.polled) > 0 {
		if !f.stopPolling(len(f.polled) - 1) {
			return false
		}
	}
	return true
}

// stopPolling has the i-th of the polled clients ring from now on; false if there is
// something of it to serve.
func (f *front) stopPolling(i int) bool {
	c := f.polled[i]
	// Nothing is done for one that is behind before it has read. Then it rings as well.
	if a := c.attached; c.behind() || !a.putOff && a.in.Sleep() {
		a.polled = false
		f.polled = slices.Delete(f.polled, i, i+1)
		return true
	}
	return false
}

// tickAttached stops looking at clients that say nothing, and ends those that do not read.
func (f *front) tickAttached() {
	f.look()
	for i := len(f.polled) - 1; i >= 0; i-- {
		if a := f.polled[i].attached; a.served {
			a.served = false
		} else {
			f.stopPolling(i)
		}
	}
	if f.attached == 0 || f.now < f.sweepAt {
		return
	}
	f.sweepAt = f.now.Add(f.stallAfter / 8)
	for _, c := range f.clients {
		if a := c.attached; a != nil && len(a.replies.Bytes) > 0 && f.now > a.movedAt.Add(f.stallAfter) {
			f.end(c, ring.ErrStalled)
		}
	}
}
