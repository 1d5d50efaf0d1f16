//go:build linux

package uring

import (
	"fmt"
	"os"
	"syscall"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
)

const (
	// fetchBatch is how many completions are taken from the queue at once.
	fetchBatch = 64
	// maxEvents bounds those that wait to be handled; the others wait in the queue.
	maxEvents = 2 * submissions
)

// event is a completion that waits to be handled.
type event struct {
	index int32 // of the record
	res   int32
	flags uint32
}

func (e event) errno() syscall.Errno { return syscall.Errno(-e.res) }

// final is whether the operation has ended.
func (e event) final() bool { return e.flags&giouring.CQEFMore == 0 }

// fetch empties the completion queue. What became of the sends is seen to at once, so
// that what the handler is told about queues is true.
func (l *Loop) fetch() {
	l.events = l.events[:copy(l.events, l.events[l.next:])]
	l.next = 0
	for len(l.events)+fetchBatch <= maxEvents {
		n := min(l.kernel.ring.CQReady(), fetchBatch)
		if n == 0 {
			break
		}
		l.rumour = false
		for _, cqe := range l.fetched[:l.kernel.ring.PeekBatchCQE(l.fetched[:n])] {
			l.sort(event{int32(l.records.find(cqe.UserData)), cqe.Res, cqe.Flags})
		}
		l.kernel.ring.CQAdvance(n)
	}
	if l.kernel.submitted() && l.kernel.drained() {
		l.decide()
	}
}

func (l *Loop) sort(e event) {
	if e.index >= slotRecords {
		switch slot, p := slotOf(int(e.index)); p {
		case sendPlace:
			l.onSent(l.slots[slot], e)
			return
		case cancelPlace:
			l.onNotCancelled(l.slots[slot])
			return
		}
	}
	l.events = append(l.events, e)
}

// handleEvents handles at most so many that the others get their answers soon.
func (l *Loop) handleEvents() {
	last := min(l.next+socket.TurnEvents, len(l.events))
	for ; l.next < last; l.next++ {
		e := l.events[l.next]
		switch {
		case e.index == wakeRecord:
			l.polling = !e.final()
		case e.index == endRecord:
			l.endAgain()
		case e.index == timingRecord:
			l.timings.refused++
		case e.index < slotRecords:
			l.onAccept(l.listeners[e.index-acceptRecords], e)
		default:
			slot, _ := slotOf(int(e.index))
			l.onReceive(l.slots[slot], e)
		}
	}
	l.pool.publish()
}

func (l *Loop) onReceive(c *conn, e event) {
	if !c.receiving {
		panic(fmt.Sprintf("uring: connection %d receives unasked", c.id))
	}
	if e.flags&giouring.CQEFBuffer != 0 {
		buffer := uint16(e.flags >> giouring.CQEBufferShift)
		if e.res > 0 {
			l.onBytes(c, l.pool.bytes(buffer, int(e.res)))
		}
		l.pool.giveBack(buffer)
	}
	if !e.final() {
		return
	}
	c.receiving, c.cancelling = false, false
	switch {
	case c.phase == condemned:
	case e.res == 0:
		l.endInput(c, nil)
	case e.res > 0, e.errno() == unix.ECANCELED, e.errno() == unix.EINTR, e.errno() == unix.EAGAIN:
		l.touch(c)
	case e.errno() == unix.ENOBUFS:
		l.stats.Starved++
		if c.fresh == 0 {
			l.starved = append(l.starved, c)
		}
		l.touch(c)
	default:
		l.endInput(c, os.NewSyscallError("recv", e.errno()))
	}
	l.buryIfIdle(c)
}

// onBytes hands over what has arrived, in place if nothing is held from before.
func (l *Loop) onBytes(c *conn, data []byte) {
	if c.phase != open {
		return
	}
	l.stats.BytesIn += uint64(len(data))
	l.records.at(receiveRecord(c.slot)).Bytes += uint64(len(data))
	c.fresh += len(data)
	l.watch(c)
	if !c.paused && c.queued() > l.opts.HighWater {
		l.pause(c)
	}
	if c.carried != nil || c.paused {
		if c.carried == nil {
			c.carried = l.carries.get()
		}
		c.carried.add(data)
		if !c.paused {
			l.deliver(c)
		}
		return
	}
	used := l.received(c, data)
	if used < len(data) && c.phase == open {
		c.carried = l.carries.get()
		c.carried.add(data[used:])
		c.carried.use(0)
	}
}

// received calls the handler.
func (l *Loop) received(c *conn, data []byte) (used int) {
	used, err := l.handler.Received(c.id, data)
	if used < 0 || used > len(data) {
		panic(fmt.Sprintf("uring: handler used %d of %d bytes", used, len(data)))
	}
	switch {
	case err != nil:
		l.beginClose(c, err)
	case len(data)-used > l.opts.MaxUnused:
		l.beginClose(c, ring.ErrUnused)
	}
	return used
}

// deliver hands over what is held, what a receive has brought at a time, as it would have
// come without the wait: too much may be queued for the other side again, and the handler
// may note when requests have come.
func (l *Loop) deliver(c *conn) {
	held := c.carried
	for c.phase == open && held.seen < held.len() {
		if c.queued() > l.opts.HighWater {
			l.pause(c)
			return
		}
		held.use(l.received(c, held.next()))
	}
	if c.phase != open || held.len() == 0 {
		l.carries.put(held)
		c.carried = nil
	} else {
		c.carried = l.carries.fit(held)
	}
}

// pause stops the calls of Received until half of HighWater is sent, lest they start
// and stop with every send.
func (l *Loop) pause(c *conn) {
	c.paused = true
	l.touch(c)
}

// mayResume notes a paused connection that may go on.
func (l *Loop) mayResume(c *conn) {
	if c.paused && !c.resuming && c.phase == open && c.queued() <= l.opts.HighWater/2 {
		c.resuming = true
		l.resumed = append(l.resumed, c)
	}
}

func (l *Loop) resume() {
	for i := 0; i < len(l.resumed); i++ {
		c := l.resumed[i]
		if !c.resuming || c.phase != open {
			continue
		}
		c.resuming, c.paused = false, false
		l.touch(c)
		if c.carried != nil {
			l.deliver(c)
		}
		if c.inputEnded && !c.paused {
			l.finishInput(c)
		}
	}
	clear(l.resumed)
	l.resumed = l.resumed[:0]
}

// endInput notes that nothing more arrives. The handler first gets what is held.
func (l *Loop) endInput(c *conn, err error) {
	c.inputEnded, c.inputError = true, err
	if c.phase != open || !c.paused {
		l.finishInput(c)
	}
}

func (l *Loop) finishInput(c *conn) {
	switch {
	case c.phase == lingering:
		l.condemn(c, c.reason) // However it ended: we have said all.
	case c.inputError == nil:
		l.beginClose(c, nil)
		l.touch(c)
	default:
		l.condemn(c, c.inputError)
	}
}
