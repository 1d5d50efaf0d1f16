package load

import "fmt"

// keyBytes is the length of each key.
const keyBytes = 12

// keyspace is the text of all keys, one after the other, so that an operation takes
// its key without making one.
type keyspace string

func newKeyspace(keys int) keyspace {
	text := make([]byte, 0, keys*keyBytes)
	for i := range keys {
		text = fmt.Appendf(text, "k%0*d", keyBytes-1, i)
	}
	return keyspace(text)
}

func (k keyspace) key(rank int) string {
	return string(k[rank*keyBytes : (rank+1)*keyBytes])
}
