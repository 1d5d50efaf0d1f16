//go:build linux

package uring

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// State is what a failing test shows of a running loop, and what the kernel has to say of
// it. It is called on the loop.
func (l *Loop) State() string {
	var b strings.Builder
	r := l.kernel.ring
	fmt.Fprintf(&b, "at %v: %d to submit, %d completions, overflow %v, %d events left, ending %v, polling %v, hurry %v\n",
		l.now, r.SQReady(), r.CQReady(), r.CQHasOverflow(), len(l.events)-l.next, l.ending, l.polling, l.hurry)
	fmt.Fprintf(&b, "on lists: %d dirty, %d undecided, %d resumed, %d starved, %d ended, silent next at %v, lingerers at %v\n",
		len(l.dirty), len(l.undecided), len(l.resumed), len(l.starved), len(l.ended), l.silent.next(), l.lingerers.next())
	for _, ln := range l.listeners {
		fmt.Fprintf(&b, "listener %d: accepting %v, cancelling %v, open %d, retry at %v, poll %s\n",
			ln.id, ln.accepting, ln.cancelling, ln.open.Load(), ln.retryAt, pollNow(ln.fd))
	}
	for _, c := range l.slots {
		if c.id == 0 {
			continue
		}
		receive, send := l.records.at(receiveRecord(c.slot)), l.records.at(sendRecord(c.slot))
		fmt.Fprintf(&b, "connection %d in slot %d: phase %d, dirty %v, paused %v, input ended %v, reason %v, heard at %v, watched %v\n",
			c.id, c.slot, c.phase, c.dirty, c.paused, c.inputEnded, c.reason, c.heardAt, c.watched)
		fmt.Fprintf(&b, "\treceiving %v (armed %d times, %d bytes), cancelling %v (%d times), sending %d (%d times), %d queued, fd %d, poll %s\n",
			c.receiving, receive.Sequence, receive.Bytes, c.cancelling, l.records.at(cancelRecord(c.slot)).Sequence,
			c.sending, send.Sequence, c.queued(), c.fd, pollNow(c.fd))
	}
	fmt.Fprintf(&b, "the kernel: %s", kernelState(r.RingFd()))
	return b.String()
}

// pollNow is what the socket has: an end that it has and no receive has brought was missed.
func pollNow(fd int) string {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}}
	if _, err := unix.Poll(p, 0); err != nil {
		return err.Error()
	}
	unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return fmt.Sprintf("%#x, %d bytes unread (%v)", p[0].Revents, unread, err)
}

// kernelState is what the kernel tells of a ring, but for its tables of files and buffers.
func kernelState(fd int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
