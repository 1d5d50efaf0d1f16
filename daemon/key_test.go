package daemon

import (
	"testing"

	"causalmesh/causal"
)

const testKey = "the cluster key of these tests"

func TestClusterKey(t *testing.T) {
	path := keyFile(t, testKey)
	c := startCluster(t, 3, func(c *Config) { c.ClusterKey = path })
	s := c.session(0)
	if !s.welcome.Signed || !c.status(0).Server.Signed {
		t.Fatal("the welcome does not say that tags are in force")
	}
	s.write("x", "1")
	s = c.session(1).goOn(s)
	s.write("y", "2")
	s = c.session(2).goOn(s)
	if x, y := s.read("x"), s.read("y"); x != "1" || y != "2" {
		t.Fatalf("x, y: %s, %s", x, y)
	}
	for name, forge := range map[string]func(*causal.Request){
		"vector": func(r *causal.Request) {
			r.Known = []causal.SignedVector{{Vector: causal.VectorClock{1 << 40, 0, 0}}}
		},
		"vector under the tag of another": func(r *causal.Request) {
			k := r.Known[0]
			k.Vector = k.Vector.Clone()
			k.Vector[0] += 1000
			r.Known = []causal.SignedVector{k}
		},
		"own write": func(r *causal.Request) {
			r.Own = []causal.SignedDot{{Dot: causal.Dot{Origin: 0, Counter: 1 << 40}}}
		},
		"own write of this node": func(r *causal.Request) {
			r.Own = []causal.SignedDot{{Dot: causal.Dot{Origin: 2, Counter: 7}}}
		},
	} {
		before := c.status(2).Server
		s.forge = forge
		s.fails(causal.ErrForged, causal.OpWrite, "v", "z")
		s.forge = nil
		after := c.status(2).Server
		if after.Counters.Forged != before.Counters.Forged+1 || after.Counters.Writes != before.Counters.Writes {
			t.Fatalf("forged %s: counters %+v", name, after.Counters)
		}
	}
	s.write("z", "honest")
}

// Only who holds the key belongs to the ring.
func TestWrongClusterKey(t *testing.T) {
	right := keyFile(t, testKey)
	for name, path := range map[string]string{"another key": keyFile(t, "not the key of these tests"), "no key": ""} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, func(c *Config) { c.ClusterKey = right })
			wrong := c.config(1)
			wrong.ClusterKey = path
			c.start(0)
			c.startWith(1, wrong)
			eventually(t, "node 0 says why", func() bool { return c.nodes[0].log.has("give all nodes the same") })
			if s := c.status(1); s.Epoch != 0 {
				t.Fatalf("node 1 joined epoch %d", s.Epoch)
			}
			// The founder under another key than the others.
			c = newCluster(t, 2, func(c *Config) { c.ClusterKey = right })
			wrong = c.config(0)
			wrong.ClusterKey = path
			c.startWith(0, wrong)
			c.start(1)
			eventually(t, "someone says why", func() bool {
				return c.nodes[0].log.has("give all nodes the same") || c.nodes[1].log.has("give all nodes the same")
			})
			if s := c.status(1); s.Epoch != 0 || s.Daemon.LinksEstablished != 0 {
				t.Fatalf("node 1 joined epoch %d", s.Epoch)
			}
		})
	}
}
