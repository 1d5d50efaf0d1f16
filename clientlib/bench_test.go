package clientlib

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// serveConstant answers every request at once, with the same value, and allocates
// nothing: what is measured against it is the client.
func serveConstant(b testing.TB) string {
	path := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		in := make([]byte, 0, 1<<20)
		var out []byte
		var request causal.Request
		reply := causal.Reply{Stability: causal.SignedVector{Vector: causal.VectorClock{4, 5, 6}}, Epoch: 1}
		value := causal.Version{Dot: causal.Dot{Counter: 4}, Stamp: causal.Stamp{Time: 7}, Epoch: 1, Value: []byte("8 bytes.")}
		if _, err := nc.Read(in[:cap(in)]); err != nil {
			return
		}
		out, _ = wire.AppendHandshake(out, &testWelcome)
		for {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
			n, err := nc.Read(in[len(in):cap(in)])
			if err != nil {
				return
			}
			in = in[:len(in)+n]
			buf := in
			for {
				body, rest, _ := wire.Next(buf, wire.MaxFrameBytes)
				if body == nil || wire.DecodeRequest(body, &request) != nil {
					break
				}
				buf = rest
				reply.ID, reply.Op, reply.Versions = request.ID, request.Op, reply.Versions[:0]
				for range request.Keys {
					reply.Versions = append(reply.Versions, value)
				}
				reply.Written = value
				out = wire.AppendReply(out, &reply, request.Known)
			}
			in = in[:copy(in, buf)]
		}
	}()
	b.Cleanup(func() { _ = l.Close() })
	return "unix:" + path
}

func constantClient(b testing.TB) *Client {
	c, err := Dial(b.Context(), serveConstant(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// A read costs one allocation: the value that the caller gets.
func TestReadAllocations(t *testing.T) {
	s := constantClient(t).Session()
	ctx := context.Background()
	read := func() {
		if v, found, err := s.Read(ctx, "key"); err != nil || !found || len(v) != 8 {
			t.Fatal(v, found, err)
		}
	}
	read()
	const most = 1.5 // the runtime allocates now and then, too
	if n := testing.AllocsPerRun(500, read); n > most {
		t.Errorf("%v allocations, at most %v", n, most)
	}
}

func BenchmarkRead(b *testing.B) {
	s := constantClient(b).Session()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Read(context.Background(), "key"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadMany(b *testing.B) {
	s := constantClient(b).Session()
	keys := make([]string, 10)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ReadMany(context.Background(), keys...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	s := constantClient(b).Session()
	value := []byte("8 bytes.")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Write(context.Background(), "key", value); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPipelined has many sessions share a connection.
func BenchmarkPipelined(b *testing.B) {
	c := constantClient(b)
	var failed atomic.Bool
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := c.Session()
		for pb.Next() && !failed.Load() {
			if _, _, err := s.Read(context.Background(), "key"); err != nil {
				failed.Store(true)
				b.Error(err)
			}
		}
	})
}
