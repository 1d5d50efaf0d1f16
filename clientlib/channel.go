package clientlib

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/shm"
)

// channel is a connection through shared memory. There is no writer: sessions put their
// requests into the ring themselves. Nor is there a reader while a session spins: who waits
// takes replies out of the ring, those of others too. Who has spun for long enough sleeps
// until the server rings, which is a byte on the socket that the connection began on.
type channel struct {
	calls
	nc      net.Conn
	raw     syscall.RawConn // nc's
	server  server
	segment *shm.Segment
	view    *view // nil unless the table is read directly

	// turn holds a token while nobody sends; who has it owns out and rest. It is no mutex
	// since who waits for it may lose patience.
	turn chan struct{}
	out  *shm.Producer
	rest []byte // of a frame that was given up half-way: it goes first
	// room gets a token when the server may have made room.
	room chan struct{}

	// receiving guards what receives.
	receiving sync.Mutex
	in        *shm.Consumer
	held      []byte // the beginning of a frame that is longer than the ring
	sleepers  int    // sessions that wait for the server's bell
	closed    bool

	// spin is how long a reply has taken lately, in nanoseconds.
	spin atomic.Int64
	// explored counts the waits that did not begin with a spin.
	explored atomic.Uint32
}

const (
	// spinAtMost is how long a session looks out for its reply before it sleeps. A server that
	// sleeps takes half of that to wake up, and who sleeps himself as long again.
	spinAtMost = 120 * time.Microsecond
	// exploreEvery: of so many waits that would not spin one does, to see whether it would
	// be worth it by now.
	exploreEvery = 16
	// spinLooks is how often it looks between two looks at the clock.
	spinLooks = 16
)

