package table

import "slices"

// strays are entries that found no place in the index: more than fourteen of them
// fell on the same two buckets, in a segment that splitting does not help. Only the
// writer knows them; readers ask the daemon. There are none unless somebody knows the
// key of the hash.
type strays struct {
	slots  []uint64
	places map[string]int // index in slots
	keys   []string
}

// strayBytes is what a stray costs beside its block.
const strayBytes = 128

func (s *strays) find(key []byte) (int, bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	i, ok := s.places[string(key)]
	return i, ok
}

func (s *strays) add(key []byte, w uint64) {
	if s.places == nil {
		s.places = map[string]int{}
	}
	k := string(key)
	s.places[k] = len(s.slots)
	s.slots, s.keys = append(s.slots, w), append(s.keys, k)
}

// remove keeps the others in order: the eviction hand may be among them.
func (s *strays) remove(i int) {
	delete(s.places, s.keys[i])
	s.slots, s.keys = slices.Delete(s.slots, i, i+1), slices.Delete(s.keys, i, i+1)
	for ; i < len(s.keys); i++ {
		s.places[s.keys[i]] = i
	}
	if len(s.keys) == 0 {
		*s = strays{}
	}
}
