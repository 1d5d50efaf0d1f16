package netloop

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/internal/socket"
	"causalmesh/ring/looptest"
)

// The kernel is told to give up dead TCP peers on accepted and dialed connections.
func TestDeadPeerOptions(t *testing.T) {
	connected := make(chan struct{})
	l := New(ring.Options{})
	s := &looptest.Handler{Loop: l, OnConnected: func(_ uint64, _ ring.ConnID, err error) {
		if err != nil {
			t.Error(err)
		}
		close(connected)
	}}
	address := looptest.Serve(t, "tcp", s)
	s.Do(t, func() { l.Dial(1, "tcp", address, looptest.Patience) })
	looptest.Receive(t, connected, "Connected")
	looptest.Eventually(t, "both ends", func() bool { return s.Stats(t).OpenConns == 2 })
	s.Do(t, func() {
		for _, c := range l.conns {
			timeout, probed := 0, 0
			var err1, err2 error
			err := c.raw.Control(func(fd uintptr) {
				timeout, err1 = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
				probed, err2 = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			})
			if err := errors.Join(err, err1, err2); err != nil {
				t.Fatal(err)
			}
			want := int(socket.DeadPeerTimeout(l.opts).Milliseconds())
			if timeout != want || probed == 0 {
				t.Errorf("connection %d: TCP_USER_TIMEOUT %d ms, keep-alive %d; want %d and on", c.id, timeout, probed, want)
			}
		}
	})
}
