package probe

import (
	"testing"

	"causalmesh/causal"
)

// What the daemon puts off, since its replies are not read, is counted and timed all the
// same: the positions go on through the pauses.
func TestRepliesThatAreNotRead(t *testing.T) {
	const (
		reads = 600
		value = 64 << 10 // so that the replies are far more than may wait for a connection
	)
	b := start(t, single)
	b.probe()
	c := b.connect()
	requests := c.request(nil, causal.OpWrite, make([]byte, value))
	for range reads {
		requests = c.request(requests, causal.OpRead, nil)
	}
	c.write(requests) // The kernel has room for them.
	b.eventually("the daemon answers", func() bool { return b.latency()["read"].Requests > 0 })
	if n := b.latency()["read"].Requests; n >= reads { // More than that is not sent before some is read.
		t.Fatalf("all %d reads were answered at once", n)
	}
	c.read(1 + reads)
	// What was read last is a moment earlier than the kernel's word that it was taken.
	b.eventually("all is sent", func() bool { return b.latency()["read"].Send.Count == reads })
	counted := b.latency()
	b.check(counted, "write", 1)
	b.check(counted, "read", reads)
}
