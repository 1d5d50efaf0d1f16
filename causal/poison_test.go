package causal

import (
	"fmt"
	"testing"
	"time"
)

// TestOneUnflushableKeyDoesNotStopEviction: what one key has keeps F down, and must
// not keep everything else in memory with it.
func TestOneUnflushableKeyDoesNotStopEviction(t *testing.T) {
	limits := Limits{PendingBytes: 256 << 10, ValueBytes: 4096}
	s, err := NewServer(Config{Replicas: 1, Epoch: 1, Store: true, MemoryBytes: 1 << 20, Limits: limits}, NewHeapTable())
	if err != nil {
		t.Fatal(err)
	}
	now := testStart
	answer := func(flushes []FlushRequest) {
		for _, f := range flushes {
			r := &FlushResult{Key: f.Version.Key, Stamp: f.Version.Stamp, Status: FlushDone}
			if string(f.Version.Key) == "key0" {
				r.Status = FlushFailed
			}
			var out Output
			s.Step(&Input{Now: now, Kind: InputFlushed, Flush: r}, &out)
		}
	}
	for i := range 1000 {
		now = now.Add(10 * time.Millisecond)
		var out Output
		s.Step(&Input{Now: now, Kind: InputRequest, Request: &Request{
			ID: RequestID{Session: uint64(i + 1), Number: 1}, Op: OpWrite,
			Keys: [][]byte{fmt.Appendf(nil, "key%d", i)}, Value: make([]byte, 4096),
		}}, &out)
		if r := out.Replies[0].Reply; r.Code != CodeOK {
			t.Fatalf("write %d: %v %s", i, r.Code, r.Detail)
		}
		answer(out.Flushes)
		now = now.Add(200 * time.Millisecond) // past FlushRetry
		out.Reset()
		s.Tick(now, &out)
		answer(out.Flushes)
	}
	if s.Status().Dirty != 1 {
		t.Errorf("%d keys are dirty, want the one that cannot be flushed", s.Status().Dirty)
	}
}
