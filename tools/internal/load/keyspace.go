package load

import "strings"

// keyBytes is the length of each key.
const keyBytes = 12

// keyspace is the text of all keys, one after the other, so that an operation takes
// its key without making one.
type keyspace string

// newKeyspace makes the keys k00000000000, k00000000001 and so on, each from the one before:
// there may be many millions.
func newKeyspace(keys int) keyspace {
	var text strings.Builder
	text.Grow(keys * keyBytes)
	next := []byte("k" + strings.Repeat("0", keyBytes-1))
	for range keys {
		text.Write(next)
		for i := keyBytes - 1; i > 0; i-- {
			if next[i]++; next[i] <= '9' {
				break
			}
			next[i] = '0'
		}
	}
	return keyspace(text.String())
}

func (k keyspace) key(rank int) string {
	return string(k[rank*keyBytes : (rank+1)*keyBytes])
}
