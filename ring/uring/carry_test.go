//go:build linux

package uring

import (
	"math/rand/v2"
	"testing"
)

// What receives have brought is shown one by one, behind what was left of the earlier ones.
func TestCarryShowsReceiveByReceive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var p carries
	c := p.get()
	var stream []byte // all that was added
	var ends []int    // in it, of receives not yet shown
	used, shown := 0, 0
	for range 20_000 {
		if len(ends) == 0 || len(ends) < 50 && random.IntN(2) == 0 {
			more := make([]byte, 1+random.IntN(300))
			for i := range more {
				more[i] = byte(random.Uint32())
			}
			c.add(more)
			stream = append(stream, more...)
			ends = append(ends, len(stream))
			continue
		}
		next := c.next()
		if string(next) != string(stream[used:ends[0]]) {
			t.Fatalf("after %d bytes used and %d shown: %d bytes, want %d", used, shown, len(next), ends[0]-used)
		}
		n := random.IntN(len(next) + 1)
		c.use(n)
		used, shown, ends = used+n, ends[0], ends[1:]
		if c.seen != shown-used || c.len() != len(stream)-used {
			t.Fatalf("%d seen of %d, want %d of %d", c.seen, c.len(), shown-used, len(stream)-used)
		}
		if len(ends) == 0 {
			c = p.fit(c)
		}
	}
	p.put(c)
	if again := p.get(); again.len() != 0 || len(again.ends) != 0 {
		t.Errorf("used again with %d bytes and %d ends", again.len(), len(again.ends))
	}
}
