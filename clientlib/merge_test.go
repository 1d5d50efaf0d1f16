package clientlib_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/clientlib"
	"causalmesh/clientlib/internal/testcluster"
)

func TestMerge(t *testing.T) {
	for _, key := range []string{"", "cluster key"} {
		t.Run("key="+key, func(t *testing.T) {
			cluster := start(t, testcluster.Config{Replicas: 3, Key: []byte(key), Limits: causal.Limits{Branches: 2}})
			clients := [3]*clientlib.Client{dial(t, cluster, 0), dial(t, cluster, 1), dial(t, cluster, 2)}
			s := clients[0].Session()
			write(t, s, "start", "0")
			shared := s.Context()
			cluster.Hold()
			var branches [][]byte
			for node, c := range clients {
				b := resume(t, c, shared)
				write(t, b, fmt.Sprint("branch ", node), "done")
				branches = append(branches, b.Context())
			}
			joined := resume(t, clients[2], branches[0])
			if err := joined.Merge(branches[1], branches[2], branches[2]); err != nil {
				t.Fatal(err)
			}
			for node := range clients {
				expect(t, joined, fmt.Sprint("branch ", node), "done")
			}
		})
	}
}

// Under a key a join carries one signed vector per branch until a server has signed
// their join, and no forgery passes.
func TestMergeSigned(t *testing.T) {
	for _, limit := range []int{1, 2} {
		cluster := start(t, testcluster.Config{
			Replicas: 3, Key: []byte("cluster key"), Limits: causal.Limits{Branches: limit},
		})
		clients := [3]*clientlib.Client{dial(t, cluster, 0), dial(t, cluster, 1), dial(t, cluster, 2)}
		branches := concurrentBranches(t, cluster, clients)
		joined := resume(t, clients[2], branches[0])
		before := joined.Context()
		err := joined.Merge(branches[1])
		if limit == 1 {
			if !errors.Is(err, clientlib.ErrTooLarge) || !bytes.Equal(joined.Context(), before) {
				t.Error("a join of more branches than allowed:", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		onTheWay := joined.Context()
		expect(t, joined, "from 1", "yes")
		expect(t, joined, "from 2", "yes")
		if now := joined.Context(); len(now) >= len(onTheWay) {
			t.Errorf("%d bytes with the branches' vectors, %d with their join", len(onTheWay), len(now))
		}

		forged := resume(t, clients[2], appendContext(causal.VectorClock{0, 0, 9}, causal.Tag{1}))
		if _, _, err := forged.Read(t.Context(), "from 1"); !errors.Is(err, clientlib.ErrForged) {
			t.Error("a forged vector:", err)
		}
	}
}

// concurrentBranches returns contexts of two sessions each of which has seen a
// write that the other's server does not know to be stable.
func concurrentBranches(t *testing.T, cluster *testcluster.Cluster, clients [3]*clientlib.Client) [2][]byte {
	cluster.Hold()
	write(t, clients[2].Session(), "from 2", "yes")
	cluster.Pass(2)
	write(t, clients[1].Session(), "from 1", "yes")
	cluster.Pass(1)
	cluster.Pass(0) // ends the traversal of "from 2" at server 1
	cluster.Pass(2) // ends that of "from 1" at server 0
	var branches [2][]byte
	for node := range branches {
		s := clients[node].Session()
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, s, "from 1", []string{"yes", ""}[node])
		expect(t, s, "from 2", []string{"", "yes"}[node])
		branches[node] = s.Context()
	}
	return branches
}

func TestContextErrors(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	write(t, s, "a", "1")
	good := s.Context()
	otherFormat := bytes.Clone(good)
	otherFormat[1]++
	future := appendContext(causal.VectorClock{99}, causal.Tag{})
	for name, c := range map[string]struct {
		context []byte
		want    error
	}{
		"none":      {nil, clientlib.ErrContext},
		"cut":       {good[:len(good)-1], clientlib.ErrContext},
		"longer":    {append(bytes.Clone(good), 0), clientlib.ErrContext},
		"text":      {[]byte("context"), clientlib.ErrContext},
		"version 2": {otherFormat, clientlib.ErrVersion},
	} {
		if _, err := client.Resume(c.context); !errors.Is(err, c.want) {
			t.Errorf("resume %s: %v, want %v", name, err, c.want)
		}
		if err := s.Merge(good, c.context); !errors.Is(err, c.want) {
			t.Errorf("merge %s: %v, want %v", name, err, c.want)
		}
	}
	if _, _, err := resume(t, client, future).Read(t.Context(), "a"); !errors.Is(err, clientlib.ErrFutureContext) {
		t.Error("a context from the future:", err)
	}
	fresh := client.Session()
	if err := fresh.Merge(client.Session().Context(), good); err != nil || !bytes.Equal(fresh.Context(), good) {
		t.Error("merge into a new session:", err)
	}

	if err := cluster.Restart(2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Read(t.Context(), "a"); !errors.Is(err, clientlib.ErrEpoch) {
		t.Error("a session of the last epoch:", err)
	}
	if err := s.Write(t.Context(), "a", nil); !errors.Is(err, clientlib.ErrEpoch) || errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error("a write of the last epoch:", err)
	}
	fresh = client.Session()
	expect(t, fresh, "a", "")
	if err := fresh.Merge(good); !errors.Is(err, clientlib.ErrEpoch) {
		t.Error("merging epochs:", err)
	}
	if got := client.Info().Epoch; got != 2 {
		t.Errorf("info has epoch %d", got)
	}
}

// Exported contexts stay within what Resume takes, whatever is merged.
func TestMergeBoundsBytes(t *testing.T) {
	cluster := start(t, testcluster.Config{Replicas: 3, Limits: causal.Limits{ContextBytes: 1000}})
	client := dial(t, cluster, 0)
	cluster.Hold()
	a, b := client.Session(), client.Session()
	write(t, a, "a", strings.Repeat("a", 600))
	write(t, b, "b", strings.Repeat("b", 600))
	before := a.Context()
	if err := a.Merge(b.Context()); !errors.Is(err, clientlib.ErrOverloaded) {
		t.Error(err)
	}
	if !bytes.Equal(a.Context(), before) {
		t.Error("a failed Merge left something behind")
	}
}

// appendContext makes up a context of epoch 1.
func appendContext(v causal.VectorClock, tag causal.Tag) []byte {
	return wire.AppendContext(nil, &causal.Context{
		Epoch: 1, Known: []causal.SignedVector{{Vector: v, Tag: tag}}, Time: 1,
	})
}
