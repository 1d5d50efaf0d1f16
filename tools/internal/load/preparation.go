package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// preparation is what sessions do before the load. Unlike the load itself it repeats
// what the target refuses for now, as there is no result without all of it.
type preparation struct {
	name     string
	total    int64
	done     atomic.Int64
	patience time.Duration // with a refusal
	ctx      context.Context
	// visible: what is read has to be found.
	visible bool
	// choose returns a session's next operation, false if it has none. Sessions call
	// it at the same time.
	choose func(index int, c *chooser) (op, bool)
}

func (p *preparation) next(index int, c *chooser) (op, bool) {
	if p.ctx.Err() != nil {
		return op{}, false
	}
	return p.choose(index, c)
}

// judge returns why an operation has to be repeated, or is no use.
func (p *preparation) judge(found bool, err error) error {
	if err == nil && p.visible && !found {
		return fmt.Errorf("%w: a key that was written is not found yet", ErrRefused)
	}
	return err
}

// refused adds what may help to an error that ends the preparation.
func (p *preparation) refused(err error) error {
	if errors.Is(err, ErrRefused) {
		return fmt.Errorf("after %v: %w; is the ring complete, and does the database keep up?", p.patience, err)
	}
	return err
}

// newPreload writes every key once, and notes which one each session has written last.
func newPreload(o *Options, last []int) *preparation {
	var next atomic.Int64
	return &preparation{
		name: "preload", total: int64(o.Keys), patience: o.Timeout,
		choose: func(index int, c *chooser) (op, bool) {
			rank := int(next.Add(1)) - 1
			if rank >= o.Keys {
				return op{}, false
			}
			last[index] = rank
			return op{rank: rank, to: c.at}, true
		},
	}
}

// none stands for no key.
const none = -1

// newSettling waits until all that was preloaded is visible at every target. What was
// written at a server becomes visible in that order, so it is enough to look for the
// last key of each session; but another session has to look, as a session sees its own
// writes before that.
func newSettling(o *Options, last []int) *preparation {
	at := make([][]int, len(o.Targets)) // sessions by target
	for i := range last {
		t := o.home(i)
		at[t] = append(at[t], i)
	}
	looks := make([][]int, len(last)) // ranks by session
	for i, rank := range last {
		for _, sessions := range at {
			who := sessions[i%len(sessions)]
			if who == i {
				who = sessions[(i+1)%len(sessions)]
			}
			if who != i && rank != none {
				looks[who] = append(looks[who], rank)
			}
		}
	}
	p := &preparation{name: "settle", patience: o.Timeout, visible: true}
	for _, ranks := range looks {
		p.total += int64(len(ranks))
	}
	p.choose = func(index int, c *chooser) (op, bool) {
		ranks := looks[index]
		if len(ranks) == 0 {
			return op{}, false
		}
		looks[index] = ranks[1:]
		return op{read: true, rank: ranks[0], to: c.at}, true
	}
	return p
}

// newPast makes a past of o.Past operations for each session, which are like those
// of the load.
func newPast(o *Options) *preparation {
	made := make([]int, o.sessions())
	return &preparation{
		name: "past", total: int64(o.sessions()) * int64(o.Past), patience: o.Timeout,
		choose: func(index int, c *chooser) (op, bool) {
			if made[index] == o.Past {
				return op{}, false
			}
			made[index]++
			return c.next(), true
		},
	}
}

// prepare has the sessions do p. The clock of the load runs, from 0.
func (r *run) prepare(ctx context.Context, p *preparation, line *progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.ctx = ctx
	r.start = time.Now()
	done := make(chan error, 1)
	go func() { done <- r.engine.prepare(p, cancel) }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			line.clear()
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			return nil
		case <-tick.C:
			if line != nil {
				line.showPreparation(p)
			}
		}
	}
}
