package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"causalmesh/causal/check"
	"causalmesh/clientlib"
)

// Mix says how often a workflow does what: each number is a share of their sum.
type Mix struct {
	Read, ReadMany, Write, TTLWrite, Delete, Branch int
}

// DefaultMix reads twice as often as it writes and leaves nothing out.
var DefaultMix = Mix{Read: 48, ReadMany: 16, Write: 24, TTLWrite: 4, Delete: 4, Branch: 4}

func (m Mix) sum() int { return m.Read + m.ReadMany + m.Write + m.TTLWrite + m.Delete + m.Branch }

// Covered reports whether all kinds of operations were carried out that m has.
func (m Mix) Covered(t *Tally) bool {
	for kind, share := range [kinds]int{
		KindRead: m.Read, KindReadMany: m.ReadMany, KindWrite: m.Write, KindTTLWrite: m.TTLWrite, KindDelete: m.Delete, KindJoin: m.Branch,
	} {
		if share > 0 && t.Of(Kind(kind)) == 0 {
			return false
		}
	}
	return true
}

// Config is what workflows share.
type Config struct {
	// Clients are where workflows roam.
	Clients  []*clientlib.Client
	Recorder *check.Recorder
	Tally    *Tally
	// Keys are those of the recorder. The first Hot of them get HotPercent of all
	// operations, so that workflows meet.
	Keys            []string
	Hot, HotPercent int
	// HotBytes and ColdBytes are the largest sizes of values.
	HotBytes, ColdBytes int
	Mix                 Mix
	// Interval is the least time from one operation of a workflow to the next; 0 for
	// as fast as it goes.
	Interval time.Duration
	// Tolerates says which failures the trial provokes; any other ends the run.
	Tolerates func(Failure) bool
	Seed      uint64
}

const (
	branches      = 2
	branchSteps   = 3
	readManyKeys  = 4
	shortestTTL   = 50 * time.Millisecond
	longestTTL    = 2 * time.Second
	failurePause  = 2 * time.Millisecond
	hotKeysAtMost = 100 // per cent
)

// Roamer is a workflow: after every operation it goes on at a random node, from its
// exported context. Now and then it branches into parallel functions, which roam as
// well, and joins them.
type Roamer struct {
	c       *Config
	name    string
	thread  *Thread
	rng     *rand.Rand
	helpers []*Roamer // of branches; each is used again, see branch
	next    time.Time
}

// NewRoamer returns workflow number n.
func NewRoamer(c *Config, n int) *Roamer {
	name := fmt.Sprintf("w%d", n)
	r := &Roamer{c: c, name: name, rng: rand.New(rand.NewPCG(c.Seed, uint64(n)))}
	r.thread = NewThread(r.somewhere(), c.Recorder, c.Keys, name, c.Tally)
	return r
}

