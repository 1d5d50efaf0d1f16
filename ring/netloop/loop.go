package netloop

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

// Loop implements ring.Loop.
type Loop struct {
	opts     ring.Options
	mail     mailbox
	woken    atomic.Bool
	routines sync.WaitGroup // all goroutines of this loop; only the loop adds

	bytesOut     atomic.Uint64
	acceptErrors atomic.Uint64

	mu        sync.Mutex // guards the following
	listeners []*listener
	running   bool
	stopped   bool
	stopAt    time.Time // end of the grace period

	stopping    chan struct{}   // closed by Stop
	dialContext context.Context // ended by Stop
	cancelDials context.CancelFunc

	// The rest is the loop goroutine's.
	handler   ring.Handler
	poller    ring.Poller // the handler, if it is one; else nil
	conns     map[ring.ConnID]*conn
	lastID    ring.ConnID
	dials     int  // Dial calls that Connected has not answered
	ending    bool // Stop was seen
	stats     ring.Stats
	batch     []event // taken from the mailbox
	next      int     // the first of batch that is not handled
	dirty     []*conn // to be looked at after EndOfTurn
	soon      *time.Timer
	nextSweep time.Time
	turnBy    time.Time // when soon fires; zero if the handler has no wish
	ended     []*conn   // condemned: to be told to the handler in the next turn
	endedSwap []*conn
}

var _ ring.Loop = (*Loop)(nil)

// New makes a loop; zero options take their defaults.
func New(opts ring.Options) *Loop {
	l := &Loop{
		opts:     opts.WithDefaults(),
		mail:     newMailbox(),
		stopping: make(chan struct{}),
		conns:    make(map[ring.ConnID]*conn),
		soon:     time.NewTimer(time.Hour), // at the latest: it is a turn for nothing
	}
	l.dialContext, l.cancelDials = context.WithCancel(context.Background())
	return l
}

// Run implements ring.Loop.
func (l *Loop) Run(h ring.Handler) error {
	l.mu.Lock()
	if l.running {
		l.mu.Unlock()
		return ErrRunning
	}
	l.running = true
	if l.stopped { // What there was is closed already.
		l.mu.Unlock()
		return nil
	}
	l.handler = h
	for _, ln := range l.listeners {
		l.routines.Add(1)
		go l.accept(ln)
	}
	l.mu.Unlock()

	tick := time.NewTicker(l.opts.Tick)
	defer tick.Stop()
	period := max(l.opts.StallTimeout/socket.SweepsPerStall, time.Millisecond)
	l.nextSweep = l.opts.Now().Add(period)
	sweep := time.NewTimer(period) // It never fires before nextSweep.
	defer sweep.Stop()
	defer l.soon.Stop()
	l.poller, _ = h.(ring.Poller)
	for !l.finished() {
		ticked := false
		if l.poller == nil || l.ending || l.poller.Sleep() {
			ticked = l.wait(tick.C, sweep.C)
		} else {
			ticked = look(tick.C)
		}
		now := l.opts.Now()
		swept := !now.Before(l.nextSweep)
		if swept {
			l.nextSweep = now.Add(period)
			sweep.Reset(period)
		}
		l.turn(now, ticked, swept)
	}
	l.routines.Wait()
	l.closeMail()
	return nil
}

// closeMail closes the connections that nobody has heard of.
func (l *Loop) closeMail() {
	for _, e := range append(l.batch[l.next:], l.mail.close()...) {
		if e.kind == accepted {
			<-e.c.listener.waiting
			e.c.nc.Close()
		}
	}
}

func (l *Loop) finished() bool {
	return l.ending && len(l.conns) == 0 && l.dials == 0
}

// wait returns when there is something to do.
func (l *Loop) wait(tick, sweep <-chan time.Time) (ticked bool) {
	if l.next < len(l.batch) || len(l.ended) > 0 {
		return look(tick)
	}
	select {
	case <-l.mail.signal:
	case <-tick:
		ticked = true
	case <-sweep:
	case <-l.soon.C:
		l.turnBy = time.Time{}
	}
	return ticked
}

