//go:build linux

package uring

import (
	"math"

	"causalmesh/ring"
)

type phase uint8

const (
	open      phase = iota
	closing         // what is queued goes out; what arrives is discarded
	lingering       // our direction has ended; what arrives is discarded
	condemned       // operations are cancelled; Closed follows when none is left
	gone            // on Loop.ended, or free
)

type sending uint8

const (
	sendNothing sending = iota
	// sendAtOnce: in this or the next submission the kernel takes all of flight and
	// says nothing, or it says how much it has taken.
	sendAtOnce
	// sendLater: the kernel sends what it could not take at once, and says so.
	sendLater
)

// conn is a slot for a connection. Invariant: while the kernel has an operation on fd
// (receiving, or sending other than sendNothing), fd stays open and the slot is not
// used for another connection.
type conn struct {
	id   ring.ConnID // 0 while the slot is free
	slot int
	life uint64 // how often the slot was used
	fd   int

	listener *listener // nil if dialed

	phase      phase
	dirty      bool // on Loop.dirty
	paused     bool // the handler is not called, because of HighWater
	resuming   bool // on Loop.resumed
	receiving  bool // a receive is under way
	cancelling bool // what is under way is to end
	watched    bool // on Loop.silent
	heardAt    instant
	inputEnded bool // nothing more will arrive; inputError is why
	large      bool // has lately said more than a small block holds

	sending sending
	sent    int // of flight
	asked   int // of what the operation is to send
	movedAt instant

	reason     error // for Closed
	inputError error
	fresh      int       // bytes since the receive was last armed
	carried    *carry    // nil if nothing is held
	out        *outgoing // collects; nil if nothing is in it
	flight     *outgoing // goes out; nil if nothing does
}

// queued is how many bytes the kernel has not taken yet.
func (c *conn) queued() int {
	n := 0
	if c.flight != nil {
		n = len(c.flight.Bytes) - c.sent
	}
	if c.out != nil {
		n += len(c.out.Bytes)
	}
	return n
}

// busy is whether the kernel has an operation on the socket.
func (c *conn) busy() bool { return c.receiving || c.sending != sendNothing }

// lives is how often a slot may be used: ids are below 2^56, and not used again.
const lives = math.MaxUint64 >> (64 - 56 + slotBits)

// register gives a socket a slot and an id. It is nil if no slot is left.
func (l *Loop) register(fd int, ln *listener) *conn {
	var c *conn
	if last := len(l.free) - 1; last >= 0 {
		c = l.free[last]
		l.free = l.free[:last]
	} else if len(l.slots) < maxSlots {
		c = &conn{slot: len(l.slots)}
		l.slots = append(l.slots, c)
	} else {
		return nil
	}
	*c = conn{slot: c.slot, life: c.life + 1, fd: fd, listener: ln}
	c.id = ring.ConnID(c.life<<slotBits | uint64(c.slot))
	*l.records.at(receiveRecord(c.slot)) = record{}
	*l.records.at(sendRecord(c.slot)) = record{}
	*l.records.at(cancelRecord(c.slot)) = record{}
	l.openConns++
	l.watch(c)
	return c
}

// vacate frees a slot, unless its ids are used up.
func (l *Loop) vacate(c *conn) {
	c.id, c.listener, c.reason, c.inputError = 0, nil, nil, nil
	l.openConns--
	if c.life < lives {
		l.free = append(l.free, c)
	}
}

// find is nil for a connection that is gone.
func (l *Loop) find(id ring.ConnID) *conn {
	slot := uint64(id) & (maxSlots - 1)
	if id != 0 && slot < uint64(len(l.slots)) && l.slots[slot].id == id {
		return l.slots[slot]
	}
	return nil
}
