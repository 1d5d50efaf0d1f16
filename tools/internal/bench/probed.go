package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/causal"
	"causalmesh/tools/internal/probe"
	"causalmesh/tools/internal/process"
)

// attachWithin bounds how long it may take to attach probes: all loops have to be seen.
const attachWithin = time.Minute

// pinsRoot is where this process pins probes. They belong to it: the usual place is that of
// who watches the machine.
func pinsRoot() string { return fmt.Sprintf("%s-bench-%d", bpf.Root, os.Getpid()) }

// probing attaches probes to the node asked, and returns what detaches them.
func (t *target) probing(ctx context.Context) (off func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, attachWithin)
	defer cancel()
	node := t.ring.Nodes[0]
	if _, err := probe.On(ctx, pinsRoot(), node.Admin); err != nil {
		return nil, err
	}
	return func() error { return bpf.Off(pinsRoot(), fmt.Sprint(node.ID)) }, nil
}

// warm makes the load for a moment that is not measured, before probes are attached: they
// see the very requests that the client measures.
func (r *runner) warm(ctx context.Context, t *target, l Load) error {
	_, err := r.loadgen(ctx, t, append(l.flags(), "--warmup", "0s", "--duration", r.plan.warmUp().String())...)
	return err
}

// takeProbed has loadgen measure a load, with probes if the system has them, and says
// where the time of a request went and what it cost both sides.
func takeProbed(ctx context.Context, r *runner, t *target, l Load) (_ []Sample, err error) {
	if err := r.warm(ctx, t, l); err != nil {
		return nil, err
	}
	if t.system.Probed {
		off, err := t.probing(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, off()) }()
	}
	before, err := processorClock(t.asked)
	if err != nil {
		return nil, err
	}
	p, err := r.loadgen(ctx, t, append(l.flags(), "--warmup", "0s")...)
	if err != nil {
		return nil, err
	}
	after, err := processorClock(t.asked)
	if err != nil {
		return nil, err
	}
	values := p.metrics()
	values[NodeCPU] = (after - before).Seconds() * 1e6 / float64(p.Operations)
	values[BothCPU] = values[NodeCPU] + values[ClientCPU]
	if t.system.Probed {
		err = t.split(ctx, p, values)
	}
	return []Sample{{Values: values}}, err
}

// processorClock is a process's own clock of the time that it has had processors: in ns, not
// in ticks.
func processorClock(id process.Identity) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: what clock_getcpuclockid(3) gives
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^id.PID<<3|scheduled), &ts); err != nil {
		return 0, fmt.Errorf("%w: CPU time of process %d: %w", ErrServer, id.PID, err)
	}
	return time.Duration(ts.Nano()), nil
}

// tellWithin bounds how long a node may take until the kernel knows what it has timed itself.
const tellWithin = time.Minute

// split reads what the kernel has measured of the load's reads.
func (t *target) split(ctx context.Context, p *loadReport, values map[Metric]float64) error {
	made := uint64(p.Operations + p.Errors)
	for deadline := time.Now().Add(tellWithin); ; {
		all, err := probe.Read(ctx, pinsRoot(), []string{t.ring.Nodes[0].Admin}, 0)
		if err != nil {
			return err
		}
		reads, err := readsIn(&all[0], made)
		if err == nil {
			splitOf(reads, values)
			values[WakeUp] = float64(all[0].WakeUp.Mean)
			return nil
		}
		if time.Now().After(deadline) || reads != nil && reads.Requests >= made {
			return fmt.Errorf("%w: %s: %w", ErrProbes, t.system.Name, err)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// readsIn finds the reads, which have to be all that there were: an error says what is
// missing. Those in shared memory are sent by no call of the kernel, and may go without
// times where it is called seldom.
func readsIn(seen *probe.Latency, made uint64) (*probe.Operation, error) {
	// Nobody reads outliers here, so there may be no room for them.
	if l := seen.Losses; l.Unreadable+l.Connections+l.Missed > 0 {
		return nil, fmt.Errorf("not everything was followed: %+v", l)
	}
	for i := range seen.Operations {
		if o := &seen.Operations[i]; o.Name == causal.OpRead.String() {
			timed := min(o.Queue.Count, o.Service.Count)
			untimed := made / 100 // in shared memory
			if o.Send.Count > 0 {
				timed, untimed = min(timed, o.Send.Count), 0
			}
			if o.Requests != made || timed > made || made-timed > untimed {
				return o, fmt.Errorf("of %d reads they have counted %d, and timed %d", made, o.Requests, timed)
			}
			return o, nil
		}
	}
	return nil, fmt.Errorf("they have seen none of %d reads", made)
}

// splitOf adds the parts of a request's mean latency. What the kernel does not see of it
// is the client's.
func splitOf(o *probe.Operation, values map[Metric]float64) {
	values[Queue], values[QueueP50] = float64(o.Queue.Mean), float64(o.Queue.P50)
	values[Service], values[ServiceP50] = float64(o.Service.Mean), float64(o.Service.P50)
	if o.Send.Count > 0 {
		values[Send], values[SendP50] = float64(o.Send.Mean), float64(o.Send.P50)
	}
	values[Client] = values[Mean] - values[Queue] - values[Service] - values[Send]
}

// takePrograms has the kernel count how often and how long the programs run while loadgen
// makes a load. To count costs itself, so nothing else is measured then.
func takePrograms(ctx context.Context, r *runner, t *target, l Load) (_ []Sample, err error) {
	if err := r.warm(ctx, t, l); err != nil {
		return nil, err
	}
	off, err := t.probing(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, off()) }()
	counting, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return nil, fmt.Errorf("%w: statistics: %w", ErrProbes, err)
	}
	p, err := r.loadgen(ctx, t, append(l.flags(), "--warmup", "0s")...)
	if err = errors.Join(err, counting.Close()); err != nil {
		return nil, err
	}
	state, err := probe.Look(ctx, pinsRoot(), t.ring.Nodes[0].Admin)
	if err != nil {
		return nil, err
	}
	values := map[Metric]float64{}
	for _, g := range state.Programs {
		if _, known := quantities[runsOf(g.Name)]; !known {
			return nil, fmt.Errorf("%w: nothing says how program %s is shown; add it to probePrograms", ErrProbes, g.Name)
		}
		values[runsOf(g.Name)] = float64(g.Runs) / float64(p.Operations)
		if g.Runs > 0 {
			values[runTimeOf(g.Name)] = float64(g.RunTime) / float64(g.Runs)
		}
		values[ProgramTime] += float64(g.RunTime) / float64(p.Operations)
	}
	return []Sample{{Values: values}}, nil
}

// probePrograms are the programs, in the order in which a request meets them.
var probePrograms = []string{"wait", "ready", "received", "answered", "sent"}

func runsOf(program string) Metric    { return Metric("runs_per_op_" + program) }
func runTimeOf(program string) Metric { return Metric("ns_per_run_" + program) }

func init() {
	for _, program := range probePrograms {
		quantities[runsOf(program)] = quantity{"runs of `" + program + "`", "per operation", 1}
		quantities[runTimeOf(program)] = quantity{"a run of `" + program + "`", "ns", 1}
	}
}
