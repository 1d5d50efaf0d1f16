package bench

import (
	"context"
	"slices"
	"time"
)

// takeLoad has loadgen measure a load, and splits up what it cost a ring.
func takeLoad(ctx context.Context, r *runner, t *target, l Load) ([]Sample, error) {
	if t.ring == nil {
		p, err := r.loadgen(ctx, t, l.flags()...)
		if err != nil {
			return nil, err
		}
		return []Sample{{Values: p.metrics()}}, nil
	}
	before, err := t.costs(ctx)
	if err != nil {
		return nil, err
	}
	p, err := r.loadgen(ctx, t, l.flags()...)
	if err != nil {
		return nil, err
	}
	ended := time.Now()
	if err := t.rest(ctx); err != nil {
		return nil, err
	}
	values := p.metrics()
	if l.Writes {
		values[RestTime] = time.Since(ended).Seconds()
	}
	after, err := t.costs(ctx)
	if err != nil {
		return nil, err
	}
	// All requests count here, those of the warm-up too.
	if requests := after.requests - before.requests; requests > 0 {
		for metric, used := range map[Metric]time.Duration{
			NodeCPU: after.asked - before.asked, OthersCPU: after.others - before.others, StoreCPU: after.store - before.store,
		} {
			values[metric] = used.Seconds() * 1e6 / requests
		}
	}
	return []Sample{{Values: values}}, nil
}

// costs is what a ring has cost so far.
type costs struct {
	counts
	asked, others, store time.Duration // of CPU
}

func (t *target) costs(ctx context.Context) (c costs, err error) {
	if c.counts, err = t.count(ctx); err != nil {
		return c, err
	}
	if c.asked, err = cpu(t.asked); err != nil {
		return c, err
	}
	if c.others, err = cpu(t.others...); err != nil {
		return c, err
	}
	c.store, err = cpu(t.store...)
	return c, err
}

// takeAllocations counts the objects that nodes allocate under a load, and in as long
// a time without one.
func takeAllocations(ctx context.Context, r *runner, t *target, l Load) ([]Sample, error) {
	before, err := t.count(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := r.loadgen(ctx, t, l.flags()...); err != nil {
		return nil, err
	}
	if err := t.rest(ctx); err != nil {
		return nil, err
	}
	after, err := t.count(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, after.at.Sub(before.at)); err != nil {
		return nil, err
	}
	idle, err := t.count(ctx)
	if err != nil {
		return nil, err
	}
	requests := after.requests - before.requests
	million := requests / 1e6
	return []Sample{{Values: map[Metric]float64{
		Requests:     requests,
		NodeAllocs:   (after.askedAllocs - before.askedAllocs) / million,
		OthersAllocs: (after.othersAllocs - before.othersAllocs) / million,
		IdleAllocs:   (idle.askedAllocs - after.askedAllocs) / million,
	}}}, nil
}

// pause waits, or ends with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// idle returns the share of one processor that each system uses under no load.
func idle(ctx context.Context, targets []*target, over time.Duration) (map[string]float64, error) {
	targets = slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return t.borrowed || len(t.processes()) == 0 })
	before := make([]time.Duration, len(targets))
	var err error
	for i, t := range targets {
		if before[i], err = cpu(t.processes()...); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	if err := pause(ctx, over); err != nil {
		return nil, err
	}
	shares := map[string]float64{}
	for i, t := range targets {
		after, err := cpu(t.processes()...)
		if err != nil {
			return nil, err
		}
		shares[t.system.Name] = (after - before[i]).Seconds() / time.Since(began).Seconds()
	}
	return shares, nil
}
