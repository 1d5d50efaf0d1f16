package store

import (
	"errors"
	"testing"
	"time"

	"causalmesh/causal"
)

func testQueue() *queue {
	return newQueue(Config{QueueLength: 8, BatchRequests: 3, BatchBytes: 10, Timeout: time.Hour})
}

func flushOf(bytes int) causal.FlushRequest {
	return causal.FlushRequest{Version: &causal.Version{Value: make([]byte, bytes)}}
}

func (q *queue) mustTake(t *testing.T, loads, flushes int, late error) batch {
	t.Helper()
	b, open := q.take()
	if !open || len(b.loads) != loads || len(b.flushes) != flushes || !errors.Is(b.late, late) {
		t.Fatalf("took %d loads, %d flushes, late %v, open %v; want %d, %d, %v",
			len(b.loads), len(b.flushes), b.late, open, loads, flushes, late)
	}
	return b
}

func TestQueueTakesTurns(t *testing.T) {
	q := testQueue()
	q.put(time.Now(), loadRequests(0, 7), []causal.FlushRequest{flushOf(1), flushOf(1), flushOf(1), flushOf(1)})
	if b := q.mustTake(t, 3, 0, nil); b.loads[0].ID != 0 || b.loads[2].ID != 2 {
		t.Fatal("not the oldest first")
	}
	q.mustTake(t, 0, 3, nil)
	if b := q.mustTake(t, 3, 0, nil); b.loads[0].ID != 3 {
		t.Fatal("not in order")
	}
	q.mustTake(t, 0, 1, nil)
	q.mustTake(t, 1, 0, nil)
}

func TestQueueBoundsBytes(t *testing.T) {
	q := testQueue()
	q.put(time.Now(), nil, []causal.FlushRequest{flushOf(4), flushOf(6), flushOf(1), flushOf(11), flushOf(0)})
	q.mustTake(t, 0, 2, nil) // 4+6
	q.mustTake(t, 0, 1, nil) // 1, as 1+11 is over
	q.mustTake(t, 0, 1, nil) // 11: one always goes
	q.mustTake(t, 0, 1, nil)
}

func TestQueueBoundsLength(t *testing.T) {
	q := testQueue()
	if l, f := q.put(time.Now(), loadRequests(0, 10), flushRequests(0, 9)); l != 8 || f != 8 {
		t.Fatalf("took in %d loads and %d flushes, want 8", l, f)
	}
	q.mustTake(t, 3, 0, nil)
	if l, f := q.put(time.Now(), loadRequests(0, 10), flushRequests(0, 9)); l != 3 || f != 0 {
		t.Fatalf("took in %d loads and %d flushes, want 3 and 0", l, f)
	}
}

func TestQueueLate(t *testing.T) {
	q := testQueue()
	now := time.Now()
	q.put(now.Add(-q.patience-time.Second), loadRequests(0, 5), nil)
	q.put(now, loadRequests(5, 1), nil)
	q.mustTake(t, 5, 0, errLate) // all of them, whatever the bound of a batch
	q.mustTake(t, 1, 0, nil)
}

func TestQueueClose(t *testing.T) {
	q := testQueue()
	q.put(time.Now(), loadRequests(0, 5), flushRequests(0, 5))
	q.close()
	if l, f := q.put(time.Now(), loadRequests(0, 1), flushRequests(0, 1)); l != 0 || f != 0 {
		t.Fatalf("a closed queue took in %d loads and %d flushes", l, f)
	}
	q.mustTake(t, 5, 0, errClosed)
	q.mustTake(t, 0, 5, errClosed)
	if _, open := q.take(); open {
		t.Fatal("still open")
	}
}

// TestQueueAdapts: batches that were not answered in time get smaller, down to one
// request, and grow again by and by.
func TestQueueAdapts(t *testing.T) {
	q := newQueue(Config{QueueLength: 1000, BatchRequests: 64, BatchBytes: 1 << 20, Timeout: time.Hour})
	size := func() int {
		q.put(time.Now(), make([]causal.LoadRequest, 100), nil)
		b, _ := q.take()
		q.loads = nil
		return len(b.loads)
	}
	for _, want := range []int{64, 32, 16, 8, 4, 2, 1, 1} {
		if got := size(); got != want {
			t.Fatalf("a batch of %d, want %d", got, want)
		}
		q.adapt(want, false)
	}
	q.adapt(1, true)
	if got := size(); got != 2 {
		t.Errorf("a batch of %d after one in time, want 2", got)
	}
	q.adapt(1, true) // that was less than a batch may have: it says nothing
	for range 100 {
		q.adapt(64, true)
	}
	if got := size(); got != 64 {
		t.Errorf("a batch of %d after many in time, want 64", got)
	}
}
