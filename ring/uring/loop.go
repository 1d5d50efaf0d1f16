//go:build linux

package uring

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawelgaczynski/giouring"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

// instant is a time since the loop has begun.
type instant time.Duration

const never = instant(1<<63 - 1)

// Loop implements ring.Loop.
type Loop struct {
	opts        ring.Options
	submissions uint32
	buffers     int // receive buffers
	size        int // of a receive buffer

	woken    atomic.Bool // Wake was called
	stopNews atomic.Bool // Stop was called
	alarm    alarm
	inbox    inbox
	dialers  sync.WaitGroup

	mu        sync.Mutex // guards the following
	listeners []*listener
	running   bool
	stopped   bool
	stopAt    time.Time // end of the grace period

	dialContext context.Context // ended by Stop
	cancelDials context.CancelFunc

	// The rest belongs to the thread that Run is on.
	handler ring.Handler
	poller  ring.Poller // the handler, if it is one; else nil
	kernel  *kernel
	records *records
	pool    *pool
	blocks  blocks
	carries carries
	timings timings

	began     time.Time
	now       instant // of this turn
	nextTick  instant
	nextSweep instant
	stopNext  instant // end of the grace period
	turnBy    instant // as the handler wishes

	slots     []*conn
	free      []*conn // of slots
	openConns int
	dials     int // Dial calls that Connected has not answered
	ending    bool
	polling   bool // the poll of the alarm is armed
	leaving   bool // it is not to be armed any more
	// pollEnding: it is to end.
	pollEnding bool
	stats      ring.Stats

	fetched   []*giouring.CompletionQueueEvent
	events    []event  // completions, except those of sends
	next      int      // the first of events that is not handled
	undecided []*conn  // sendAtOnce
	hurry     bool     // what becomes of them is waited for
	rumour    bool     // the kernel has been asked for news and nothing has come since
	resumed   []*conn  // paused ones that may go on
	starved   []*conn  // got no buffer; to be armed before all others
	dirty     []*conn  // to be looked at after EndOfTurn
	ended     []*conn  // Closed is to be called
	lingerers timeline // that wait for the other side to close
	silent    timeline // that have received and may have missed an end
	arrivals  []arrival
}

var _ ring.Loop = (*Loop)(nil)

// New makes a loop; zero options take their defaults. It fails with ErrUnavailable
// where Probe does.
func New(opts ring.Options) (*Loop, error) {
	if err := Probe(); err != nil {
		return nil, err
	}
	l := &Loop{
		opts:        opts.WithDefaults(),
		submissions: submissions,
		buffers:     receiveBuffers,
		size:        receiveBuffer,
		alarm:       alarm{fd: -1},
	}
	l.dialContext, l.cancelDials = context.WithCancel(context.Background())
	return l, nil
}

// Run implements ring.Loop.
func (l *Loop) Run(h ring.Handler) error {
	l.mu.Lock()
	if l.running {
		l.mu.Unlock()
		return ErrRunning
	}
	l.running = true
	stopped := l.stopped
	l.mu.Unlock()
	if stopped { // What there was is closed already.
		return nil
	}
	// The kernel takes operations from the thread only that has made the ring.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.handler = h
	l.poller, _ = h.(ring.Poller)
	err := l.begin()
	for err == nil && !l.finished() {
		wait, idle := l.patience(), l.idle()
		if wait > 0 && l.poller != nil && !l.ending {
			wait, idle = l.lookOut(wait)
		}
		l.tell(!l.kernel.submitted(), wait >= 0)
		if err = l.kernel.enter(wait, idle); err == nil {
			l.turn()
		}
	}
	if err != nil {
		l.abandon(err)
	}
	l.end()
	return err
}

func (l *Loop) begin() (err error) {
	if err := l.alarm.open(); err != nil {
		return err
	}
	if l.kernel, err = newKernel(l.submissions); err != nil {
		return err
	}
	if l.records, err = newRecords(); err != nil {
		return err
	}
	if err = l.timings.open(); err != nil {
		return err
	}
	if l.pool, err = newPool(l.kernel, l.buffers, l.size); err != nil {
		return err
	}
	l.fetched = make([]*giouring.CompletionQueueEvent, fetchBatch)
	l.events = make([]event, 0, maxEvents)
	l.began = l.opts.Now()
	l.nextTick = instant(l.opts.Tick)
	l.nextSweep = l.sweepPeriod()
	l.stopNext, l.turnBy = never, never
	l.armAll()
	return nil
}

