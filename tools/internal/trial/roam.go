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

// world is the keys that workflows meet on: few enough hot ones that they conflict
// all the time, and others.
type world struct {
	hot, cold           int
	hotBytes, coldBytes int
	hotPercent          int
}

func (w world) keys() []string {
	keys := make([]string, 0, w.hot+w.cold)
	for i := range w.hot {
		keys = append(keys, fmt.Sprintf("hot/%02d", i))
	}
	for i := range w.cold {
		keys = append(keys, fmt.Sprintf("cold/%05d", i))
	}
	return keys
}

// roaming is a run of workflows.
type roaming struct {
	tally  workload.Tally
	config workload.Config
	took   time.Duration
}

func newRoaming(s *stage, w world, clients []*clientlib.Client, tolerates func(workload.Failure) bool) *roaming {
	r := &roaming{}
	keys := w.keys()
	s.recorder = check.NewRecorder(keys)
	r.config = workload.Config{
		Clients: clients, Recorder: s.recorder, Tally: &r.tally,
		Keys: keys, Hot: w.hot, HotPercent: w.hotPercent, HotBytes: w.hotBytes, ColdBytes: w.coldBytes,
		Mix: workload.DefaultMix, Interval: s.o.interval(), Tolerates: tolerates, Seed: s.o.Seed,
	}
	return r
}

// companion works beside the workflows and ends when stop is closed.
type companion struct {
	run func(ctx context.Context, stop <-chan struct{}) error
	// enough is closed when it has done what the trial is for; nil for at once.
	enough <-chan struct{}
}

// run lets the workflows roam for the duration and until enough was done, with a
// companion if there is one. The first error ends all.
func (r *roaming) run(ctx context.Context, o *Options, note func() string, with companion) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	stop := make(chan struct{})
	errs := make([]error, o.Sessions+1)
	var running sync.WaitGroup
	begin := func(i int, f func(context.Context, <-chan struct{}) error) {
		running.Go(func() {
			if errs[i] = f(ctx, stop); errs[i] != nil {
				cancel()
			}
		})
	}
	for i := range o.Sessions {
		begin(i, workload.NewRoamer(&r.config, i).Run)
	}
	if with.run != nil {
		begin(o.Sessions, with.run)
	}
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { o.watch(ctx, &r.tally, note, over) })
	_ = sleep(ctx, nil, o.Duration)
	r.awaitEnough(ctx, o, with)
	close(stop)
	running.Wait()
	r.took = time.Since(start)
	close(over)
	watching.Wait()
	return firstCause(errs)
}

// awaitEnough waits for a while until workflows and companion have done what the trial is
// for, so that a busy machine makes the trial longer and not worthless.
func (r *roaming) awaitEnough(ctx context.Context, o *Options, with companion) {
	ctx, cancel := context.WithTimeout(ctx, enoughWithin)
	defer cancel()
	if with.enough != nil {
		select {
		case <-with.enough:
		case <-ctx.Done():
		}
	}
	awaitWork(ctx, func() bool {
		paced := r.config.Interval > 0 // as the command line has it
		return paced || r.tally.Done() >= o.leastOps && r.config.Mix.Covered(&r.tally)
	})
}

// awaitWork waits until something holds, or until ctx ends.
func awaitWork(ctx context.Context, holds func() bool) {
	for !holds() && sleep(ctx, nil, lookEvery) {
	}
}

// lookEvery is the pause between two looks at what is not done yet.
const lookEvery = 5 * time.Millisecond

// firstCause joins errors but leaves out those that only say that others have ended
// the run, unless there is nothing else.
func firstCause(errs []error) error {
	var causes []error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			causes = append(causes, err)
		}
	}
	if len(causes) > 0 {
		return errors.Join(causes...)
	}
	return errors.Join(errs...)
}
