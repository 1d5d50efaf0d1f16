package probe

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// raw is a client that writes and reads when the test says so.
type raw struct {
	b      *bench
	c      net.Conn
	in     *bufio.Reader
	number uint32
}

// connect greets the first node.
func (b *bench) connect() *raw {
	b.t.Helper()
	c, err := net.Dial("unix", b.Nodes[0].Socket)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		b.t.Fatal(err)
	}
	hello, err := wire.AppendHandshake(nil, &wire.Hello{Client: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	r := &raw{b: b, c: c, in: bufio.NewReader(c)}
	r.write(hello)
	r.read(1)
	return r
}

// request appends a request for a key of its own.
func (r *raw) request(to []byte, op causal.Op, value []byte) []byte {
	r.number++
	return wire.AppendRequest(to, &causal.Request{
		ID: causal.RequestID{Session: 1, Number: r.number}, Op: op, Keys: [][]byte{[]byte(rawKey)}, Value: value,
	})
}

const rawKey = "key"

func (r *raw) write(data []byte) {
	r.b.t.Helper()
	if _, err := r.c.Write(data); err != nil {
		r.b.t.Fatal(err)
	}
}

// read reads so many frames.
func (r *raw) read(frames int) {
	r.b.t.Helper()
	for range frames {
		var size [wire.FrameHeaderBytes]byte
		if _, err := io.ReadFull(r.in, size[:]); err != nil {
			r.b.t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r.in, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
			r.b.t.Fatal(err)
		}
	}
}
