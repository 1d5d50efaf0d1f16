package daemon

import (
	"sync"
	"sync/atomic"

	"causalmesh/causal"
	"causalmesh/ring"
)

// maxLetters is how many bytes may wait between two loops. Each loop takes all that
// there is in every turn, so this much waits only for one that has a lot to do.
const maxLetters = 8 << 20

// keepLetters is the largest batch whose memory is used again.
const keepLetters = 1 << 20

// letters carries frames from one loop to another, a turn's at a time. One loop calls
// add and send, the other one take.
type letters struct {
	waiting atomic.Int64 // bytes sent and not taken
	out     batch        // the sender's: added and not sent
	in      batch        // the receiver's: what it took last

	mu   sync.Mutex
	post batch // Invariant: under mu
}

// batch is a number of frames behind each other.
type batch struct {
	bytes   []byte
	letters []letter
}

type letter struct {
	conn ring.ConnID // at the loop that serves clients
	end  int         // of its bytes; they begin where the last ones end
	kind int32       // of request, as in ring.Outgoing
	code causal.Code // of a reply
	from ring.Origin // of request
}

// full reports whether nothing more should be added.
func (l *letters) full() bool { return int(l.waiting.Load())+len(l.out.bytes) > maxLetters }

// add takes what was appended to out.bytes as a letter.
func (l *letters) add(c ring.ConnID, kind int, code causal.Code, from ring.Origin) {
	l.out.letters = append(l.out.letters, letter{c, len(l.out.bytes), int32(kind), code, from})
}

// send hands over what was added; it reports whether there was anything.
func (l *letters) send() bool {
	if len(l.out.letters) == 0 {
		return false
	}
	l.waiting.Add(int64(len(l.out.bytes)))
	l.mu.Lock()
	if len(l.post.letters) == 0 {
		l.out, l.post = l.post, l.out
	} else {
		at := len(l.post.bytes)
		l.post.bytes = append(l.post.bytes, l.out.bytes...)
		for _, x := range l.out.letters {
			x.end += at
			l.post.letters = append(l.post.letters, x)
		}
	}
	l.mu.Unlock()
	l.out.clear()
	return true
}

// take returns what was sent. It is valid until the next take.
func (l *letters) take() *batch {
	l.in.clear()
	l.mu.Lock()
	l.in, l.post = l.post, l.in
	l.mu.Unlock()
	l.waiting.Add(-int64(len(l.in.bytes)))
	return &l.in
}

func (b *batch) clear() {
	if b.bytes, b.letters = b.bytes[:0], b.letters[:0]; cap(b.bytes) > keepLetters {
		*b = batch{}
	}
}
