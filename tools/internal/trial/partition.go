package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/clientlib"
	"causalmesh/tools/internal/workload"
)

const (
	partitionMemory = 256 << 20
	// partitioned loses its links: with it in the middle of the ring, no write of any
	// node can come round.
	partitioned causal.ReplicaID = 1
	// partitionHot keys are read all the time; they and as many others are written.
	partitionHot = 64
	// writesPerLimit is how many writes use up a node's share of the pending bytes:
	// the size of values follows from it.
	writesPerLimit    = 800
	largestValue      = 32 << 10
	partitionValues   = "64KiB" // --value-bytes: a small one allows small pending bytes
	readersPerNode    = 2
	readEvery         = 2 * time.Millisecond
	refusedPause      = 20 * time.Millisecond
	writesPerWorkflow = 24 // below what a session may have in flight
	// pendingLimit is how the daemon names the limit that is reached.
	pendingLimit = "pending bytes"
)

// Partition cuts one node off the ring for the duration while clients read and write
// at every node.
func Partition(ctx context.Context, o Options) (err error) {
	if o.MaxMemory == 0 {
		o.MaxMemory = partitionMemory
	}
	s, err := newStage(ctx, &o, needs{cuttable: true, daemonFlags: []string{"--value-bytes", partitionValues}})
	if err != nil {
		return err
	}
	defer func() { err = s.finish(ctx, err) }()
	p := &partition{s: s, o: &o, keys: world{hot: partitionHot, cold: partitionHot}.keys()}
	s.recorder = check.NewRecorder(p.keys)
	if err := p.warm(ctx); err != nil {
		return err
	}
	o.printf("the ring links of node %d are cut for %v; clients read and write at all nodes\n", partitioned, o.Duration)
	return p.run(ctx)
}

type partition struct {
	s         *stage
	o         *Options
	keys      []string
	valueSize int
	tally     workload.Tally
	nodes     [nodes]partitionCounts
	healed    atomic.Bool
	verdicts  verdicts
}

// partitionCounts is what happened at one node.
type partitionCounts struct {
	reads, writes, refused, again atomic.Uint64
}

