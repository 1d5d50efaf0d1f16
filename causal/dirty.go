package causal

import (
	"bytes"
	"hash/maphash"
)

// dirtySet holds the keys whose newest version the database may lack. What becomes
// clean makes room for what becomes dirty, so that writes make no garbage here: that
// is why it is not a map of strings.
type dirtySet struct {
	seed   maphash.Seed // as in Go's own maps: only against keys that are made to collide
	chains map[uint64]*dirtyKey
	count  int
	most   int // that it has held since it was made
	bytes  int // that its keys are charged with
	free   *dirtyKey
	spare  int // keys in free
}

// dirtyKey is a key whose newest version the database may lack. The version itself is
// in the table, which keeps it for as long as it is dirty.
type dirtyKey struct {
	key      []byte
	version  receipt
	ready    bool // complete: an incomplete version must not reach the database
	queued   bool
	inFlight bool
	over     bool // the flush under way names the foreign value that it replaces
	next     *dirtyKey
}

const (
	// dirtyOverhead is what a dirty key costs beside its bytes: the struct, its places in
	// the set and in the two queues.
	dirtyOverhead = 224
	// spareDirty is how many clean keys are kept for others.
	spareDirty = 1024
	// keepDirty is how many keys the set, and what refers to them, may have held and keep its
	// memory when it is empty.
	keepDirty = 16 << 10
	// spareKeyBytes is the longest key whose memory is kept.
	spareKeyBytes = 256
)

func newDirtySet() dirtySet {
	return dirtySet{seed: maphash.MakeSeed(), chains: map[uint64]*dirtyKey{}}
}

func (s *dirtySet) len() int { return s.count }

func (s *dirtySet) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func (s *dirtySet) get(key []byte) *dirtyKey {
	d := s.chains[s.hash(key)]
	for d != nil && !bytes.Equal(d.key, key) {
		d = d.next
	}
	return d
}

// add returns a new entry for key, which is not in the set.
func (s *dirtySet) add(key []byte) *dirtyKey {
	d := s.free
	if d == nil {
		d = &dirtyKey{}
	} else {
		s.free = d.next
		s.spare--
	}
	h := s.hash(key)
	*d = dirtyKey{key: append(d.key[:0], key...), next: s.chains[h]}
	s.chains[h] = d
	s.count++
	s.most = max(s.most, s.count)
	s.bytes += len(key) + dirtyOverhead
	return d
}

// remove takes d out. Queues may still refer to it: its version tells them that it is
// not the one that they mean.
func (s *dirtySet) remove(d *dirtyKey) {
	h := s.hash(d.key)
	if first := s.chains[h]; first != d {
		for first.next != d {
			first = first.next
		}
		first.next = d.next
	} else if d.next != nil {
		s.chains[h] = d.next
	} else {
		delete(s.chains, h)
	}
	s.count--
	s.bytes -= len(d.key) + dirtyOverhead
	d.version, d.queued, d.next = receipt{}, false, nil
	if s.spare < spareDirty && cap(d.key) <= spareKeyBytes {
		d.next, s.free = s.free, d
		s.spare++
	}
}

// is reports whether v is the version that d is about.
func (d *dirtyKey) is(v *Version) bool { return d.version.dot == v.Dot && d.version.epoch == v.Epoch }
