package table

import (
	"math/bits"

	"causalmesh/causal"
)

// The limits of keys and values: the fields of an entry have no room for more.
const (
	MaxKeyBytes   = 1<<16 - 1
	MaxValueBytes = 8 << 20
)

// An entry is a block: the dot's counter, the stamp's time, a word of small things,
// up to three words that most entries do not need, then the key and the value.
const (
	entryCounter = 0 * wordBytes
	entryTime    = 1 * wordBytes
	entrySmall   = 2 * wordBytes // zero in a block that holds no entry
	entryMore    = 3 * wordBytes
)

// The word of small things: key length 16, value length 24, origins of the dot and of
// the stamp 8 each, flags 8.
const (
	keyShift    = 48
	valueShift  = 24
	originShift = 16
	stampShift  = 8
	valueMask   = 1<<24 - 1
)

const (
	flagEntry       = 1 << iota // always set
	flagTombstone               // a delete
	flagComplete                // otherwise incomplete
	flagValue                   // the value is not nil
	flagEpoch                   // there is a word with the epoch: not the table's
	flagDeadline                // there is a word with the deadline
	flagIncarnation             // there is a word with the dot's incarnation

	flagsMore = flagEpoch | flagDeadline | flagIncarnation
)

func keyBytes(small uint64) uint64   { return small >> keyShift }
func valueBytes(small uint64) uint64 { return small >> valueShift & valueMask }

// headBytes is where the key begins.
func headBytes(small uint64) uint64 {
	return entryMore + uint64(bits.OnesCount64(small&flagsMore))*wordBytes
}

// entryBytes is the size of an entry, in whole words.
func entryBytes(small uint64) uint64 {
	return headBytes(small) + (keyBytes(small)+valueBytes(small)+wordBytes-1)&^(wordBytes-1)
}

// smallWord makes the word of small things of v.
func (t *Table) smallWord(v *causal.Version, p causal.Presence) uint64 {
	w := uint64(len(v.Key))<<keyShift | uint64(len(v.Value))<<valueShift |
		uint64(v.Dot.Origin)<<originShift | uint64(v.Stamp.Origin)<<stampShift | flagEntry
	if v.Tombstone {
		w |= flagTombstone
	}
	if p == causal.Complete {
		w |= flagComplete
	}
	if v.Value != nil {
		w |= flagValue
	}
	if v.Epoch != t.epoch {
		w |= flagEpoch
	}
	if v.Deadline != 0 {
		w |= flagDeadline
	}
	if v.Dot.Incarnation != 0 {
		w |= flagIncarnation
	}
	return w
}

// storeEntry writes v to a block that no slot names.
func (r *region) storeEntry(off, small uint64, v *causal.Version) {
	r.store(off+entryCounter, uint64(v.Dot.Counter))
	r.store(off+entryTime, uint64(v.Stamp.Time))
	r.store(off+entrySmall, small)
	at := off + entryMore
	more := func(flag, w uint64) {
		if small&flag != 0 {
			r.store(at, w)
			at += wordBytes
		}
	}
	more(flagEpoch, uint64(v.Epoch))
	more(flagDeadline, uint64(v.Deadline))
	more(flagIncarnation, uint64(v.Dot.Incarnation))
	r.storeBytes(at, v.Key, v.Value)
}

// decodeHead fills v, but for key and value, from the first words of an entry.
func decodeHead(counter, time, small uint64, more [3]uint64, epoch causal.Epoch, v *causal.Version) causal.Presence {
	// Field by field: a whole Version would be made first and copied then.
	v.Value, v.Deps, v.Carried = nil, nil, nil
	v.Dot = causal.Dot{Origin: causal.ReplicaID(small >> originShift), Counter: causal.Counter(counter)}
	v.Stamp = causal.Stamp{Time: causal.Time(time), Origin: causal.ReplicaID(small >> stampShift)}
	v.Epoch, v.Deadline = epoch, 0
	v.Tombstone = small&flagTombstone != 0
	if small&flagsMore != 0 {
		decodeMore(small, more, v)
	}
	if small&flagComplete != 0 {
		return causal.Complete
	}
	return causal.Incomplete
}

func decodeMore(small uint64, more [3]uint64, v *causal.Version) {
	i := 0
	if small&flagEpoch != 0 {
		v.Epoch = causal.Epoch(more[i])
		i++
	}
	if small&flagDeadline != 0 {
		v.Deadline = causal.Time(more[i])
		i++
	}
	if small&flagIncarnation != 0 {
		v.Dot.Incarnation = causal.Incarnation(more[i])
	}
}

// loadMore reads the words of an entry that most do not have.
func (r *region) loadMore(off, small uint64) (more [3]uint64) {
	if small&flagsMore == 0 {
		return more
	}
	for i := range bits.OnesCount64(small & flagsMore) {
		more[i] = r.load(off + entryMore + uint64(i)*wordBytes)
	}
	return more
}

// entry fills v from a block, for the writer: key and value are the block's own.
func (t *Table) entry(off uint64, v *causal.Version) causal.Presence {
	r := &t.region
	small := r.load(off + entrySmall)
	p := decodeHead(r.load(off+entryCounter), r.load(off+entryTime), small, r.loadMore(off, small), t.epoch, v)
	at, k, n := off+headBytes(small), keyBytes(small), valueBytes(small)
	b := r.bytesAt(at, k+n)
	v.Key = b[:k:k]
	if small&flagValue != 0 {
		v.Value = b[k : k+n : k+n]
	}
	return p
}

// keyAt is the key of the entry in a block, for the writer.
func (t *Table) keyAt(off uint64) []byte {
	small := t.region.load(off + entrySmall)
	return t.region.bytesAt(off+headBytes(small), keyBytes(small))
}
