package daemon

import (
	"causalmesh/causal"
	"causalmesh/ring"
)

// greetings are the connections of a loop whose handshake is awaited, oldest first.
type greetings []greeting

// greeting is a connection whose handshake is awaited until a deadline.
type greeting struct {
	id    ring.ConnID
	until causal.Time
}

func (g *greetings) add(c ring.ConnID, until causal.Time) { *g = append(*g, greeting{c, until}) }

// expire calls late for those whose time is over, whether they are still there or not.
func (g *greetings) expire(now causal.Time, late func(ring.ConnID)) {
	for len(*g) > 0 && now >= (*g)[0].until {
		late((*g)[0].id)
		*g = (*g)[1:]
	}
}