// look is wait without waiting: a loop that never rests must keep its periods too.
func look(tick <-chan time.Time) (ticked bool) {
	select {
	case <-tick:
		return true
	default:
		return false
	}
}

// turn is the one that package ring draws.
func (l *Loop) turn(now time.Time, ticked, swept bool) {
	l.stats.Turns++
	l.finishEnded()
	l.handleEvents()
	if l.poller != nil && l.poller.Ready() {
		l.poller.Poll()
	}
	if l.woken.Load() && l.woken.Swap(false) {
		l.handler.Woken()
	}
	if swept {
		l.sweep(now)
	}
	if ticked {
		l.handler.Tick(now)
	}
	l.handler.EndOfTurn(now)
	l.seeStop(now)
	for _, c := range l.dirty {
		l.settle(c, now)
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
}

// handleEvents handles at most turnEvents events, oldest first. A connection has
// at most one chunk among them, so busy ones take turns with the others.
func (l *Loop) handleEvents() {
	if l.next == len(l.batch) {
		clear(l.batch)
		l.batch, l.next = l.mail.take(l.batch[:0]), 0
	}
	last := min(l.next+socket.TurnEvents, len(l.batch))
	for ; l.next < last; l.next++ {
		l.handle(l.batch[l.next])
	}
}

func (l *Loop) handle(e event) {
	c := e.c
	switch e.kind {
	case accepted:
		l.onAccepted(c)
	case dialed:
		l.onDialed(c, e.err)
	case received:
		l.onReceived(c)
	case readEnded:
		l.onReadEnded(c, e.err)
	case written:
		l.touch(c)
	case writeFailed:
		l.condemn(c, e.err)
	}
}

// Wake implements ring.Loop.
func (l *Loop) Wake() {
	if !l.woken.Swap(true) {
		l.mail.nudge()
	}
}

// Out implements ring.Loop.
func (l *Loop) Out(id ring.ConnID) *ring.Outgoing {
	c := l.conns[id]
	if c == nil || c.phase != open {
		return nil
	}
	if c.out == nil {
		c.out = getBuffer()
	}
	l.touch(c)
	return &c.out.Outgoing
}

// Queued implements ring.Loop.
func (l *Loop) Queued(id ring.ConnID) int {
	if c := l.conns[id]; c != nil {
		return c.queued()
	}
	return 0
}

// Close implements ring.Loop.
func (l *Loop) Close(id ring.ConnID) {
	if c := l.conns[id]; c != nil {
		l.beginClose(c, nil)
	}
}

// TurnWithin implements ring.Loop.
func (l *Loop) TurnWithin(d time.Duration) {
	if by := time.Now().Add(d); l.turnBy.IsZero() || by.Before(l.turnBy) {
		l.turnBy = by
		l.soon.Reset(d)
	}
}

// SendFiles implements ring.Loop.
func (l *Loop) SendFiles(id ring.ConnID, b []byte, files []int) error {
	c := l.conns[id]
	if c == nil || c.phase != open {
		return net.ErrClosed
	}
	var sent error
	if err := c.raw.Control(func(fd uintptr) { sent = socket.SendFiles(int(fd), b, files) }); err != nil {
		return err
	}
	if sent == nil {
		l.bytesOut.Add(uint64(len(b)))
	}
	return sent
}

// Timed implements ring.Loop. There is nobody to tell.
func (l *Loop) Timed(ring.Timing) {}

// Stats implements ring.Loop.
func (l *Loop) Stats() ring.Stats {
	s := l.stats
	s.OpenConns = len(l.conns)
	s.BytesOut = l.bytesOut.Load()
	s.AcceptErrors = l.acceptErrors.Load()
	return s
}
