package store

import (
	"sync"
	"time"

	"causalmesh/causal"
)

// batch is what one worker does next: loads or flushes, not both, so that nobody
// who waits for a small value waits for the writing of large ones.
type batch struct {
	loads   []causal.LoadRequest
	flushes []causal.FlushRequest
	// late, if not nil, says why they fail without being asked: they waited for too
	// long, or the store is closed.
	late error
}

// queue holds the requests that wait for a worker.
type queue struct {
	length   int           // bound of the loads, and of the flushes
	requests int           // bound of one batch, at most
	bytes    int           // bound of the values in one batch
	patience time.Duration // after which a request is late

	mu      sync.Mutex
	wake    sync.Cond
	loads   line[causal.LoadRequest]
	flushes line[causal.FlushRequest]
	// flushNext: the last batch was of loads, so flushes have their turn if any
	// wait. Neither starves the other.
	flushNext bool
	closed    bool
	// batch bounds the requests of one batch now: see adapt.
	batch int
}

func newQueue(c Config) *queue {
	q := &queue{length: c.QueueLength, requests: c.BatchRequests, batch: c.BatchRequests, bytes: c.BatchBytes, patience: c.Timeout / 2}
	q.wake.L = &q.mu
	return q
}

// put takes in as many requests as there is room for, and returns how many.
func (q *queue) put(now time.Time, loads []causal.LoadRequest, flushes []causal.FlushRequest) (loadsIn, flushesIn int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, 0
	}
	loadsIn = min(len(loads), q.length-len(q.loads))
	for _, r := range loads[:loadsIn] {
		q.loads = append(q.loads, waiting[causal.LoadRequest]{r, now})
	}
	flushesIn = min(len(flushes), q.length-len(q.flushes))
	for _, r := range flushes[:flushesIn] {
		q.flushes = append(q.flushes, waiting[causal.FlushRequest]{r, now})
	}
	if loadsIn+flushesIn > 0 {
		q.wake.Signal()
	}
	return loadsIn, flushesIn
}

// adapt learns from a round trip of so many requests. A database that cannot carry
// out a batch in time goes on with it all the same, and is asked again: with batches
// of the same size nothing would ever be done. So they shrink by half at once, and
// grow one by one.
func (q *queue) adapt(asked int, inTime bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !inTime:
		q.batch = max(1, min(q.batch, asked)/2)
	case asked >= q.batch:
		q.batch = min(q.batch+1, q.requests)
	}
}

// take waits for requests. After close it hands out what is left, as late, and
// then reports false.
func (q *queue) take() (batch, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.loads) == 0 && len(q.flushes) == 0 {
		if q.closed {
			return batch{}, false
		}
		q.wake.Wait()
	}
	var b batch
	lateBefore := time.Now().Add(-q.patience)
	if len(q.flushes) == 0 || len(q.loads) > 0 && !q.flushNext {
		b.loads, b.late = q.loads.next(q, lateBefore, func(causal.LoadRequest) int { return 0 })
		q.flushNext = true
	} else {
		b.flushes, b.late = q.flushes.next(q, lateBefore, func(r causal.FlushRequest) int { return len(r.Version.Value) })
		q.flushNext = false
	}
	if len(q.loads) > 0 || len(q.flushes) > 0 {
		q.wake.Signal()
	}
	return b, true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
}

// waiting is a request and when it came.
type waiting[T any] struct {
	request T
	since   time.Time
}

// line is what waits, oldest first.
type line[T any] []waiting[T]

// next removes the requests of one batch: all that are late, or else as many as
// the queue's bounds allow, at least one.
func (l *line[T]) next(q *queue, lateBefore time.Time, bytes func(T) int) (requests []T, late error) {
	items := *l
	n := 0
	for n < len(items) && (q.closed || items[n].since.Before(lateBefore)) {
		n++
	}
	switch {
	case n > 0 && q.closed:
		late = errClosed
	case n > 0:
		late = errLate
	default:
		for total := 0; n < min(len(items), q.batch); n++ {
			total += bytes(items[n].request)
			if n > 0 && total > q.bytes {
				break
			}
		}
	}
	requests = make([]T, n)
	for i := range requests {
		requests[i] = items[i].request
	}
	clear(items[:n]) // lets go of the versions
	*l = items[n:]
	return requests, late
}
