package rig

import (
	"context"
	"fmt"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon"
)

// Statuses asks all nodes.
func (r *Ring) Statuses(ctx context.Context) ([]daemon.Status, error) {
	all := make([]daemon.Status, len(r.Nodes))
	for i, n := range r.Nodes {
		var err error
		if all[i], err = n.Status(ctx); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// AwaitRest waits until the ring is at rest, once clients have stopped to write:
// everything has arrived everywhere and is stable, and with a database, flushed. It
// returns the statuses then. When ctx ends first, the error says what moved still.
func (r *Ring) AwaitRest(ctx context.Context) ([]daemon.Status, error) {
	for {
		all, err := r.Statuses(ctx)
		if err == nil {
			if err = unrest(all); err == nil {
				return all, nil
			}
		}
		if alive := r.Alive(); alive != nil {
			return nil, alive
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the ring does not come to rest: %w: %w", ctx.Err(), err)
		case <-time.After(pollEvery):
		}
	}
}

// unrest says why nodes are not at rest, nil if they are.
func unrest(all []daemon.Status) error {
	var first causal.VectorClock
	for i := range all {
		s := all[i].Server
		if i == 0 {
			first = s.Stable
		}
		switch {
		case s.Pending != 0:
			return fmt.Errorf("node %d has %d versions in its I-cache", s.Self, s.Pending)
		case !s.Received.Equal(s.Stable):
			return fmt.Errorf("node %d has received %v, and knows %v to be stable", s.Self, s.Received, s.Stable)
		case !s.Stable.Equal(first):
			return fmt.Errorf("node %d knows %v to be stable, node 0 %v", s.Self, s.Stable, first)
		case s.Held != 0:
			return fmt.Errorf("at node %d %d writes wait for the successor", s.Self, s.Held)
		case s.Dirty != 0:
			return fmt.Errorf("node %d has %d keys to flush", s.Self, s.Dirty)
		}
	}
	return nil
}
