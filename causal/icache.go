package causal

// queue holds the versions of one origin that have arrived and are not stable:
// the counters S+1 … R without gaps, oldest first.
type queue struct {
	versions []*Version
	head     int
}

func (q *queue) len() int { return len(q.versions) - q.head }

func (q *queue) push(v *Version) { q.versions = append(q.versions, v) }

// at returns the i-th oldest version.
func (q *queue) at(i int) *Version { return q.versions[q.head+i] }

func (q *queue) pop() *Version {
	v := q.versions[q.head]
	q.versions[q.head] = nil
	q.head++
	// Slide down once half of the slice is used up, so that it neither grows for
	// ever nor is copied often.
	if q.head > 32 && q.head*2 > len(q.versions) {
		n := copy(q.versions, q.versions[q.head:])
		clear(q.versions[n:])
		q.versions, q.head = q.versions[:n], 0
	}
	return v
}
