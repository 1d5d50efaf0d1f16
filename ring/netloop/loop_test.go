package netloop

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// While many connections have chunks waiting, each gets one before any gets two.
func TestConnectionsTakeTurns(t *testing.T) {
	const conns = 8
	// More than one read brings, whatever buffer the pool has.
	const size = readChunk + baseBuffer
	l := New(ring.Options{})
	s := &looptest.Handler{Loop: l}
	var order []ring.ConnID
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		order = append(order, c)
		return len(data), nil
	}
	address := looptest.Serve(t, "unix", s)
	var all []net.Conn
	for range conns {
		all = append(all, looptest.Dial(t, "unix", address))
	}
	looptest.Eventually(t, "all connections", func() bool { return s.Stats(t).OpenConns == conns })
	// The loop is held until every reader has handed over a chunk and more waits.
	s.Do(t, func() {
		for _, nc := range all {
			if _, err := nc.Write(make([]byte, size)); err != nil {
				t.Error(err)
			}
		}
		looptest.Eventually(t, "a chunk of each", func() bool {
			l.mail.mu.Lock()
			defer l.mail.mu.Unlock()
			return len(l.mail.events) == conns
		})
	})
	looptest.Eventually(t, "all bytes", func() bool { return s.Stats(t).BytesIn == conns*size })
	s.Do(t, func() {
		first := map[ring.ConnID]bool{}
		for _, c := range order[:conns] {
			first[c] = true
		}
		if len(first) != conns || len(order) < 2*conns {
			t.Errorf("order %v; want each of %d connections once, then again", order, conns)
		}
	})
}

// A failed accept does not end the acceptor.
func TestAcceptErrors(t *testing.T) {
	l := New(ring.Options{})
	s := &looptest.Handler{Loop: l}
	address := looptest.Listen(t, l, "unix")
	l.listeners[0].nl = &failingListener{l.listeners[0].nl, 3}
	looptest.Start(t, s)
	looptest.RoundTrip(t, looptest.Dial(t, "unix", address), "after errors")
	if stats := s.Stats(t); stats.AcceptErrors != 3 {
		t.Errorf("stats %+v, want 3 accept errors", stats)
	}
}

type failingListener struct {
	net.Listener
	failures int
}

func (f *failingListener) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, unix.EMFILE
	}
	return f.Listener.Accept()
}
