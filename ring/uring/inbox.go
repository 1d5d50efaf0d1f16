//go:build linux

package uring

import (
	"sync"
	"sync/atomic"
)

// arrival is a socket that other goroutines have for the loop.
type arrival struct {
	fd       int       // -1 if err says why there is none
	listener *listener // that has accepted it; nil if dialed
	token    uint64    // of Dial
	err      error
}

// inbox is how sockets come to the loop from elsewhere. Invariant: it is bounded, by
// socket.MaxDials and by MaxConns of the listeners that are dealt to the loop.
type inbox struct {
	some   atomic.Bool
	mu     sync.Mutex
	items  []arrival
	closed bool
}

// post is false if the loop has ended: the socket stays the caller's.
func (b *inbox) post(a arrival) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.items = append(b.items, a)
	b.some.Store(true)
	return true
}

// take swaps the queue for an empty one.
func (b *inbox) take(empty []arrival) []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.items
	b.items = empty
	b.some.Store(false)
	return taken
}

// close ends the inbox and returns what nobody has taken.
func (b *inbox) close() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.items
	b.items, b.closed = nil, true
	return left
}