// Run works until stop is closed or ctx ends. It returns an error that was not to
// be expected.
func (r *Roamer) Run(ctx context.Context, stop <-chan struct{}) error {
	for ctx.Err() == nil {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := r.pace(ctx, stop); err != nil {
			return err
		}
		var err error
		if r.rng.IntN(r.c.Mix.sum()) < r.c.Mix.Branch {
			err = r.branch(ctx)
		} else {
			err = r.step(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pace waits until the next operation is due.
func (r *Roamer) pace(ctx context.Context, stop <-chan struct{}) error {
	if r.c.Interval == 0 {
		return nil
	}
	now := time.Now()
	if wait := r.next.Sub(now); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-stop:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// No more than one operation is made up for: a fault is no reason for a storm.
	if r.next = r.next.Add(r.c.Interval); r.next.Before(now) {
		r.next = now
	}
	return nil
}

func (r *Roamer) somewhere() *clientlib.Client { return r.c.Clients[r.rng.IntN(len(r.c.Clients))] }

// resume makes the workflow go on somewhere from an exported context.
func (r *Roamer) resume(exported []byte) error {
	s, err := r.somewhere().Resume(exported)
	if err == nil {
		r.thread.Session = s
	}
	return err
}

// key picks a key and the size of a value for it.
func (r *Roamer) key() (check.KeyID, int) {
	if hot := r.c.Hot; hot == len(r.c.Keys) || r.rng.IntN(hotKeysAtMost) < r.c.HotPercent {
		return check.KeyID(r.rng.IntN(hot)), 1 + r.rng.IntN(r.c.HotBytes)
	}
	return check.KeyID(r.c.Hot + r.rng.IntN(len(r.c.Keys)-r.c.Hot)), 1 + r.rng.IntN(r.c.ColdBytes)
}

// step does one operation that is no branch, and moves.
func (r *Roamer) step(ctx context.Context) error {
	if err := r.tolerate(ctx, r.operate(ctx)); err != nil {
		return err
	}
	return r.resume(r.thread.Session.Context())
}

func (r *Roamer) operate(ctx context.Context) error {
	m, t := r.c.Mix, r.thread
	key, size := r.key()
	n := r.rng.IntN(m.sum() - m.Branch)
	switch {
	case n < m.Read:
		_, err := t.Read(ctx, key)
		return err
	case n < m.Read+m.ReadMany:
		return t.ReadMany(ctx, r.keys(key)...)
	case n < m.Read+m.ReadMany+m.Write:
		return t.Write(ctx, key, size, 0)
	case n < m.Read+m.ReadMany+m.Write+m.TTLWrite:
		return t.Write(ctx, key, size, shortestTTL+time.Duration(r.rng.Int64N(int64(longestTTL-shortestTTL))))
	}
	return t.Delete(ctx, key)
}

// keys returns a few different keys, first among them.
func (r *Roamer) keys(first check.KeyID) []check.KeyID {
	keys := []check.KeyID{first}
	for range r.rng.IntN(readManyKeys) {
		k, _ := r.key()
		for _, other := range keys {
			if k == other {
				return keys
			}
		}
		keys = append(keys, k)
	}
	return keys
}

// tolerate returns err if it is not one that the trial provokes.
func (r *Roamer) tolerate(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !r.c.Tolerates(failureOf(err)):
		return fmt.Errorf("workflow %s: %w", r.name, err)
	}
	time.Sleep(failurePause) // whoever is refused does not ask again at once
	return nil
}

// branch runs parallel functions from the context as it is, and joins what they
// have done.
//
// The recorded processes of branches are used again: their past is always part of
// what the workflow has joined, so it adds nothing to that of the next branch, and
// the checker's cost grows with the number of processes. Where a join fails, new ones
// are started.
func (r *Roamer) branch(ctx context.Context) error {
	exported := r.thread.Session.Context()
	var running sync.WaitGroup
	errs := make([]error, branches)
	for i := range branches {
		h, err := r.helper(i, exported)
		if err != nil {
			return err
		}
		steps := 1 + r.rng.IntN(branchSteps)
		running.Go(func() {
			for ; steps > 0 && errs[i] == nil; steps-- {
				errs[i] = h.step(ctx)
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var contexts [branches][]byte
	var positions [branches]check.Position
	for i, h := range r.helpers {
		contexts[i], positions[i] = h.thread.Session.Context(), h.thread.Process.Position()
	}
	if err := r.thread.Session.Merge(contexts[:]...); err != nil {
		r.helpers = nil
		return r.tolerate(ctx, r.thread.fail(err))
	}
	r.thread.Process.Join(positions[:]...)
	r.c.Tally.add(KindJoin)
	return nil
}

// helper returns the workflow of branch i, which starts from an exported context.
func (r *Roamer) helper(i int, exported []byte) (*Roamer, error) {
	from := r.thread.Process.Position()
	if i < len(r.helpers) {
		h := r.helpers[i]
		h.thread.Process.Join(from)
		return h, h.resume(exported)
	}
	h := &Roamer{c: r.c, name: fmt.Sprintf("%s.%d", r.name, i), rng: rand.New(rand.NewPCG(r.rng.Uint64(), uint64(i)))}
	client := h.somewhere()
	h.thread = &Thread{
		Process: r.c.Recorder.Start(h.name, client.Info().Epoch, from), keys: r.c.Keys, tally: r.c.Tally,
	}
	r.helpers = append(r.helpers, h)
	return h, h.resume(exported)
}
