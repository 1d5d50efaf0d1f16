package trial

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"causalmesh/causal/check"
	"causalmesh/clientlib"
	"causalmesh/tools/internal/workload"
)

// outageWorld is small enough to be cached whole.
var outageWorld = world{hot: 64, hotPercent: 100, hotBytes: 256, coldBytes: 1}

const (
	outageMisses = "never written" // no node has this key cached
	missEvery    = 20 * time.Millisecond
)

// Outage stops the database for the duration while workflows go on.
func Outage(ctx context.Context, o Options) (err error) {
	s, err := newStage(ctx, &o, needs{redis: true})
	if err != nil {
		return err
	}
	defer func() { err = s.finish(ctx, err) }()
	nothing := func(workload.Failure) bool { return false }
	r := newRoaming(s, outageWorld, s.clients, nothing)
	r.config.Mix.TTLWrite = 0 // what expires is not there to be compared at the end
	if err := s.warm(ctx, r); err != nil {
		return err
	}
	if err := s.redis.Stop(); err != nil {
		return err
	}
	o.printf("redis-server is stopped for %v; %d workflows go on with what %d nodes have cached\n", o.Duration, o.Sessions, nodes)
	m := &misses{s: s}
	if err := r.run(ctx, &o, failed(&r.tally), companion{run: m.run}); err != nil {
		return fmt.Errorf("%w: without a database, with all keys cached: %w", ErrVerdict, err)
	}
	all, err := s.statuses(ctx)
	if err != nil {
		return err
	}
	dirty := 0
	for i := range all {
		dirty += all[i].Server.Dirty
	}
	if err := s.redis.Restart(); err != nil {
		return err
	}
	e, err := s.end(ctx)
	if err != nil {
		return err
	}
	compared, err := s.compare(ctx, r.config.Keys)
	if err != nil {
		return err
	}
	var t table
	t.addStage(s, e)
	t.addWork(&r.tally, r.took)
	t.add("failed", "%s", r.tally.DescribeFailures())
	t.add("misses", "%s reads of a key that is not cached: all gave ErrUnavailable", grouped(m.unavailable.Load()))
	t.add("at return", "%d keys had to be flushed", dirty)
	t.add("flushed", "%s after the return; %d keys compared with a plain GET, %d differ", shortly(e.rest), len(r.config.Keys), len(compared))
	if err := t.addUsage(s); err != nil {
		return err
	}
	t.addVerdict(&e.verdict)
	t.print(o.Out)
	var v verdicts
	v.demand(len(compared) == 0, "in Redis differ: %v", compared)
	v.demand(m.unavailable.Load() > 0, "no miss was tried: the trial was too short")
	v.demand(dirty > 0, "nothing had to be flushed: the outage was none")
	return errors.Join(e.err(), v.err())
}

// warm writes every key and reads it at every node, so that all have it.
func (s *stage) warm(ctx context.Context, r *roaming) error {
	keys := r.config.Keys
	var uncounted workload.Tally
	t := workload.NewThread(s.clients[0], s.recorder, keys, "warm", &uncounted)
	for k := range keys {
		if err := t.Write(ctx, check.KeyID(k), r.config.HotBytes, 0); err != nil {
			return err
		}
	}
	resting, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	if _, err := s.ring.AwaitRest(resting); err != nil {
		return err
	}
	for i, c := range s.clients {
		t := workload.NewThread(c, s.recorder, keys, fmt.Sprintf("warm%d", i), &uncounted)
		for k := range keys {
			if _, err := t.Read(ctx, check.KeyID(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// misses reads what no node has, at all nodes in turn. Only one answer is right.
type misses struct {
	s           *stage
	unavailable atomic.Uint64
}

func (m *misses) run(ctx context.Context, stop <-chan struct{}) error {
	for i := 0; ; i = (i + 1) % nodes {
		_, found, err := m.s.clients[i].Session().Read(ctx, outageMisses)
		switch {
		case errors.Is(err, clientlib.ErrUnavailable):
			m.unavailable.Add(1)
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return fmt.Errorf("a miss at node %d: found %v, %v; want %w", i, found, err, clientlib.ErrUnavailable)
		}
		if !sleep(ctx, stop, missEvery) {
			return ctx.Err()
		}
	}
}

// compare returns the keys for which Redis, asked as any program would ask it, does
// not have what the nodes answer.
func (s *stage) compare(ctx context.Context, keys []string) (differ []string, err error) {
	db := redis.NewClient(&redis.Options{Network: "unix", Addr: s.redis.Socket, Protocol: 2})
	defer func() { _ = db.Close() }()
	session := s.clients[0].Session()
	for _, k := range keys {
		want, found, err := session.Read(ctx, k)
		if err != nil {
			return nil, err
		}
		got, err := db.Get(ctx, k).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("GET %s: %w", k, err)
		}
		if found != (err == nil) || string(got) != string(want) {
			differ = append(differ, k)
		}
	}
	return differ, nil
}
