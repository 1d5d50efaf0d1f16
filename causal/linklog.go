package causal

// linkLog is what the server has to pass on to its successor, in the order in
// which it accepted it. An entry stays until E covers it, so that a link that
// was lost can be resynchronised; two-round propagation relies on the order.
//
// It names versions and does not hold them: what E does not cover, S does not either,
// so it is in the I-cache.
type linkLog struct {
	entries []logEntry
	head    int // entries before it are covered by E and gone
	next    int // index of the next entry to send, at least head
	// has and marks are what the successor is known to have received.
	has, marks VectorClock
	up         bool
}

// logEntry names a version, or the mark behind it.
type logEntry struct {
	dot  Dot
	mark bool
}

func (l *linkLog) append(e logEntry) { l.entries = append(l.entries, e) }

func (m Mark) dot() Dot { return Dot{Origin: m.Origin, Counter: m.Counter} }

// received reports whether the successor has e.
func (l *linkLog) received(e logEntry) bool {
	if e.mark {
		return l.marks.Covers(e.dot)
	}
	return l.has.Covers(e.dot)
}

// start begins a new connection to a successor that has received has and marks:
// everything that it lacks is sent again, in order.
func (l *linkLog) start(has, marks VectorClock) {
	l.up, l.next = true, l.head
	l.has, l.marks = has.Clone(), marks.Clone()
}

// trim drops covered entries: those at the front, and all of them once they
// outnumber what is really in flight (an entry that stays uncovered for long
// would hold back those behind it). Amortised, each entry is moved once.
func (l *linkLog) trim(everywhere VectorClock, inFlight int) {
	for l.head < len(l.entries) && everywhere.Covers(l.entries[l.head].dot) {
		l.head++
	}
	l.next = max(l.next, l.head)
	if live := len(l.entries) - l.head; l.head <= 64+live && live <= 64+4*inFlight {
		return
	}
	kept, next := l.entries[:0], -1
	for i := l.head; i < len(l.entries); i++ {
		if i == l.next {
			next = len(kept)
		}
		if !everywhere.Covers(l.entries[i].dot) {
			kept = append(kept, l.entries[i])
		}
	}
	if next < 0 {
		next = len(kept)
	}
	l.entries, l.head, l.next = kept, 0, next
}
