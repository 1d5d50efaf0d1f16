package trial

import (
	"context"

	"causalmesh/tools/internal/workload"
)

// demoWorld makes conflicts likely.
var demoWorld = world{hot: 64, cold: 192, hotPercent: 75, hotBytes: 64, coldBytes: 1 << 10}

// demoTolerates: a workflow may be told to slow down where the machine is busy with
// other things. Anything else ends the trial.
func demoTolerates(f workload.Failure) bool { return f == workload.FailedOverloaded }

// Demo runs workflows on a healthy cluster.
func Demo(ctx context.Context, o Options) error {
	s, err := newStage(ctx, &o, needs{})
	if err != nil {
		return err
	}
	return s.finish(ctx, s.demo(ctx))
}

func (s *stage) demo(ctx context.Context) error {
	o := s.o
	o.printf("%d workflows roam among %d nodes for %v: each goes on at a random node after every operation\n", o.Sessions, nodes, o.Duration)
	r := newRoaming(s, demoWorld, s.clients, demoTolerates)
	if err := r.run(ctx, o, failed(&r.tally), companion{}); err != nil {
		return err
	}
	e, err := s.end(ctx)
	if err != nil {
		return err
	}
	var t table
	t.addStage(s, e)
	t.add("sessions", "%d workflows, each on one of %d nodes at a time", o.Sessions, nodes)
	t.addWork(&r.tally, r.took)
	t.add("failed", "%s", r.tally.DescribeFailures())
	if err := t.addUsage(s); err != nil {
		return err
	}
	t.add("at rest", "%s after the last write: S the same at all nodes, I-caches empty", shortly(e.rest))
	t.addVerdict(&e.verdict)
	t.print(o.Out)
	return e.err()
}
