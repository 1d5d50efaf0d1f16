package causal

// memory keeps the last write of each session, the most recent ones of all, so
// that a retry under the same request id is answered and not done again.
type memory struct {
	last  map[uint64]remembered
	order []RequestID // ring buffer of at most limit, oldest at next
	next  int
	limit int
}

type remembered struct {
	number  uint32
	receipt receipt
}

func newMemory(n int) memory {
	return memory{last: map[uint64]remembered{}, limit: n}
}

// find returns the write that was done under id. It reports passed if the session
// has written since: a stray copy of an older request, which nobody waits for.
func (m *memory) find(id RequestID) (done receipt, found, passed bool) {
	r, ok := m.last[id.Session]
	if !ok || r.number < id.Number {
		return receipt{}, false, false
	}
	return r.receipt, true, r.number > id.Number
}

func (m *memory) add(id RequestID, done receipt) {
	if len(m.order) < m.limit {
		m.order = append(m.order, id)
	} else {
		if old := m.order[m.next]; m.last[old.Session].number == old.Number {
			delete(m.last, old.Session)
		}
		m.order[m.next] = id
		m.next = (m.next + 1) % len(m.order)
	}
	m.last[id.Session] = remembered{id.Number, done}
}

// heldWrite is a write whose acknowledgement waits for the successor.
type heldWrite struct {
	client  ClientID
	token   Token
	id      RequestID
	op      Op
	receipt receipt
}
