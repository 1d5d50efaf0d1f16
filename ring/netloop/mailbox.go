package netloop

import "sync"

type eventKind uint8

const (
	accepted    eventKind = iota + 1 // c is new, not registered
	dialed                           // c is new, or has no socket and err says why
	received                         // c's reader waits with a chunk
	readEnded                        // c's reader has ended; err is why
	written                          // c's writer is idle again, as the loop asked to know
	writeFailed                      // c's writer has ended; err is why
)

type event struct {
	kind eventKind
	c    *conn
	err  error
}

// mailbox is the queue to the loop goroutine. Posting never blocks, so a
// goroutine that is about to end cannot hang. Invariant: it is bounded, because
// each source has at most one event in it, an acceptor acceptBacklog.
type mailbox struct {
	mu     sync.Mutex
	events []event
	closed bool          // the loop has ended
	signal chan struct{} // holds one token if the loop has a reason to look
}

func newMailbox() mailbox { return mailbox{signal: make(chan struct{}, 1)} }

// post is false if the loop has ended: e stays the caller's. Only a dealing loop's
// acceptor can outlive the loop that it posts to.
func (m *mailbox) post(e event) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.events = append(m.events, e)
	first := len(m.events) == 1
	m.mu.Unlock()
	if first {
		m.nudge()
	}
	return true
}

// close ends the mailbox and returns what nobody has taken.
func (m *mailbox) close() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	left := m.events
	m.events, m.closed = nil, true
	return left
}

// nudge makes the loop take a turn.
func (m *mailbox) nudge() {
	select {
	case m.signal <- struct{}{}:
	default:
	}
}

// take swaps the queue for an empty one.
func (m *mailbox) take(empty []event) []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.events
	m.events = empty
	return taken
}
