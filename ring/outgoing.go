package ring

// Outgoing is what a turn has to say on one connection.
type Outgoing struct {
	// Bytes is appended to.
	Bytes []byte
	// Answers counts requests, by kind, that Bytes answers. The loop notes them beside
	// the operation that sends Bytes, for those who measure from outside.
	Answers [Kinds]uint32
	// Position says when the requests of Answers came: with this byte of what the
	// connection has sent, counted from 1. Zero says nothing.
	Position uint64
	// Key is a hash of the key that one of the requests of Answers was for: the first for
	// which it is known. Zero says nothing.
	Key uint64
	// Older are further requests that Bytes answers; they came at other positions.
	Older []Older
}

// Origin says where a request came: with which byte, and for which key. Zeros say nothing.
type Origin struct{ Position, Key uint64 }

// Older are requests of a kind that came at a position. The layout is an ABI to
// programs in the kernel.
type Older struct {
	Position uint64
	Kind     uint32
	Count    uint32
	Key      uint64 // of the first of them
}

const (
	// maxOlder bounds Outgoing.Older. What is beyond is counted at position zero.
	maxOlder = 4096
	// keepOlder is the longest list whose memory is used again.
	keepOlder = 256
)

// At says that what is counted in Answers from now on came at a position.
func (o *Outgoing) At(position uint64) {
	if o.Position != position {
		o.move(position)
	}
}

func (o *Outgoing) move(position uint64) {
	for kind, n := range o.Answers {
		if n > 0 {
			o.older(kind, Origin{o.Position, o.Key}, n)
		}
	}
	o.Answers = [Kinds]uint32{}
	o.Position, o.Key = position, 0
}

// Late counts an answer to a request that came at any position.
func (o *Outgoing) Late(kind int, from Origin) {
	if o.Position == 0 && from.Position != 0 {
		o.move(from.Position)
	}
	if o.Position == from.Position {
		o.Answers[kind]++
		if o.Key == 0 {
			o.Key = from.Key
		}
		return
	}
	o.older(kind, from, 1)
}

func (o *Outgoing) older(kind int, at Origin, n uint32) {
	position, from := at.Position, max(0, len(o.Older)-1)
	if len(o.Older) >= maxOlder {
		position, from = 0, maxOlder
	}
	for i := from; i < len(o.Older); i++ {
		if p := &o.Older[i]; p.Position == position && p.Kind == uint32(kind) {
			p.Count += n
			return
		}
	}
	o.Older = append(o.Older, Older{position, uint32(kind), n, at.Key})
}

// Reused is an empty Outgoing that begins in memory, and keeps that of Older.
func (o *Outgoing) Reused(memory []byte) Outgoing {
	older := o.Older[:0]
	if cap(older) > keepOlder {
		older = nil
	}
	return Outgoing{Bytes: memory[:0], Older: older}
}
