package daemon

import (
	"log/slog"
	"testing"

	"causalmesh/causal/wire"
	"causalmesh/ring"
	"causalmesh/ring/shm"
)

// sharingLoop is a quietLoop that attaches, as a client would, to what is sent over it.
type sharingLoop struct {
	quietLoop
	client *shm.Segment
}

func (l *sharingLoop) SendFiles(_ ring.ConnID, _ []byte, files []int) (err error) {
	l.client, err = shm.Attach(files[0])
	return err
}

// sharedConn is the connection of a sharedNode.
const sharedConn = 1

// sharedNode is a node without sockets, and the memory of its one client.
func sharedNode(t *testing.T) (*node, *shm.Segment) {
	t.Helper()
	loop := &sharingLoop{}
	return sharedNodeOn(t, loop, loop), loop.client
}

// sharedNodeOn is one on a loop that goes on from a sharingLoop.
func sharedNodeOn(t *testing.T, loop ring.Loop, sharing *sharingLoop) *node {
	t.Helper()
	cfg := DefaultConfig()
	cfg.ListenTCP = "127.0.0.1:0"
	n := newNode(cfg, nil, slog.New(slog.DiscardHandler), []ring.Loop{loop})
	if err := n.begin(1); err != nil {
		t.Fatal(err)
	}
	if err := n.Accepted(sharedConn, listenUnix, ring.Peer{UID: 0, PID: 1}); err != nil {
		t.Fatal(err)
	}
	b, err := wire.AppendHandshake(nil, &wire.Hello{Rings: true})
	if err != nil {
		t.Fatal(err)
	}
	if used, err := n.Received(sharedConn, b); used != len(b) || err != nil {
		t.Fatalf("used %d, %v", used, err)
	}
	t.Cleanup(func() {
		n.Closed(sharedConn, nil)
		_ = sharing.client.Close()
		_ = n.table.Close()
	})
	return n
}

// Replies that do not fit into the ring wait, from the moment that they are there: how much
// waits decides within the same turn what is withheld.
func TestRepliesThatOutgrowTheRingWait(t *testing.T) {
	n, _ := sharedNode(t)
	out := n.front.out(sharedConn)
	if out.Bytes = append(out.Bytes, make([]byte, 1000)...); n.front.queued(sharedConn) != 0 {
		t.Errorf("%d bytes wait that have room", n.front.queued(sharedConn))
	}
	out = n.front.out(sharedConn)
	if out.Bytes = append(out.Bytes, make([]byte, withholdAbove)...); n.front.queued(sharedConn) != withholdAbove+1000 {
		t.Errorf("%d bytes wait, of %d", n.front.queued(sharedConn), withholdAbove+1000)
	}
}
