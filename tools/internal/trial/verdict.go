package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"causalmesh/causal/check"
	"causalmesh/clientlib"
	"causalmesh/daemon"
	"causalmesh/tools/internal/workload"
)

// verdict is what came of a history.
type verdict struct {
	report    check.Report
	ops       int
	processes int
	checkTime time.Duration
}

// lost counts writes that were acknowledged or read and are not there at the end;
// anomalies is everything else that must not be.
func (v *verdict) lost() int      { return v.report.Counts[check.KindLost] }
func (v *verdict) anomalies() int { return v.report.Total() - v.lost() }

func (v *verdict) err() error {
	if err := v.report.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrVerdict, err)
	}
	return nil
}

func judge(h *check.History) verdict {
	start := time.Now()
	r := check.Check(h)
	return verdict{report: r, ops: h.Ops(), processes: h.Processes(), checkTime: time.Since(start)}
}

// CheckFile judges a recorded history.
func CheckFile(o Options, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	h, err := check.Decode(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v := judge(h)
	t := table{}
	t.addVerdict(&v)
	if len(h.Final) == 0 {
		t.add("final state", "not recorded: whether writes were lost and nodes converged is not judged")
	}
	t.print(o.Out)
	return v.err()
}

// ending is how a trial's cluster came to rest and what the history says.
type ending struct {
	verdict
	rest     time.Duration
	statuses []daemon.Status
}

// end waits for rest, reads the final state at every node and judges the history. Nobody may write any more. Whether promises were kept is for the caller
// to ask of the ending.
func (s *stage) end(ctx context.Context) (*ending, error) {
	start := time.Now()
	resting, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	e := &ending{}
	var err error
	h := s.recorder.History()
	if e.statuses, err = s.ring.AwaitRest(resting); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVerdict, err)
	}
	e.rest = time.Since(start)
	reading, cancel := context.WithTimeout(ctx, finalWithin)
	defer cancel()
	if h.Final, err = s.finalStates(reading, h.Keys); err != nil {
		return nil, err
	}
	for i := range h.Final {
		h.Final[i].Pending = e.statuses[i].Server.Pending
	}
	e.verdict = judge(h)
	return e, nil
}

// finalBatch is how many keys are read at once at the end.
const finalBatch = 64

// finalWithin bounds the time for the final state, much of which comes from the database.
const finalWithin = 5 * time.Minute

// pauseAtLast is how long a final read waits before it is made again.
const pauseAtLast = 50 * time.Millisecond

// finalStates reads all keys at all nodes, at once.
func (s *stage) finalStates(ctx context.Context, keys []string) ([]check.ServerState, error) {
	states, errs := make([]check.ServerState, len(s.clients)), make([]error, len(s.clients))
	var reading sync.WaitGroup
	for i, c := range s.clients {
		reading.Go(func() {
			if states[i], errs[i] = finalState(ctx, c, keys); errs[i] != nil {
				errs[i] = fmt.Errorf("final state of node %d: %w", i, errs[i])
			}
		})
	}
	reading.Wait()
	return states, errors.Join(errs...)
}

// finalState reads all keys at one node, with a session that knows nothing, so that
// the node's own state is all that it sees.
func finalState(ctx context.Context, c *clientlib.Client, keys []string) (check.ServerState, error) {
	state := check.ServerState{Server: c.Info().Node}
	for first := 0; first < len(keys); first += finalBatch {
		batch := keys[first:min(first+finalBatch, len(keys))]
		found, err := readAtLast(ctx, c, batch)
		if err != nil {
			return state, err
		}
		for i := range found {
			state.Items = append(state.Items, workload.ItemOf(check.KeyID(first+i), &found[i]))
		}
	}
	return state, nil
}

// readAtLast reads until it gets an answer: right after a fault of the database or of
// a link, loads may still fail, and that passes.
func readAtLast(ctx context.Context, c *clientlib.Client, keys []string) ([]clientlib.Item, error) {
	for {
		found, err := c.Session().ReadMany(ctx, keys...)
		if !errors.Is(err, clientlib.ErrUnavailable) || !sleep(ctx, nil, pauseAtLast) {
			return found, err
		}
	}
}

// verdicts joins the conditions of a trial that do not hold.
type verdicts []string

// demand notes a condition that does not hold.
func (v *verdicts) demand(holds bool, format string, args ...any) {
	if !holds {
		*v = append(*v, fmt.Sprintf(format, args...))
	}
}

func (v verdicts) err() error {
	if len(v) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrVerdict, strings.Join(v, "; "))
}
