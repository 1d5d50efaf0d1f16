package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// preload writes every key once. Unlike the load itself it repeats what the target
// refuses for now, as there is no result without all keys.
func (r *run) preload(ctx context.Context, line *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.start = time.Now()
	var next atomic.Int64
	var sessions sync.WaitGroup
	for _, w := range r.workers {
		sessions.Go(func() {
			for {
				rank := int(next.Add(1)) - 1
				if rank >= r.o.Keys || ctx.Err() != nil {
					return
				}
				if err := w.preload(ctx, r.keys.key(rank)); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { sessions.Wait(); close(done) }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			line.clear()
			return context.Cause(ctx)
		case <-tick.C:
			if line != nil {
				line.showPreload(min(next.Load(), int64(r.o.Keys)), int64(r.o.Keys))
			}
		}
	}
}

func (w *worker) preload(ctx context.Context, key string) error {
	deadline := time.Now().Add(w.run.o.Timeout)
	for {
		err := w.session.Write(ctx, key, w.nextValue())
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrOverloaded):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("refused for %v: %w; is the ring complete, and does the database keep up?", w.run.o.Timeout, err)
		case !w.pause(errorPause):
			return err
		}
	}
}
