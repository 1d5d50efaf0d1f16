package wire

import (
	"math"

	"causalmesh/causal"
)

// messageElements returns how many elements follow the type in a message between
// servers.
func messageElements(k causal.MessageKind) int {
	switch k {
	case causal.MessageRing, causal.MessageFlushed:
		return 4 // epoch, stability, time; entries, or F
	case causal.MessageAck, causal.MessageMiss:
		return 5 // and R, marks; or load, key
	case causal.MessageMissReply:
		return 7 // and load, key, code, version
	}
	return 0
}

// AppendMessage appends the frame of m to b. m.Kind must be one of the kinds: the
// decoder refuses others. What a kind has no use for is not written, nor is
// Carried of a version.
func AppendMessage(b []byte, m *causal.Message) []byte {
	b, start := beginFrame(b)
	b = appendArray(b, 1+messageElements(m.Kind))
	b = appendUint(b, typeOfKind(m.Kind))
	b = appendUint(b, m.Epoch)
	b = appendVector(b, m.Everywhere)
	b = appendUint(b, m.Time)
	switch m.Kind {
	case causal.MessageRing:
		b = appendEntries(b, m)
	case causal.MessageAck:
		b = appendVector(b, m.Vector)
		b = appendVector(b, m.Marks)
	case causal.MessageFlushed:
		b = appendVector(b, m.Vector)
	case causal.MessageMiss:
		b = appendUint(b, m.Load)
		b = appendBytes(b, m.Key)
	case causal.MessageMissReply:
		b = appendUint(b, m.Load)
		b = appendBytes(b, m.Key)
		b = appendUint(b, m.Code)
		b = appendVersionOrNil(b, &m.Version, formMiss, m.Epoch)
	}
	return endFrame(b, start)
}

func appendEntries(b []byte, m *causal.Message) []byte {
	b = appendArray(b, len(m.Entries))
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Version != nil {
			b = appendVersion(b, e.Version, formWhole, m.Epoch)
			continue
		}
		b = appendArray(b, markElements)
		b = appendUint(b, flagMark)
		b = appendUint(b, e.Mark.Origin)
		b = appendUint(b, e.Mark.Counter)
	}
	return b
}

// markElements is the length of a mark's array: flags, origin, counter.
const markElements = 3

// DecodeMessage reads the body of the frame of a message between servers into m,
// whose slices and versions it reuses. Keys and values alias body. After an error m is
// in no particular state.
func DecodeMessage(body []byte, m *causal.Message) error {
	t, err := TypeOf(body)
	if err != nil {
		return err
	}
	c := cursor{b: body}
	n := c.open(t)
	m.Kind = t.kind()
	if m.Kind == 0 {
		c.fail("type", errUnknown)
	} else if c.err == nil && n != messageElements(m.Kind) {
		c.fail("array", errLength)
	}
	m.Epoch = causal.Epoch(c.uint64("epoch"))
	m.Everywhere = c.vector("everywhere", m.Everywhere)
	m.Time = causal.Time(c.uint64("time"))

	if cap(m.Entries) > keepEntries {
		m.Entries = nil
	}
	m.Entries, m.Vector, m.Marks = m.Entries[:0], m.Vector[:0], m.Marks[:0]
	m.Load, m.Key, m.Code, m.Version = 0, nil, causal.CodeOK, causal.Version{}
	switch m.Kind {
	case causal.MessageRing:
		c.entries(m)
	case causal.MessageAck:
		m.Vector = c.vector("received", m.Vector)
		m.Marks = c.vector("marks", m.Marks)
	case causal.MessageFlushed:
		m.Vector = c.vector("flushed", m.Vector)
	case causal.MessageMiss:
		m.Load = causal.LoadID(c.uint64("load"))
		m.Key = c.bytes("key", MaxKeyBytes)
	case causal.MessageMissReply:
		m.Load = causal.LoadID(c.uint64("load"))
		m.Key = c.bytes("key", MaxKeyBytes)
		m.Code = causal.Code(c.uint8("code"))
		c.missVersion(m)
	}
	return c.end(t.String())
}

// keepEntries is how many entries a message that is reused holds memory for.
const keepEntries = 16384

// entries grows m.Entries entry by entry, as they are read: what a peer claims
// takes no memory until its bytes have proved to be an entry.
func (c *cursor) entries(m *causal.Message) {
	for n := c.array("entries", math.MaxInt); n > 0 && c.err == nil; n-- {
		size := c.array("entry", versionElements+8)
		flags := c.uint8("flags")
		switch {
		case c.err != nil:
		case flags == flagMark:
			if size != markElements {
				c.fail("mark", errLength)
			}
			mark := causal.Mark{Origin: c.replica("origin"), Counter: causal.Counter(c.uint64("counter"))}
			m.Entries = append(m.Entries, causal.RingEntry{Mark: mark}) // and no version: the next one there takes memory
		case flags > flagMark:
			c.fail("flags", errUnknown)
		default:
			v := lastVersion(&m.Entries)
			c.versionFields(v, formWhole, m.Epoch, size, flags)
		}
	}
}

// lastVersion appends an entry and returns its version: one that was there before, in
// a message that is reused.
func lastVersion(entries *[]causal.RingEntry) *causal.Version {
	n := len(*entries)
	if n == cap(*entries) {
		*entries = append(*entries, causal.RingEntry{})
	} else {
		*entries = (*entries)[:n+1]
	}
	e := &(*entries)[n]
	if e.Mark = (causal.Mark{}); e.Version == nil {
		e.Version = new(causal.Version)
	}
	return e.Version
}

func (c *cursor) missVersion(m *causal.Message) {
	c.versionOrNil(&m.Version, formMiss, m.Epoch)
	if c.err == nil && !m.Version.Absent() {
		m.Version.Key = m.Key
	}
}
