package clientlib

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// patience is how long an operation may take: until its context ends or, where
// that has no deadline, for the client's timeout. It is used by one goroutine.
type patience struct {
	ctx     context.Context
	timeout time.Duration
	timer   *time.Timer // nil if only the context ends the operation
	expired <-chan time.Time
	// over: expired has fired, and will not fire again.
	over bool
}

// newPatience starts the timeout if there is need of one. It takes timer, or makes
// one if that is nil, so that a session has one timer for all of its operations.
func newPatience(ctx context.Context, timeout time.Duration, timer *time.Timer) patience {
	p := patience{ctx: ctx, timeout: timeout}
	if _, has := ctx.Deadline(); has || timeout <= 0 {
		return p
	}
	if timer == nil {
		timer = time.NewTimer(timeout)
	} else {
		timer.Reset(timeout)
	}
	p.timer, p.expired = timer, timer.C
	return p
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// wait waits for done. It returns an error if the patience ends first.
func (p *patience) wait(done <-chan struct{}) error {
	if p.over {
		return p.end()
	}
	select {
	case <-done:
		return nil
	case <-p.ctx.Done():
	case <-p.expired:
		p.over = true
	}
	return p.end()
}

// end returns why the patience has ended, nil if it has not.
func (p *patience) end() error {
	if p.over {
		return fmt.Errorf("not done within %v: %w", p.timeout, context.DeadlineExceeded)
	}
	return p.ctx.Err()
}

// pause waits for d. It returns an error if the patience ends first.
func (p *patience) pause(d time.Duration) error {
	if d == 0 {
		return p.end()
	}
	done := make(chan struct{})
	t := time.AfterFunc(d, func() { close(done) })
	defer t.Stop()
	return p.wait(done)
}

// backoff is the pause before each further attempt: none the first time, then twice
// as long each time, half of it at random, so that clients that lost the same server
// do not come back in step.
type backoff struct {
	attempts int
}

const (
	firstPause = 2 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// next returns the pause to make before the next attempt.
func (b *backoff) next() time.Duration {
	b.attempts++
	if b.attempts == 1 {
		return 0
	}
	d := firstPause
	for i := 2; i < b.attempts && d < maxPause; i++ {
		d = min(2*d, maxPause)
	}
	return d/2 + rand.N(d/2)
}
