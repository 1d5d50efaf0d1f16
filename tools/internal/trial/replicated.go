package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/clientlib"
	"causalmesh/daemon/netcut"
	"causalmesh/tools/internal/workload"
)

const (
	head      causal.ReplicaID = 0
	successor                  = head + 1
	// cutPatience is how long the client waits for a write that the head holds, as it
	// cannot be acknowledged.
	cutPatience    = 400 * time.Millisecond
	replicatedKeys = 16
	// heldBack is for how long nothing reaches the successor before the head's end. A
	// head that acknowledged nevertheless would do so many times.
	heldBack = 50 * time.Millisecond
)

// Replicated tries what --ack replicated promises: whatever was acknowledged is at the
// next node, too, and survives the head's end.
func Replicated(ctx context.Context, o Options) error {
	o.Ack = causal.AckReplicated
	if err := promise(ctx, &o); err != nil {
		return err
	}
	// The same with --ack local, where the write must get lost: a trial that cannot
	// see the loss would prove nothing.
	o.Ack, o.History = causal.AckLocal, ""
	return contrast(ctx, &o)
}

func promise(ctx context.Context, o *Options) (err error) {
	s, err := newStage(ctx, o, needs{noStore: true, cuttable: true})
	if err != nil {
		return err
	}
	defer func() { err = s.endKilled(ctx, err) }()
	keys := world{hot: replicatedKeys}.keys()
	o.printf("--ack replicated: %s\n\n", s.processes())
	if err := s.cutWrite(ctx); err != nil {
		return err
	}

	var tally workload.Tally
	o.printf("%d sessions write at node %d for %v; then the link holds everything back, and %v later kill -9 of node %d\n",
		o.Sessions, head, o.Duration, heldBack, head)
	highest, err := s.writeUntilKilled(ctx, keys, &tally)
	if err != nil {
		return err
	}
	status, err := s.node(successor).Status(ctx)
	if err != nil {
		return err
	}
	received := status.Server.Received[head]
	o.printf("  %s writes were acknowledged; the last was number %d of node %d\n", grouped(tally.Of(workload.KindWrite)), highest.Counter, head)
	o.printf("  node %d, /status: R[%d] = %d: it has received writes 1 to %d of node %d, each in its turn,\n", successor, head, received, received, head)
	o.printf("  and holds them, although the process that took them is gone\n")
	v := judge(s.recorder.History())
	var t table
	t.addVerdict(&v)
	t.print(o.Out)
	var broken verdicts
	broken.demand(highest.Counter > 0, "no write was acknowledged")
	broken.demand(status.Server.Received.Covers(highest), "write %v was acknowledged, and node %d has only %d of node %d's writes",
		highest, successor, received, head)
	return errors.Join(v.err(), broken.err())
}

// endKilled finishes a stage whose ring cannot drain any more: all of it is killed.
func (s *stage) endKilled(ctx context.Context, err error) error {
	s.ring.Kill()
	s.ring = nil
	return s.finish(ctx, err)
}

// cutWrite writes while the link to the successor is cut.
func (s *stage) cutWrite(ctx context.Context) error {
	o, link, session := s.o, s.node(successor).Incoming, s.clients[head].Session()
	link.Cut()
	o.printf("link from node %d to node %d cut\n", head, successor)
	writing, giveUp := context.WithCancel(ctx)
	defer giveUp()
	written := make(chan error, 1)
	go func() { written <- session.Write(writing, "cut", []byte("v")) }()
	held, ended := s.awaitHeld(ctx, written)
	giveUp()
	err := ended
	if held {
		err = <-written
	}
	o.printf("  a write at node %d, after %v: %v\n", head, cutPatience, err)
	if !held || !errors.Is(err, clientlib.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: a write that cannot be replicated ended with %v, want it held until the client gives up, with ErrUnknownOutcome", ErrVerdict, err)
	}
	link.Restore()
	long, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	start := time.Now()
	if err := session.Retry(long); err != nil {
		return fmt.Errorf("%w: the write after the link's return: %w", ErrVerdict, err)
	}
	v, _ := session.LastWrite()
	o.printf("  link restored: Retry returned after %s, it was and is write number %d of node %d\n\n", shortly(time.Since(start)), v.Dot.Counter, head)
	return nil
}

