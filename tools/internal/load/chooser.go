package load

import (
	"encoding/binary"
	"math/rand/v2"
)

// op is one operation of the workload.
type op struct {
	read bool
	rank int // of the key
	to   int // the target where it is done; the session moves there if it is elsewhere
}

// chooser makes the choices of one session. They follow from the seed, whatever the
// engine and the system.
type chooser struct {
	o     *Options
	rng   *rand.Rand
	value []byte
	at    int // the target that the session is at
}

// home is the target where a session begins.
func (o *Options) home(session int) int { return session % o.Conns % len(o.Targets) }

func newChooser(o *Options, index int) chooser {
	c := chooser{
		o: o, at: o.home(index),
		rng:   rand.New(rand.NewPCG(o.Seed, uint64(index))),
		value: make([]byte, o.ValueBytes),
	}
	for i := range c.value {
		c.value[i] = 'a' + byte(c.rng.IntN(26))
	}
	return c
}

// next chooses an operation of the workload.
func (c *chooser) next() op {
	n := op{to: c.at}
	if c.o.Roam > 0 && c.rng.Float64() < c.o.Roam {
		targets := len(c.o.Targets)
		n.to = (c.at + 1 + c.rng.IntN(targets-1)) % targets
	}
	n.rank = c.rank()
	n.read = c.rng.Float64() < c.o.ReadRatio
	return n
}

// rank chooses a key.
func (c *chooser) rank() int { return c.o.distribution.Draw(c.rng) }

// nextValue returns a value that differs from the last one, if it has any bytes.
func (c *chooser) nextValue() []byte {
	var word [8]byte
	binary.NativeEndian.PutUint64(word[:], c.rng.Uint64())
	copy(c.value, word[:])
	return c.value
}
