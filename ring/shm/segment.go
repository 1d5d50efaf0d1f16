package shm

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Segment is one side's view of the memory that a client and the daemon share.
type Segment struct {
	memory    memory
	ringBytes int
	flags     *atomic.Uint64
	fd        int           // -1: not ours, or closed
	gone      atomic.Uint64 // stands for all words once the segment is closed

	// Between the two sides' ends, should both be in one process.
	_   [apart]byte
	in  Consumer
	out Producer
	_   [apart]byte
}

// Create makes a segment with two rings of ringBytes each: the daemon's side.
func Create(ringBytes int) (*Segment, error) {
	if err := checkRingBytes(ringBytes); err != nil {
		return nil, err
	}
	fd, err := createFile(fileBytes(ringBytes))
	if err != nil {
		return nil, err
	}
	m, err := mapFile(fd, ringBytes)
	if err != nil {
		return nil, errors.Join(err, closeFile(fd))
	}
	m.format(ringBytes)
	return newDaemon(m, ringBytes, fd), nil
}

// Attach maps a segment that a daemon has created: the client's side. The descriptor
// stays the caller's, who may close it at once.
func Attach(fd int) (*Segment, error) {
	ringBytes, err := checkFile(fd)
	if err != nil {
		return nil, err
	}
	m, err := mapFile(fd, ringBytes)
	if err != nil {
		return nil, err
	}
	if err := m.check(ringBytes); err != nil {
		return nil, errors.Join(err, m.unmap())
	}
	return newClient(m, ringBytes), nil
}

// newDaemon and newClient differ in what comes in and what goes out.
func newDaemon(m memory, ringBytes, fd int) *Segment {
	s := &Segment{memory: m, ringBytes: ringBytes, flags: m.word(offFlags), fd: fd}
	s.in.ring = m.ringAt(offRequests, m.requests, ringBytes)
	s.out.ring = m.ringAt(offReplies, m.replies, ringBytes)
	s.in.stamps, s.out.flags = s.memory.stamps(), &s.gone // nobody asks for stamps of replies
	return s
}

func newClient(m memory, ringBytes int) *Segment {
	s := &Segment{memory: m, ringBytes: ringBytes, flags: m.word(offFlags), fd: -1}
	s.in.ring = m.ringAt(offReplies, m.replies, ringBytes)
	s.out.ring = m.ringAt(offRequests, m.requests, ringBytes)
	s.out.stamps, s.out.flags = s.memory.stamps(), s.flags
	return s
}

// Ends returns what this side reads from and writes to: requests and replies for the
// daemon, replies and requests for the client. They are the same ones each time.
func (s *Segment) Ends() (in *Consumer, out *Producer) { return &s.in, &s.out }

// RingBytes is what a ring holds at most.
func (s *Segment) RingBytes() int { return s.ringBytes }

// Flags are the switches that the daemon has set, like FlagStamp. The daemon does not go by
// them: the client can write there.
func (s *Segment) Flags() uint64 { return s.flags.Load() }

// SetFlags sets the switches. It is for the daemon only.
func (s *Segment) SetFlags(flags uint64) { s.flags.Store(flags) }

// FD is the descriptor to be passed to the client. It is the segment's; -1 on the client's
// side and after CloseFD.
func (s *Segment) FD() int { return s.fd }

// CloseFD closes the descriptor. The memory stays.
func (s *Segment) CloseFD() error {
	fd := s.fd
	s.fd = -1
	if fd < 0 {
		return nil
	}
	return closeFile(fd)
}

// Close unmaps the memory, and closes the descriptor. A second call does nothing. The
// ends fail with ErrClosed from then on.
func (s *Segment) Close() error {
	none := ring{tail: &s.gone, waits: &s.gone, head: &s.gone, sleeps: &s.gone}
	s.in.ring, s.in.err = none, ErrClosed
	s.out.ring, s.out.err = none, ErrClosed
	s.in.stamps, s.out.stamps = nil, nil
	s.flags, s.out.flags = &s.gone, &s.gone
	if err := errors.Join(s.memory.unmap(), s.CloseFD()); err != nil {
		return fmt.Errorf("close the segment: %w", err)
	}
	return nil
}
