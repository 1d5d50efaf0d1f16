package load

// queue holds sessions in order. It grows to what it has held at once, at most all
// sessions of a driver.
type queue struct {
	ring  []*session // a power of two
	first int
	count int
}

func (q *queue) push(s *session) {
	if q.count == len(q.ring) {
		larger := make([]*session, max(8, 2*len(q.ring)))
		for i := range q.count {
			larger[i] = q.ring[(q.first+i)&(len(q.ring)-1)]
		}
		q.ring, q.first = larger, 0
	}
	q.ring[(q.first+q.count)&(len(q.ring)-1)] = s
	q.count++
}

// head returns the first session, nil if there is none.
func (q *queue) head() *session {
	if q.count == 0 {
		return nil
	}
	return q.ring[q.first]
}

func (q *queue) pop() *session {
	s := q.head()
	if s != nil {
		q.first = (q.first + 1) & (len(q.ring) - 1)
		q.count--
	}
	return s
}