// warm writes the hot keys and reads them at every node, so that all have them.
func (p *partition) warm(ctx context.Context) error {
	all, err := p.s.statuses(ctx)
	if err != nil {
		return err
	}
	p.valueSize = min(largestValue, int(all[0].Config.PendingBytes)/nodes/writesPerLimit)
	t := workload.NewThread(p.s.clients[0], p.s.recorder, p.keys, "warm", &p.tally)
	for k := range check.KeyID(partitionHot) {
		if err := t.Write(ctx, k, p.valueSize, 0); err != nil {
			return err
		}
	}
	resting, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	if _, err := p.s.ring.AwaitRest(resting); err != nil {
		return err
	}
	for i, c := range p.s.clients {
		t := workload.NewThread(c, p.s.recorder, p.keys, fmt.Sprintf("warm%d", i), &p.tally)
		for k := range check.KeyID(partitionHot) {
			if _, err := t.Read(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutRing breaks the ring on both sides of the partitioned node; what goes through
// the same two proxies, the other links in, is cut as well.
func (p *partition) cutRing(restore bool) {
	for _, id := range []causal.ReplicaID{partitioned, (partitioned + 1) % nodes} {
		if proxy := p.s.node(id).Incoming; restore {
			proxy.Restore()
		} else {
			proxy.Cut()
		}
	}
}

func (p *partition) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	var running sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	begin := func(f func(context.Context, <-chan struct{}) error) {
		running.Go(func() {
			if err := f(ctx, stop); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
				cancel()
			}
		})
	}
	p.cutRing(false)
	for i := range p.s.clients {
		for r := range readersPerNode {
			begin(func(ctx context.Context, stop <-chan struct{}) error { return p.read(ctx, stop, i, r) })
		}
		begin(func(ctx context.Context, stop <-chan struct{}) error { return p.write(ctx, stop, i) })
	}
	m := newMemory(p.s)
	begin(m.run)
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { p.o.watch(ctx, &p.tally, p.note, over) })
	start := time.Now()
	p.watchReads(ctx)
	p.awaitRefusals(ctx)
	took := time.Since(start)
	close(over)
	watching.Wait()

	p.healed.Store(true)
	p.cutRing(true)
	mend := time.Now()
	p.awaitWrites(ctx)
	close(stop)
	running.Wait()
	if err := firstCause(errs); err != nil {
		return err
	}
	waited := time.Since(mend)
	e, err := p.s.end(ctx)
	if err != nil {
		return err
	}
	return p.report(m, e, took, waited+e.rest)
}

func (p *partition) note() string {
	return fmt.Sprintf("%s writes refused", grouped(p.tally.Failed(workload.FailedOverloaded)))
}

// read reads hot keys at one node, again and again. Every one must succeed.
func (p *partition) read(ctx context.Context, stop <-chan struct{}, node, reader int) error {
	t := workload.NewThread(p.s.clients[node], p.s.recorder, p.keys, fmt.Sprintf("reader%d.%d", node, reader), &p.tally)
	for k := check.KeyID(0); ; k = (k + 1) % partitionHot {
		if _, err := t.Read(ctx, k); err != nil {
			return fmt.Errorf("%w: a read of a cached key at node %d: %w", ErrVerdict, node, err)
		}
		p.nodes[node].reads.Add(1)
		if !sleep(ctx, stop, max(readEvery, p.o.readInterval())) {
			return ctx.Err()
		}
	}
}

// readInterval keeps readers below MaxOps: they get half of it, refused writes the
// rest.
func (o *Options) readInterval() time.Duration {
	return time.Duration(float64(o.Duration) * readersPerNode * nodes * 2 / float64(o.MaxOps))
}

// write writes at one node as fast as it goes. Refusals must name the limit.
func (p *partition) write(ctx context.Context, stop <-chan struct{}, node int) error {
	n := &p.nodes[node]
	for w := 0; ; w++ {
		t := workload.NewThread(p.s.clients[node], p.s.recorder, p.keys, fmt.Sprintf("writer%d.%d", node, w), &p.tally)
		for i := 0; i < writesPerWorkflow; {
			select {
			case <-stop:
				return nil
			default:
			}
			key := check.KeyID((w*writesPerWorkflow + i) % len(p.keys))
			switch err := t.Write(ctx, key, p.valueSize, 0); {
			case err == nil:
				i++
				n.writes.Add(1)
				if p.healed.Load() {
					n.again.Add(1)
				}
			case !errors.Is(err, clientlib.ErrOverloaded) || !strings.Contains(err.Error(), pendingLimit):
				return fmt.Errorf("%w: a write at node %d, want it done or ErrOverloaded that names the %s: %w", ErrVerdict, node, pendingLimit, err)
			default:
				n.refused.Add(1)
				if !sleep(ctx, stop, refusedPause) {
					return ctx.Err()
				}
			}
		}
	}
}

// maxReadGap is how long a node may answer no read, unless a test says otherwise. A busy machine delays
// processes by a second now and then; a node that the partition stops answers nothing until it ends.
const maxReadGap = 10 * time.Second

// watchReads demands that every node goes on answering reads during the partition.
func (p *partition) watchReads(ctx context.Context) {
	gap := cmp.Or(p.o.readGap, maxReadGap)
	for end := time.Now().Add(p.o.Duration); time.Until(end) >= time.Second; {
		began := time.Now()
		var last [nodes]uint64
		for i := range p.nodes {
			last[i] = p.nodes[i].reads.Load()
		}
		if !sleep(ctx, nil, time.Second) {
			return
		}
		answering, cancel := context.WithDeadline(ctx, began.Add(gap))
		for i := range p.nodes {
			answers := func() bool { return p.nodes[i].reads.Load() > last[i] }
			awaitWork(answering, answers)
			p.verdicts.demand(answers() || ctx.Err() != nil, "node %d answered no read for %v", i, gap)
		}
		cancel()
	}
}

// awaitRefusals waits for a while until every node has used up its pending bytes.
func (p *partition) awaitRefusals(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, enoughWithin)
	defer cancel()
	for i := range p.nodes {
		awaitWork(ctx, func() bool { return p.nodes[i].refused.Load() > 0 })
	}
}

// awaitWrites waits until every node takes writes again.
func (p *partition) awaitWrites(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	for i := range p.nodes {
		for p.nodes[i].again.Load() == 0 {
			if !sleep(ctx, nil, refusedPause) {
				p.verdicts.demand(false, "node %d takes no writes within %v of the links' return", i, restWithin)
				return
			}
		}
	}
}

func (p *partition) report(m *memory, e *ending, took, mended time.Duration) error {
	var t table
	t.addStage(p.s, e)
	t.add("limits", "--max-memory %v, pending bytes %v", p.o.MaxMemory, e.statuses[0].Config.PendingBytes)
	t.add("partition", "%.1f s", took.Seconds())
	v := &p.verdicts
	for i := range p.nodes {
		n := &p.nodes[i]
		t.add(fmt.Sprintf("node %d", i), "%s cached reads; %s writes acknowledged (%s after the links' return), %s refused: %q",
			grouped(n.reads.Load()), grouped(n.writes.Load()), grouped(n.again.Load()), grouped(n.refused.Load()), pendingLimit)
		v.demand(n.refused.Load() > 0, "node %d refused no write: the trial was too short to use up the pending bytes", i)
	}
	if err := t.addUsage(p.s); err != nil {
		return err
	}
	for _, node := range p.s.ring.Nodes {
		u, err := node.Usage()
		if err != nil {
			return err
		}
		v.demand(u.PeakRSSBytes <= int64(p.o.MaxMemory), "node %d had %s resident, --max-memory is %v", node.ID, mebibytes(u.PeakRSSBytes), p.o.MaxMemory)
	}
	t.add("memory", "medians of the thirds of the trial: %s", m.judge(v))
	t.add("mended", "%s from the links' return to rest everywhere, with writes until all nodes took them again", shortly(mended))
	v.demand(mended <= restWithin, "it took %v from the links' return to rest, want at most %v", mended, restWithin)
	t.addVerdict(&e.verdict)
	t.print(p.o.Out)
	return errors.Join(e.err(), v.err())
}
