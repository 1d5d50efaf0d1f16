package probe

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
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
	nc, err := net.Dial("unix", b.Nodes[0].Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	requests, err := wire.AppendHandshake(nil, &wire.Hello{Client: "test"})
	if err != nil {
		t.Fatal(err)
	}
	request := func(r causal.Request) {
		r.ID.Session, r.Keys = 1, [][]byte{[]byte("key")}
		requests = wire.AppendRequest(requests, &r)
	}
	request(causal.Request{ID: causal.RequestID{Number: 1}, Op: causal.OpWrite, Value: make([]byte, value)})
	for i := range uint32(reads) {
		request(causal.Request{ID: causal.RequestID{Number: 2 + i}, Op: causal.OpRead})
	}
	if _, err := nc.Write(requests); err != nil { // The kernel has room for them.
		t.Fatal(err)
	}
	b.eventually("the daemon answers", func() bool { return b.latency()["read"].Requests > 0 })
	if n := b.latency()["read"].Requests; n >= reads { // More than that is not sent before some is read.
		t.Fatalf("all %d reads were answered at once", n)
	}
	in := bufio.NewReader(nc)
	for range 1 + 1 + reads {
		var size [wire.FrameHeaderBytes]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
			t.Fatal(err)
		}
	}
	counted := b.latency()
	b.check(counted, "write", 1)
	b.check(counted, "read", reads)
}