func newChannel(nc net.Conn, raw syscall.RawConn, w *wire.Welcome, segment *shm.Segment, v *view) *channel {
	c := &channel{
		calls: newCalls(), nc: nc, raw: raw, server: serverOf(w), segment: segment, view: v,
		turn: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	c.turn <- struct{}{}
	c.in, c.out = segment.Ends()
	return c
}

// identity implements link.
func (c *channel) identity() server { return c.server }

// roundTrip implements link.
func (c *channel) roundTrip(p *patience, k *call, r *causal.Request) (sent bool, err error) {
	began := time.Now()
	spins := c.spins()
	if spins {
		c.stayAwake()
	}
	sent, err = c.send(p, k, r)
	there := err == nil && spins && c.lookOut(k, began)
	if spins {
		spinners.Add(-1)
	}
	switch {
	case there:
		return true, k.err
	case err == nil:
		return true, c.sleep(p, k, began)
	case sent && !c.withdraw(k):
		<-k.done // the connection was lost meanwhile: the token is for nobody else
	}
	return sent, err
}

// spinners counts the sessions of this process that spin, on all connections.
var spinners atomic.Int32

// mostSpinners leaves room for the server, and for those that have something to do: where
// there is one processor nobody spins.
var mostSpinners = int32(runtime.NumCPU() / 2)

// spins decides whether to spin for the next reply: if the last ones came soon. Who does is
// one of the spinners.
func (c *channel) spins() bool {
	if time.Duration(c.spin.Load()) > spinAtMost && c.explored.Add(1)%exploreEvery != 0 {
		return false
	}
	if spinners.Add(1) > mostSpinners {
		spinners.Add(-1)
		return false
	}
	return true
}

// send puts a request into the ring. sent: some of it may be there, and all of it will be.
func (c *channel) send(p *patience, k *call, r *causal.Request) (sent bool, err error) {
	select {
	case <-c.turn:
	default:
		if err := p.wait(c.turn); err != nil {
			return false, fmt.Errorf("the server does not read: %w", err)
		}
	}
	defer func() { c.turn <- struct{}{} }()
	if err := c.cause(); err != nil {
		return false, err
	}
	if err := c.sendRest(p); err != nil {
		return false, err
	}
	place, err := c.out.Reserve(1)
	if err != nil {
		return false, c.broken(err)
	}
	c.mu.Lock()
	if err := c.err; err != nil {
		c.mu.Unlock()
		return false, err
	}
	c.add(k, r)
	c.mu.Unlock()
	// In place, if there is room. Otherwise append takes other memory.
	b := wire.AppendRequest(place, r)
	if len(b) <= cap(place) && unsafe.SliceData(b) == unsafe.SliceData(place) {
		c.out.Commit(len(b))
		c.ring()
		return true, nil
	}
	c.rest = append(c.rest[:0], b...)
	return true, c.sendRest(p)
}

// sendRest sends what was begun. Frames never mix: what does not go now goes before the
// next one. The caller has the turn.
func (c *channel) sendRest(p *patience) error {
	for len(c.rest) > 0 {
		n, err := c.out.Write(c.rest)
		if err != nil {
			return c.broken(err)
		}
		c.rest = c.rest[:copy(c.rest, c.rest[n:])]
		if n > 0 {
			c.ring()
		} else if c.out.AwaitRoom(1) {
			if err := p.wait(c.room); err != nil {
				return fmt.Errorf("the server does not read: %w", err)
			}
		}
		if err := c.cause(); err != nil {
			return err
		}
	}
	if cap(c.rest) > keptBufferBytes {
		c.rest = nil
	}
	return nil
}

// ring wakes the server, if it sleeps.
func (c *channel) ring() {
	if c.out.MustRing() {
		c.bell()
	}
}

// bell rings without waiting: a socket that takes no more is full of bells. Another error
// is found by run.
func (c *channel) bell() { _ = c.raw.Write(ringBell) }

var bell = []byte{wire.Bell}

func ringBell(fd uintptr) bool {
	_, _ = syscall.Write(int(fd), bell)
	return true
}

// stayAwake saves the server its bell while a session spins, if nothing else is to come.
func (c *channel) stayAwake() {
	if c.receiving.TryLock() {
		if !c.expects() && !c.closed {
			c.in.Awake()
		}
		c.receiving.Unlock()
	}
}

// lookOut spins until the reply is there, or it has taken too long.
func (c *channel) lookOut(k *call, began time.Time) bool {
	for {
		for range spinLooks {
			if len(k.done) > 0 {
				<-k.done
				c.spin.Store(int64(time.Since(began)))
				return true
			}
			if c.receiving.TryLock() {
				err := c.receive()
				c.receiving.Unlock()
				if err != nil {
					c.fail(err)
				}
			}
		}
		if time.Since(began) > spinAtMost {
			return false
		}
	}
}

// sleep waits until the server's bell has rung and the reply is there.
func (c *channel) sleep(p *patience, k *call, began time.Time) error {
	c.receiving.Lock()
	c.sleepers++
	err := c.drain()
	c.receiving.Unlock()
	if err != nil {
		c.fail(err)
	}
	err = c.await(p, k)
	c.receiving.Lock()
	c.sleepers--
	c.receiving.Unlock()
	// One slow reply does not end the spinning, several in a row do.
	took := int64(min(time.Since(began), 2*spinAtMost))
	c.spin.Store(c.spin.Load() + (took-c.spin.Load())/8)
	return err
}

// expects reports whether replies are to be taken in that nobody looks out for: somebody
// sleeps, or has given up. c.receiving is held.
func (c *channel) expects() bool { return c.sleepers > 0 || c.late.Load() > 0 }

// drain takes what there is, and sees to it that the server rings for what comes next.
// c.receiving is held.
func (c *channel) drain() error {
	for !c.closed {
		if err := c.receive(); err != nil {
			return err
		}
		if !c.expects() || c.in.Sleep() {
			return nil
		}
	}
	return nil
}

// receive handles the replies in the ring. c.receiving is held.
func (c *channel) receive() error {
	if c.closed || !c.in.Ready() {
		return nil
	}
	b, err := c.in.Peek()
	if err != nil {
		return c.brokenWith(err)
	}
	used, err := 0, error(nil)
	if len(c.held) > 0 {
		c.held = append(c.held, b...)
		var n int
		if n, err = c.dispatch(c.held); err == nil {
			used = len(b)
			c.held = c.held[:copy(c.held, c.held[n:])]
		}
	} else if used, err = c.dispatch(b); err == nil && used == 0 {
		// A frame that has only begun; it may be longer than the ring.
		c.held, used = append(c.held, b...), len(b)
	}
	if err != nil {
		return protocolError(err)
	}
	c.in.Advance(used)
	if cap(c.held) > keptBufferBytes && len(c.held) == 0 {
		c.held = nil
	}
	if c.in.MustRing() {
		c.bell()
	}
	return nil
}

// dispatch handles the whole frames in b, in place: nobody changes them but the server.
func (c *channel) dispatch(b []byte) (used int, err error) {
	for rest := b; ; used = len(b) - len(rest) {
		var body []byte
		if body, rest, err = wire.Next(rest, wire.MaxFrameBytes); err != nil || body == nil {
			return used, err
		}
		if err = c.handle(body); err != nil {
			return used, err
		}
	}
}

// run implements link.
func (c *channel) run() {
	if c.view != nil {
		var watch sync.WaitGroup
		watch.Go(func() { c.view.watch(c.lost) })
		defer watch.Wait()
	}
	c.listen()
	c.close()
}

// listen listens to the server's bell.
func (c *channel) listen() {
	buf := make([]byte, 512)
	for {
		n, err := c.nc.Read(buf)
		for i := range n {
			if buf[i] != wire.Bell { // the server says why it hangs up
				c.fail(c.refused(buf[i:n]))
				return
			}
		}
		if n > 0 {
			select {
			case c.room <- struct{}{}:
			default:
			}
			c.receiving.Lock()
			failure := c.drain()
			c.receiving.Unlock()
			if failure != nil {
				c.fail(failure)
				return
			}
		}
		if err != nil && n == 0 {
			c.fail(fmt.Errorf("%w: connection lost: %w", ErrDisconnected, err))
			return
		}
	}
}

// refused is why the server ends the connection.
func (c *channel) refused(b []byte) error {
	body, _, err := wire.Next(b, wire.MaxHandshakeBytes)
	if err != nil || body == nil {
		return fmt.Errorf("%w: %d bytes that are no bell", ErrProtocol, len(b))
	}
	if _, err = welcomeOf(body); err == nil {
		err = fmt.Errorf("%w: a second welcome", ErrProtocol)
	}
	return err
}

// broken notes that the ring's other end cannot be believed any more.
func (c *channel) broken(err error) error {
	err = c.brokenWith(err)
	c.fail(err)
	return err
}

func (c *channel) brokenWith(err error) error { return fmt.Errorf("%w: %w", ErrProtocol, err) }

// fail implements link. The memory goes when nobody uses it any more.
func (c *channel) fail(err error) {
	if c.view != nil {
		c.view.lost.Store(true) // before anybody hears of it
	}
	c.mu.Lock()
	first := c.end(err)
	c.mu.Unlock()
	if !first {
		return
	}
	_ = c.nc.Close()
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// close gives the rings back, after run.
func (c *channel) close() {
	<-c.turn
	defer func() { c.turn <- struct{}{} }() // who comes now finds that the connection is lost
	c.receiving.Lock()
	defer c.receiving.Unlock()
	c.closed = true
	_ = c.segment.Close()
}
