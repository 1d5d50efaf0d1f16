package wire

import (
	"slices"

	"causalmesh/causal"
)

// The parts that messages share: vectors, tags, dots. docs/wire.md, "Parts".

func appendVector(b []byte, v causal.VectorClock) []byte {
	b = appendArray(b, len(v))
	for _, n := range v {
		b = appendUint(b, n)
	}
	return b
}

// vector reads a vector into the memory of v.
func (c *cursor) vector(field string, v causal.VectorClock) causal.VectorClock {
	n := c.array(field, causal.MaxReplicas)
	v = slices.Grow(v[:0], n)
	for ; n > 0 && c.err == nil; n-- {
		v = append(v, causal.Counter(c.uint64(field)))
	}
	return v
}

// tag reads a tag. A tag of zeros stands for "no tag" and is then absent: one value
// has one encoding.
func (c *cursor) tag(field string) (t causal.Tag) {
	v := c.bytes(field, len(t))
	if c.err == nil && len(v) != len(t) {
		c.fail(field, errLength)
	}
	copy(t[:], v)
	if c.err == nil && t == (causal.Tag{}) {
		c.fail(field, errZeroTag)
	}
	return t
}

func appendSignedVector(b []byte, v *causal.SignedVector) []byte {
	if v.Tag == (causal.Tag{}) {
		return appendVector(appendArray(b, 1), v.Vector)
	}
	b = appendVector(appendArray(b, 2), v.Vector)
	return appendBytes(b, v.Tag[:])
}

// signedVector reads into the memory of v.
func (c *cursor) signedVector(field string, v *causal.SignedVector) {
	n := c.arrayOf(field, 1, 2)
	v.Vector = c.vector(field, v.Vector)
	v.Tag = causal.Tag{}
	if n == 2 {
		v.Tag = c.tag(field)
	}
}

func appendKnown(b []byte, known []causal.SignedVector) []byte {
	b = appendArray(b, len(known))
	for i := range known {
		b = appendSignedVector(b, &known[i])
	}
	return b
}

// known reads signed vectors into the memory of list and of its vectors.
func (c *cursor) known(list []causal.SignedVector) []causal.SignedVector {
	list = list[:0]
	for n := c.array("known", MaxBranches); n > 0 && c.err == nil; n-- {
		if len(list) < cap(list) {
			list = list[:len(list)+1]
		} else {
			list = append(list, causal.SignedVector{})
		}
		c.signedVector("known", &list[len(list)-1])
	}
	return list
}

func appendDotFields(b []byte, d causal.Dot) []byte {
	b = appendUint(b, d.Origin)
	b = appendUint(b, d.Incarnation)
	return appendUint(b, d.Counter)
}

func (c *cursor) dotFields(field string) causal.Dot {
	return causal.Dot{
		Origin:      c.replica(field),
		Incarnation: causal.Incarnation(c.uint16(field)),
		Counter:     causal.Counter(c.uint64(field)),
	}
}

func appendDots(b []byte, dots []causal.Dot) []byte {
	b = appendArray(b, len(dots))
	for _, d := range dots {
		b = appendDotFields(appendArray(b, 3), d)
	}
	return b
}

// dots reads dots into the memory of list.
func (c *cursor) dots(field string, list []causal.Dot) []causal.Dot {
	n := c.array(field, causal.MaxReplicas)
	list = slices.Grow(list[:0], n)
	for ; n > 0 && c.err == nil; n-- {
		c.arrayOf(field, 3, 3)
		list = append(list, c.dotFields(field))
	}
	return list
}

func appendSignedDots(b []byte, dots []causal.SignedDot) []byte {
	b = appendArray(b, len(dots))
	for i := range dots {
		if dots[i].Tag == (causal.Tag{}) {
			b = appendDotFields(appendArray(b, 3), dots[i].Dot)
			continue
		}
		b = appendDotFields(appendArray(b, 4), dots[i].Dot)
		b = appendBytes(b, dots[i].Tag[:])
	}
	return b
}

// signedDots reads dots into the memory of list.
func (c *cursor) signedDots(field string, list []causal.SignedDot) []causal.SignedDot {
	list = list[:0]
	for n := c.array(field, causal.MaxReplicas); n > 0 && c.err == nil; n-- {
		size := c.arrayOf(field, 3, 4)
		d := causal.SignedDot{Dot: c.dotFields(field)}
		if size == 4 {
			d.Tag = c.tag(field)
		}
		list = append(list, d)
	}
	return list
}
