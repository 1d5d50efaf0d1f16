package causal

import (
	"fmt"
	"math/rand"
	"testing"
	"time"
)

// TestRandomRuns drives whole rings at random, links cut included: in the end all
// is stable everywhere, all agree, and R and S never went back.
func TestRandomRuns(t *testing.T) {
	for seed := range int64(60) {
		rng := rand.New(rand.NewSource(seed))
		n := 1 + rng.Intn(5)
		c := newCluster(t, n, func(cfg *Config) { cfg.Propagation = Propagation(seed % 2) })
		sessions := []*Session{session(1), session(2), session(3)}
		var watch monotone
		for range 300 {
			c.now = c.now.Add(time.Millisecond)
			i := rng.Intn(n)
			switch next := c.succ(i); rng.Intn(12) {
			case 0, 1, 2:
				c.write(i, sessions[rng.Intn(3)], fmt.Sprint("k", rng.Intn(3)), fmt.Sprint(rng.Int()))
			case 3:
				c.read(i, sessions[rng.Intn(3)], fmt.Sprint("k", rng.Intn(3)))
			case 4:
				c.cut(i, next)
			case 5:
				c.connect(i, next)
			default:
				if n > 1 && (len(c.links[i][next].queue) > 0 || c.links[i][next].up && c.pull(i)) {
					if err := c.deliver(i, next); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
			}
			watch.check(t, c)
		}
		for i := range n {
			c.connect(i, c.succ(i))
		}
		c.settle()
		for i, s := range c.servers {
			if st := s.Status(); st.Pending != 0 || st.Unsent != 0 || !st.Stable.Equal(c.servers[0].Stability()) {
				t.Fatalf("seed %d: server %d: %d pending, %d unsent, S=%v", seed, i, st.Pending, st.Unsent, st.Stable)
			}
			for k := range 3 {
				key := fmt.Sprint("k", k)
				if a, b := c.read(0, session(9), key), c.read(i, session(9), key); a != b {
					t.Fatalf("seed %d: %s is %q at 0 and %q at %d", seed, key, a, b, i)
				}
			}
		}
	}
}

// monotone watches that no server's R, E or S goes back.
type monotone struct{ r, e, s []VectorClock }

func (m *monotone) check(t testing.TB, c *cluster) {
	t.Helper()
	for i, x := range c.servers {
		r, e, s := x.Received(), x.Everywhere(), x.Stability()
		if i < len(m.r) && (!m.r[i].AtMost(r) || !m.e[i].AtMost(e) || !m.s[i].AtMost(s)) {
			t.Fatalf("server %d went back: R %v to %v, E %v to %v, S %v to %v", i, m.r[i], r, m.e[i], e, m.s[i], s)
		}
		if !s.AtMost(e) || !e.AtMost(r) {
			t.Fatalf("server %d: not S ≤ E ≤ R: %v, %v, %v", i, s, e, r)
		}
	}
	m.r, m.e, m.s = m.r[:0], m.e[:0], m.s[:0]
	for _, x := range c.servers {
		m.r, m.e, m.s = append(m.r, x.Received().Clone()), append(m.e, x.Everywhere().Clone()), append(m.s, x.Stability().Clone())
	}
}
