package shm

import (
	"fmt"
	"sync/atomic"
)

// Producer is the end of a ring that bytes are written to.
type Producer struct {
	ring
	end    uint64 // of what was published: tail, which only this end moves
	vacant uint64 // head as it was last seen: before it all is read
	err    error  // ErrCorrupt, with what was seen

	flags   *atomic.Uint64 // whether to stamp
	stamps  *stamps
	stamped uint64 // how many stamps there were
	read    uint64 // head as it was last seen for them
}

// Reserve returns the room there is, in place: a slice to append to, whose capacity is
// the room. If that is less than want, there is no more. What was appended is published
// by Commit; an append beyond the capacity ends up elsewhere, so look at it before. It
// fails with ErrTooLong, and goes on, if a ring of this size never has so much room.
func (p *Producer) Reserve(want int) ([]byte, error) {
	room, err := p.room(want)
	if err != nil {
		return nil, err
	}
	return p.span(p.end, room)[:0], nil
}

// Commit publishes the first n bytes of what was reserved.
func (p *Producer) Commit(n int) {
	if room := p.known(); n < 0 || uint64(n) > room {
		panic(fmt.Sprintf("shm: %d bytes committed of %d", n, room)) // the caller has written elsewhere
	}
	if n > 0 && p.flags.Load()&FlagStamp != 0 {
		p.stamp()
	}
	p.end += uint64(n)
	publish(p.tail, p.end)
}

// Write publishes as many of the bytes as there is room for, and says how many.
func (p *Producer) Write(b []byte) (int, error) {
	room, err := p.room(min(len(b), int(p.size)))
	if err != nil {
		return 0, err
	}
	b = b[:min(uint64(len(b)), room)]
	if len(b) == 0 {
		return 0, nil
	}
	if p.flags.Load()&FlagStamp != 0 {
		p.stamp()
	}
	written := 0
	for written < len(b) {
		n := copy(p.span(p.end, uint64(len(b)-written)), b[written:])
		p.end += uint64(n)
		written += n
	}
	publish(p.tail, p.end)
	return written, nil
}

// MustRing says, after something was published, whether the consumer sleeps and its bell
// has to be rung. It says so once.
func (p *Producer) MustRing() bool { return takeFlag(p.sleeps) }

// AwaitRoom says whether to wait for the producer's bell until there is room for n bytes
// at least. If not, there is room now, or an error to be had. After the bell there may be
// too little still.
func (p *Producer) AwaitRoom(n int) bool {
	// First the flag, then the look: the consumer does it the other way round.
	publish(p.waits, 1)
	if room, err := p.room(n); err == nil && int(room) < n {
		return true
	}
	p.StopWaiting()
	return false
}

// StopWaiting is for who has waited and was not woken by the bell.
func (p *Producer) StopWaiting() { dropFlag(p.waits) }

// known is the room there is at least: only this end makes it less.
func (p *Producer) known() uint64 { return p.size - (p.end - p.vacant) }

// room is known if that is enough, and otherwise what there is now.
func (p *Producer) room(want int) (uint64, error) {
	if p.err != nil {
		return 0, p.err
	}
	room := p.known()
	if int(room) >= want {
		return room, nil
	}
	if want > int(p.size) {
		return 0, fmt.Errorf("%w: %d bytes in a ring of %d", ErrTooLong, want, p.size)
	}
	// Head can move on to the end of what was published, and nowhere else.
	head := p.head.Load()
	if head-p.vacant > p.end-p.vacant {
		p.err = fmt.Errorf("%w: head %d, was %d, and tail is %d", ErrCorrupt, head, p.vacant, p.end)
		return 0, p.err
	}
	p.vacant = head
	return p.known(), nil
}
