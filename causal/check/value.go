package check

import "strconv"

// ValueID names a written value; no two writes share one. Zero names none.
// Callers may number values as they like below foreignBit, or take NewValue's.
type ValueID uint64

// foreignBit is set in the ids of values that no process made with NewValue.
const foreignBit ValueID = 1 << 63

// NewValue returns an id that no other call in this history returns.
func (p *Process) NewValue() ValueID {
	p.values++
	return ValueID(p.id+1)<<32 | ValueID(p.values)
}

// Append appends the bytes to store under a key for id: ValueOf finds the id in
// them again, so that a reader needs no table of values.
func (id ValueID) Append(dst []byte) []byte {
	return strconv.AppendUint(append(dst, 'v'), uint64(id), 10)
}

func (id ValueID) String() string { return string(id.Append(nil)) }

// ValueOf returns the id of a value that was read: the one it was made from, or,
// for bytes that Append did not make, a hash of them with the highest bit set.
func ValueOf(value []byte) ValueID {
	if id, ok := parseValue(value); ok {
		return id
	}
	// FNV-1a. Two foreign values of one key that clash would pass for each other:
	// a violation may be missed then, but none is made up.
	h := uint64(14695981039346656037)
	for _, b := range value {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return ValueID(h) | foreignBit
}

// parseValue undoes Append. Only the exact form counts: "v007" is other bytes
// than "v7" and must not be taken for them.
func parseValue(value []byte) (ValueID, bool) {
	const longest = len("v9223372036854775807")
	if len(value) < 2 || len(value) > longest || value[0] != 'v' || value[1] == '0' {
		return 0, false
	}
	var n ValueID
	for _, b := range value[1:] {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + ValueID(b-'0')
	}
	return n, n < foreignBit
}
