package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"causalmesh/clientlib"
)

const (
	// dozeOff is how long clients have said nothing before it is watched what they cost.
	dozeOff = time.Second
	// writerAhead is how long a writer has written before the reads beside it begin.
	writerAhead = 200 * time.Millisecond
)

// takeAttached has clients in shared memory do nothing, every other one of them with the
// table mapped, and looks at what they cost the node that they are at.
func takeAttached(ctx context.Context, r *runner, t *target, l Load) (_ []Sample, err error) {
	for i := range int(l.X) {
		way := []string{"shm:", "direct:"}[i%2]
		c, dialErr := clientlib.Dial(ctx, way+t.socket)
		if dialErr != nil {
			return nil, fmt.Errorf("%w: client %d of %d: %w", ErrLoad, i+1, int(l.X), dialErr)
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		// The node looks out for clients that have just asked for something.
		if _, _, err := c.Session().Read(ctx, "idle"); err != nil {
			return nil, fmt.Errorf("%w: client %d of %d: %w", ErrLoad, i+1, int(l.X), err)
		}
	}
	if l.X > 0 {
		if err := pause(ctx, r.plan.wait(dozeOff)); err != nil {
			return nil, err
		}
	}
	before, err := cpu(t.asked)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := pause(ctx, seconds(r.plan.Attached)); err != nil {
		return nil, err
	}
	after, err := cpu(t.asked)
	if err != nil {
		return nil, err
	}
	share := (after - before).Seconds() / time.Since(began).Seconds()
	return []Sample{{Values: map[Metric]float64{IdleCPU: share}}}, nil
}

// takeUnderWrites has loadgen read while another one writes at the same node, over its
// socket, so many times a second as the load's X.
func takeUnderWrites(ctx context.Context, r *runner, t *target, l Load) ([]Sample, error) {
	// The writer is told when to end. It ends by itself if that goes wrong.
	most := writerAhead + r.plan.warmUp() + r.plan.duration() + loadWithin
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	before, err := t.count(ctx)
	if err != nil {
		return nil, err
	}
	w, err := r.start(ctx, t, "causalmesh:unix:"+t.socket, many("0", "--rate", strconv.FormatFloat(l.X, 'f', -1, 64), "--warmup", "0s", "--duration", most.String()))
	if err != nil {
		return nil, err
	}
	err = t.awaitRequests(ctx, before.requests)
	if err == nil {
		err = pause(ctx, r.plan.wait(writerAhead))
	}
	if err != nil {
		_, stopped := w.stop()
		return nil, errors.Join(err, stopped)
	}
	reads, err := r.loadgen(ctx, t, l.flags()...)
	writes, stopped := w.stop()
	if err := errors.Join(err, stopped); err != nil {
		return nil, err
	}
	values := reads.metrics()
	values[Offered], values[Written] = l.X, writes.Throughput
	return []Sample{{Values: values}}, t.rest(ctx)
}

// awaitRequests waits until the node that clients are at has had more requests than before.
func (t *target) awaitRequests(ctx context.Context, before float64) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		now, err := t.count(ctx)
		if err != nil || now.requests > before {
			return err
		}
		if err := pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("%w: no request comes: %w", ErrLoad, err)
		}
	}
}