// end gives back everything. Nothing is under way any more.
func (l *Loop) end() {
	l.cancelDials()
	l.dialers.Wait()
	for _, a := range append(l.arrivals, l.inbox.close()...) {
		l.dismiss(a)
	}
	l.alarm.close()
	if l.kernel != nil {
		l.kernel.close()
	}
	if l.pool != nil {
		l.pool.free()
	}
	if l.records != nil {
		unmapMemory(l.records.memory)
	}
	l.blocks.free()
	unmapMemory(l.timings.memory)
}

// finished is whether nothing is left, in the kernel either.
func (l *Loop) finished() bool {
	if !l.ending || l.openConns > 0 || l.dials > 0 || l.next < len(l.events) {
		return false
	}
	for _, ln := range l.listeners {
		if ln.fd >= 0 {
			return false
		}
	}
	return !l.polling && l.kernel.submitted()
}

// idle is whether the turn has nothing to do without new completions.
func (l *Loop) idle() bool { return l.next == len(l.events) }

// patience is how long the thread may sleep. It leaves asleep set if at all.
func (l *Loop) patience() time.Duration {
	hurry := l.hurry || len(l.ended) > 0 || len(l.dirty) > 0 || len(l.resumed) > 0
	l.hurry = false
	if hurry || !l.idle() {
		return noWait
	}
	l.alarm.asleep.Store(true)
	if l.called() {
		return noWait
	}
	until := min(l.nextTick, l.nextSweep, l.stopNext, l.turnBy, l.lingerers.next(), l.silent.next())
	for _, ln := range l.listeners {
		if !ln.accepting && !l.ending {
			until = min(until, ln.retryAt)
		}
	}
	return max(0, time.Duration(until-l.now))
}

// called is whether another goroutine wants something.
func (l *Loop) called() bool { return l.woken.Load() || l.inbox.some.Load() || l.stopNews.Load() }

// turn is the one that package ring draws, after the wait.
func (l *Loop) turn() {
	l.alarm.asleep.Store(false)
	now := l.opts.Now()
	l.now = instant(now.Sub(l.began))
	if l.now >= l.turnBy {
		l.turnBy = never
	}
	l.stats.Turns++
	if l.timings.told > 0 && l.kernel.submitted() {
		l.timings.forget(l.now)
	}
	l.fetch()
	l.resume()
	l.takeArrivals()
	l.handleEvents()
	l.finishEnded()
	if l.poller != nil && l.poller.Ready() {
		l.poller.Poll()
	}
	if l.woken.Load() && l.woken.Swap(false) {
		l.handler.Woken()
	}
	l.keepTimes()
	if l.now >= l.nextTick {
		if l.nextTick += instant(l.opts.Tick); l.nextTick <= l.now {
			l.nextTick = l.now + instant(l.opts.Tick) // Ticks that were missed are left out.
		}
		l.handler.Tick(now)
	}
	l.handler.EndOfTurn(now)
	l.seeStop()
	l.settleAll()
	l.armAll()
}

// keepTimes does what is due.
func (l *Loop) keepTimes() {
	if l.now >= l.nextSweep {
		l.nextSweep = l.now + l.sweepPeriod()
		l.sweep()
	}
	l.endLingering()
	l.listenAgain()
}

func (l *Loop) sweepPeriod() instant {
	return instant(max(l.opts.StallTimeout/socket.SweepsPerStall, time.Millisecond))
}

// Out implements ring.Loop.
func (l *Loop) Out(id ring.ConnID) *ring.Outgoing {
	c := l.find(id)
	if c == nil || c.phase != open {
		return nil
	}
	if c.out == nil {
		c.out = l.blocks.get(c.large)
	}
	l.touch(c)
	return &c.out.Outgoing
}

// Queued implements ring.Loop.
func (l *Loop) Queued(id ring.ConnID) int {
	if c := l.find(id); c != nil {
		return c.queued()
	}
	return 0
}

// Close implements ring.Loop.
func (l *Loop) Close(id ring.ConnID) {
	if c := l.find(id); c != nil {
		l.beginClose(c, nil)
	}
}

// TurnWithin implements ring.Loop.
func (l *Loop) TurnWithin(d time.Duration) { l.turnBy = min(l.turnBy, l.now+instant(d)) }

// SendFiles implements ring.Loop.
func (l *Loop) SendFiles(id ring.ConnID, b []byte, files []int) error {
	c := l.find(id)
	if c == nil || c.phase != open {
		return net.ErrClosed
	}
	if err := socket.SendFiles(c.fd, b, files); err != nil {
		return err
	}
	l.stats.BytesOut += uint64(len(b))
	return nil
}

// Stats implements ring.Loop.
func (l *Loop) Stats() ring.Stats {
	s := l.stats
	s.OpenConns = l.openConns
	if l.kernel != nil {
		s.Enters = l.kernel.enters
	}
	return s
}