// awaitHeld waits until the head holds a write, and for cutPatience more. It returns false,
// and how the write ended, if it has ended before that.
func (s *stage) awaitHeld(ctx context.Context, written <-chan error) (held bool, err error) {
	patient, cancel := context.WithTimeout(ctx, enoughWithin)
	defer cancel()
	for {
		status, err := s.node(head).Status(patient)
		wait := lookEvery
		if held = err == nil && status.Server.Held > 0; held {
			wait = cutPatience
		}
		select {
		case err := <-written:
			return false, err
		case <-patient.Done():
			return false, errors.Join(patient.Err(), err)
		case <-time.After(wait):
			if held {
				return true, nil
			}
		}
	}
}

// writeUntilKilled writes at the head from many sessions, kills it at once, and
// returns the highest write that was acknowledged.
func (s *stage) writeUntilKilled(ctx context.Context, keys []string, tally *workload.Tally) (causal.Dot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.recorder = check.NewRecorder(keys)
	var running sync.WaitGroup
	var mu sync.Mutex
	var highest causal.Dot
	for i := range s.o.Sessions {
		t := workload.NewThread(s.clients[head], s.recorder, keys, fmt.Sprintf("s%d", i), tally)
		running.Go(func() {
			for n := i; t.Write(ctx, check.KeyID(n%len(keys)), 1, 0) == nil; n++ {
				v, _ := t.Session.LastWrite()
				mu.Lock()
				if v.Dot.Counter > highest.Counter {
					highest = v.Dot
				}
				mu.Unlock()
			}
		})
	}
	interrupted := !sleep(ctx, nil, s.o.Duration)
	working, enough := context.WithTimeout(ctx, enoughWithin)
	defer enough()
	acknowledged := func() uint64 { return tally.Of(workload.KindWrite) }
	awaitWork(working, func() bool { return acknowledged() > 0 })
	// What the head has sent and the successor has not received must not arrive after
	// the end, or it would pass for received: the link holds it back, and is cut then.
	link := s.node(successor).Incoming
	link.Freeze(netcut.ToTarget)
	holding, release := context.WithTimeout(ctx, s.heldBack)
	defer release()
	// Of each session one write may be on its way. More acknowledgements than that are of
	// writes that the successor does not have: there is nothing more to wait for.
	before := acknowledged()
	awaitWork(holding, func() bool { return acknowledged() > before+uint64(s.o.Sessions) })
	s.node(head).Kill()
	link.Cut()
	// Whoever waits for the head waits for nothing.
	cancel()
	running.Wait()
	if interrupted {
		return highest, context.Canceled
	}
	return highest, nil
}

// contrast shows that the trial can tell: with --ack local a write is acknowledged
// although the link is cut, and is gone with its head.
func contrast(ctx context.Context, o *Options) (err error) {
	s, err := newStage(ctx, o, needs{noStore: true, cuttable: true})
	if err != nil {
		return err
	}
	defer func() { err = s.endKilled(ctx, err) }()
	o.printf("for comparison, --ack local: link from node %d to node %d cut, a write at node %d, kill -9\n", head, successor, head)
	for _, n := range s.ring.Nodes {
		n.Incoming.Cut()
	}
	session := s.clients[head].Session()
	if err := session.Write(ctx, "cut", []byte("v")); err != nil {
		return fmt.Errorf("%w: a write with --ack local: %w", ErrVerdict, err)
	}
	v, _ := session.LastWrite()
	s.node(head).Kill()
	status, err := s.node(successor).Status(ctx)
	if err != nil {
		return err
	}
	o.printf("  it was acknowledged at once as number %d, and node %d has R[%d] = %d: lost with its head, as documented\n",
		v.Dot.Counter, successor, head, status.Server.Received[head])
	if status.Server.Received.Covers(v.Dot) {
		return fmt.Errorf("%w: the cut link let the write through: this trial cannot tell", ErrVerdict)
	}
	return nil
}
