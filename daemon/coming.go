package daemon

import (
	"math/bits"
	"time"

	"causalmesh/bpf/watch"
	"causalmesh/ring"
	"causalmesh/ring/shm"
)

// How long requests in shared memory wait and take. No system call shows that, so while
// somebody watches (bpf/watch) the daemon times them itself, and has the loop tell.

const (
	// longestWait is what is believed of a client's stamp.
	longestWait = uint64(time.Minute)
	// clocksDiffer is by how much a client's clock may be ahead of ours.
	clocksDiffer = uint64(time.Microsecond)
)

// coming is when a request was taken from shared memory, and how long it had waited by then;
// zero says nothing. It goes with the request as its position (ring.Outgoing), through the core
// and between loops, so that nothing has to be kept beside.
//
//	when: 48 bits of ns, 78 hours │ wait: an exponent of 6 bits │ 10 bits; 0: not known
type coming uint64

const (
	waitBits     = 16
	mantissaBits = 10
)

func newComing(now, wait uint64) coming {
	shift := max(0, bits.Len64(wait)-mantissaBits)
	return coming((now|1)<<waitBits | uint64(shift)<<mantissaBits | wait>>shift)
}

// wait is right within 1/1000.
func (c coming) wait() uint64 {
	w := uint64(c) & (1<<waitBits - 1)
	shift := w >> mantissaBits
	return w&(1<<mantissaBits-1)<<shift | 1<<shift>>1
}

// took is how long ago it was, at least a ns.
func (c coming) took(now uint64) uint64 {
	const most = 1<<(64-waitBits) - 1
	ns := (now - uint64(c)>>waitBits) & most
	if ns == 0 || ns == most { // when may be a ns too late
		return 1
	}
	return ns
}

// letWatch lets others watch the node until the returned function is called, after its loops
// have ended.
func (n *node) letWatch() (end func()) {
	w, err := watch.New(uint64(n.boot), 1+len(n.remotes))
	if err != nil {
		n.log.Warn("probes will not see requests in shared memory", "error", err)
		return func() {}
	}
	n.front.watch = w
	for _, r := range n.remotes {
		r.watch = w
	}
	return func() {
		if err := w.Close(); err != nil {
			n.log.Error("the page of those who watch cannot be given back", "error", err)
		}
	}
}

// look sees whether somebody watches.
func (f *front) look() {
	on := f.watch.On()
	if on == f.watched {
		return
	}
	f.watched = on
	for _, c := range f.clients {
		if a := c.attached; a != nil {
			a.segment.SetFlags(f.segmentFlags())
		}
	}
	f.watch.Follow(on)
}

// segmentFlags has clients say when they publish requests.
func (f *front) segmentFlags() uint64 {
	if f.watched {
		return shm.FlagStamp
	}
	return 0
}

// since is what a client says about when the next requests were published.
func (c *client) since() uint64 {
	if !c.f.watched {
		return 0
	}
	return c.attached.in.Since()
}

// noteComing follows the taking of requests.
func (c *client) noteComing(since uint64) {
	a := c.attached
	if !c.f.watched {
		a.came = 0
		return
	}
	now := shm.Now()
	a.came = newComing(now, waitOf(since, a.emptied, now))
	if !a.in.Ready() {
		a.emptied = now
	}
}

// waitOf is how long requests have waited, 0 if the client does not say, or says what cannot
// be. They were not there when the ring was empty, however long before the client has begun to
// publish them.
func waitOf(since, emptied, now uint64) uint64 {
	if since == 0 || since > now+clocksDiffer || now-min(since, now) > longestWait {
		return 0
	}
	return max(1, now-min(max(since, emptied), now))
}

// tellTimes tells how long the requests took whose replies are about to be published.
func (c *client) tellTimes() {
	o, now := &c.attached.replies, shm.Now()
	for kind, n := range o.Answers {
		if n > 0 {
			c.tellTime(now, ring.Older{Position: o.Position, Kind: uint32(kind), Count: n, Key: o.Key})
		}
	}
	for _, p := range o.Older {
		c.tellTime(now, p)
	}
	*o = ring.Outgoing{Bytes: o.Bytes, Older: o.Older[:0]}
}

func (c *client) tellTime(now uint64, p ring.Older) {
	t := ring.Timing{Connection: c.id, Key: p.Key, Kind: p.Kind, Count: p.Count}
	if came := coming(p.Position); came != 0 {
		t.Queue, t.Service = came.wait(), came.took(now)
	}
	c.f.loop.Timed(t)
}
