package netloop

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

// The kernel is told to give up dead TCP peers on accepted and dialed connections.
func TestDeadPeerOptions(t *testing.T) {
	connected := make(chan struct{})
	s := &scripted{connected: func(_ uint64, _ ring.ConnID, err error) {
		if err != nil {
			t.Error(err)
		}
		close(connected)
	}}
	address := serve(t, "tcp", ring.Options{}, s)
	s.do(t, func() { s.loop.Dial(1, "tcp", address, 0) })
	receive(t, connected, "Connected")
	eventually(t, "both ends", func() bool { return s.stats(t).OpenConns == 2 })
	s.do(t, func() {
		for _, c := range s.loop.conns {
			timeout, probed := 0, 0
			var err1, err2 error
			err := c.raw.Control(func(fd uintptr) {
				timeout, err1 = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
				probed, err2 = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			})
			if err := errors.Join(err, err1, err2); err != nil {
				t.Fatal(err)
			}
			want := int(s.loop.deadPeerTimeout().Milliseconds())
			if timeout != want || probed == 0 {
				t.Errorf("connection %d: TCP_USER_TIMEOUT %d ms, keep-alive %d; want %d and on", c.id, timeout, probed, want)
			}
		}
	})
}
