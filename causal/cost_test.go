//go:build !invariants

// The checks of the invariants build cost time and memory of their own.

package causal

import (
	"fmt"
	"testing"
)

// What one step may allocate. The figures are upper bounds, so that a change that
// makes a step dearer has to say so here.
const (
	readAllocs  = 0
	manyAllocs  = 0
	syncAllocs  = 0
	staleAllocs = 0 // a message without news

	// What a write makes is the copy in the table, here one on the heap: the version,
	// and its key and value. Queues, logs and vectors use their memory again.
	writeAllocs = 2
)

// budget measures what a step allocates on average.
func budget(t *testing.T, name string, limit float64, step func()) {
	t.Helper()
	got := testing.AllocsPerRun(2000, step)
	t.Logf("%s allocates %.2f times", name, got)
	if got > limit {
		t.Errorf("%s allocates %.2f times, the budget is %v", name, got, limit)
	}
}

// quiet is a server of a ring of three, with some keys, and no heed to its output.
func quiet(t testing.TB) (*Server, func(*Input)) {
	c := newCluster(t, 3, nil)
	for i := range 16 {
		c.write(0, session(uint64(i)+1), fmt.Sprint("k", i), "12345678")
	}
	c.settle()
	var out Output
	s, now := c.servers[0], c.now
	return s, func(in *Input) {
		now++
		in.Now = now
		out.Reset()
		if err := s.Step(in, &out); err != nil {
			t.Fatal(err)
		}
		for i := range out.Replies {
			if out.Replies[i].Reply.Code != CodeOK {
				t.Fatal(out.Replies[i].Reply.Detail)
			}
		}
	}
}

func TestReadAllocations(t *testing.T) {
	s, step := quiet(t)
	known := []SignedVector{{Vector: s.Stability().Clone()}}
	for name, c := range map[string]struct {
		r     Request
		limit float64
	}{
		"a read of a cached key":       {Request{Op: OpRead, Keys: byteKeys("k3"), Known: known}, readAllocs},
		"a read of four cached keys":   {Request{Op: OpReadMany, Keys: byteKeys("k1", "k2", "k3", "k4"), Known: known}, manyAllocs},
		"a request for the vector (S)": {Request{Op: OpSync, Known: known}, syncAllocs},
	} {
		c.r.Epoch = 7
		in := Input{Kind: InputRequest, Request: &c.r}
		budget(t, name, c.limit, func() { step(&in) })
	}
}

func TestIdleAllocations(t *testing.T) {
	s, step := quiet(t)
	in := Input{Kind: InputMessage, Peer: 2, Message: &Message{Kind: MessageRing, Epoch: 7, Everywhere: s.Everywhere().Clone()}}
	budget(t, "a heartbeat", staleAllocs, func() { step(&in) })
}

// TestWriteAllocations measures the head's whole share of a write: the request, the
// message to the successor, and word that everyone has it.
func TestWriteAllocations(t *testing.T) {
	s, step := quiet(t)
	r := Request{ID: RequestID{Session: 99}, Op: OpWrite, Epoch: 7, Keys: byteKeys("k3"), Value: []byte("12345678")}
	write := Input{Kind: InputRequest, Request: &r}
	var pull Message
	word := Input{Kind: InputMessage, Peer: 2, Message: &Message{Kind: MessageRing, Epoch: 7, Everywhere: s.Everywhere().Clone()}}
	budget(t, "a write, sent and stable", writeAllocs, func() {
		r.ID.Number++
		step(&write)
		s.Pull(write.Now, &pull)
		word.Message.Everywhere[0]++
		step(&word)
	})
}

// TestCostPerWriteIsFlat: what a write costs does not grow with what is in flight.
func TestCostPerWriteIsFlat(t *testing.T) {
	// A hundred thousand writes that the ring does not take, then all at once.
	c := newCluster(t, 3, func(cfg *Config) { cfg.Limits.PendingBytes = 1 << 30; cfg.Limits.ValueBytes = 100 })
	c.cut(0, 1)
	const n = 100_000
	in := Input{Kind: InputRequest, Now: c.now, Request: writeRequest(1, 0, "k", "v")}
	var out Output
	for range n {
		in.Request.ID.Number++
		out.Reset()
		if err := c.servers[0].Step(&in, &out); err != nil {
			t.Fatal(err)
		}
	}
	if st := c.servers[0].Status(); st.Pending != n || st.Unsent != n {
		t.Fatalf("%d pending, %d unsent", st.Pending, st.Unsent)
	}
	c.connect(0, 1)
	for range 4 {
		c.spread()
	}
	for i, s := range c.servers {
		if st := s.Status(); st.Pending != 0 || st.Unsent != 0 || st.Stable[0] != n {
			t.Errorf("server %d: %d pending, %d unsent, S=%v", i, st.Pending, st.Unsent, st.Stable)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	s, step := quiet(b)
	in := Input{Kind: InputRequest, Request: &Request{
		Op: OpRead, Epoch: 7, Keys: byteKeys("k3"), Known: []SignedVector{{Vector: s.Stability().Clone()}},
	}}
	b.ReportAllocs()
	for b.Loop() {
		step(&in)
	}
}

func BenchmarkWrite(b *testing.B) {
	s, step := quiet(b)
	r := Request{ID: RequestID{Session: 99}, Op: OpWrite, Epoch: 7, Keys: byteKeys("k3"), Value: []byte("12345678")}
	write := Input{Kind: InputRequest, Request: &r}
	var pull Message
	word := Input{Kind: InputMessage, Peer: 2, Message: &Message{Kind: MessageRing, Epoch: 7, Everywhere: s.Everywhere().Clone()}}
	b.ReportAllocs()
	for b.Loop() {
		r.ID.Number++
		step(&write)
		s.Pull(write.Now, &pull)
		word.Message.Everywhere[0]++
		step(&word)
	}
}
