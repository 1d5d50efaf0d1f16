package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"causalmesh/causal/check"
	"causalmesh/clientlib"
	"causalmesh/tools/internal/workload"
)

// soakWorld has more in its cold keys than soakMemory holds, so that nodes evict and
// load all the time.
var soakWorld = world{hot: 64, cold: 10_000, hotPercent: 50, hotBytes: 64, coldBytes: 4 << 10}

const (
	soakMemory = 48 << 20
	// fillWithin bounds the time until the nodes have more than they can hold, and
	// fillPause is how long who writes waits for room.
	fillWithin = 2 * time.Minute
	fillPause  = 5 * time.Millisecond
	// soakPatience is how long a client waits for one operation; shorter than the
	// longest fault, so that some outcomes become unknown.
	soakPatience = time.Second
	// soakLinkTimeout makes nodes notice half-open links within a fault.
	soakLinkTimeout = time.Second
)

// soakTolerates: what the faults explain. Anything else ends the trial.
func soakTolerates(f workload.Failure) bool { return f != workload.FailedOther }

// Soak runs workflows while links, clients and the database fail.
func Soak(ctx context.Context, o Options) (err error) {
	if o.MaxMemory == 0 {
		o.MaxMemory = soakMemory
	}
	s, err := newStage(ctx, &o, needs{
		cuttable: true, clientTCP: true, patience: soakPatience,
		daemonFlags: []string{"--link-timeout", soakLinkTimeout.String()},
	})
	if err != nil {
		return err
	}
	defer func() { err = s.finish(ctx, err) }()
	// Every node has two ways in: its Unix socket, and TCP through a proxy that fails.
	roamAmong := s.clients
	for _, n := range s.ring.Nodes {
		c, err := s.dial(ctx, n.TargetTCP(), soakPatience)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		roamAmong = append(roamAmong, c)
	}
	o.printf("%d workflows roam among %d nodes for %v while links, clients and the database fail\n", o.Sessions, nodes, o.Duration)

	r := newRoaming(s, soakWorld, roamAmong, soakTolerates)
	if err := s.fill(ctx, r); err != nil {
		return err
	}
	f, m := newFaults(s), newMemory(s)
	beside := func(ctx context.Context, stop <-chan struct{}) error {
		var err error
		var sampling sync.WaitGroup
		sampling.Go(func() { err = m.run(ctx, stop) })
		faultErr := f.run(ctx, stop)
		sampling.Wait()
		return errors.Join(faultErr, err)
	}
	if err := r.run(ctx, &o, failed(&r.tally), companion{beside, f.complete}); err != nil {
		return err
	}
	e, err := s.end(ctx)
	if err != nil {
		return err
	}
	return s.reportSoak(r, f, m, e)
}

// fill writes all cold keys, so that nodes have more than they can hold from the
// start. They may be told to wait until there is room.
func (s *stage) fill(ctx context.Context, r *roaming) error {
	ctx, cancel := context.WithTimeout(ctx, fillWithin)
	defer cancel()
	errs := make([]error, s.o.Sessions)
	var uncounted workload.Tally
	var running sync.WaitGroup
	for i := range errs {
		t := workload.NewThread(s.clients[i%nodes], s.recorder, r.config.Keys, fmt.Sprintf("fill%d", i), &uncounted)
		running.Go(func() {
			for k := soakWorld.hot + i; k < len(r.config.Keys) && errs[i] == nil; k += len(errs) {
				errs[i] = writeWhenThereIsRoom(ctx, t, check.KeyID(k), soakWorld.coldBytes/2)
			}
		})
	}
	running.Wait()
	return firstCause(errs)
}

func writeWhenThereIsRoom(ctx context.Context, t *workload.Thread, key check.KeyID, size int) error {
	for {
		err := t.Write(ctx, key, size, 0)
		if !errors.Is(err, clientlib.ErrOverloaded) || !sleep(ctx, nil, fillPause) {
			return err
		}
	}
}

func (s *stage) reportSoak(r *roaming, f *faults, m *memory, e *ending) error {
	var t table
	t.addStage(s, e)
	t.add("sessions", "%d workflows, each on one of %d nodes at a time, half of the time over TCP that fails", s.o.Sessions, nodes)
	t.addWork(&r.tally, r.took)
	t.add("faults", "%s", f)
	t.add("failed", "%s; %d retries", r.tally.DescribeFailures(), r.tally.Retried())
	var evicted, loads uint64
	for i := range e.statuses {
		evicted += e.statuses[i].Server.Counters.Evicted
		loads += e.statuses[i].Server.Counters.Loads
	}
	t.add("evictions", "%s, and %s loads", grouped(evicted), grouped(loads))
	if err := t.addUsage(s); err != nil {
		return err
	}
	var v verdicts
	t.add("memory", "medians of the thirds of the trial: %s", m.judge(&v))
	t.add("at rest", "%s after the last write: S the same at all nodes, I-caches empty", shortly(e.rest))
	t.addVerdict(&e.verdict)
	t.print(s.o.Out)
	v.demand(m.peak() <= int64(s.o.MaxMemory), "a node had %s resident, --max-memory is %v", mebibytes(m.peak()), s.o.MaxMemory)
	v.demand(s.redis == nil || evicted > 0, "nothing was evicted: --max-memory %v is too much for %d values of %d bytes",
		s.o.MaxMemory, soakWorld.cold, soakWorld.coldBytes)
	for _, kind := range f.kinds {
		name := kind().name
		v.demand(f.counts[name] > 0, "there was no fault of the kind %q: the trial was too short", name)
	}
	return errors.Join(e.err(), v.err())
}
