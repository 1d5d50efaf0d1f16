package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"causalmesh/clientlib"
	"causalmesh/tools/internal/process"
)

const (
	// writers is how many sessions write entries at once.
	writers = 64
	// pipelined is how many entries a client of Redis writes at once.
	pipelined = 500
	// overloadPause is what a session waits when told to slow down.
	overloadPause = 2 * time.Millisecond
	// fillWithin bounds one step of filling.
	fillWithin = 5 * time.Minute
	// trimPause is how long servers have, at rest, to give back memory that they have no use
	// for any more.
	trimPause = 500 * time.Millisecond
	// saveWithin bounds how long Redis may take to write its data to disk.
	saveWithin = time.Minute
)

// takeMemory fills a system with more and more entries and looks at its memory after
// each step.
func takeMemory(ctx context.Context, r *runner, t *target, l Load) ([]Sample, error) {
	fill, done, err := t.filler(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	before, err := t.memory(ctx)
	if err != nil {
		return nil, err
	}
	var samples []Sample
	written := 0
	for _, entries := range r.plan.entries() {
		step, cancel := context.WithTimeout(ctx, fillWithin)
		err := fill(step, written, entries)
		cancel()
		if err == nil {
			err = t.rest(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("fill %s up to %d entries: %w", t.system.Name, entries, err)
		}
		written = entries
		if err := pause(ctx, r.plan.wait(trimPause)); err != nil {
			return nil, err
		}
		now, err := t.memory(ctx)
		if err != nil {
			return nil, err
		}
		growth := float64(now.most(before))
		values := map[Metric]float64{Growth: growth, PerEntry: growth / float64(entries)}
		if t.ring != nil {
			values[StoreGrowth] = float64(now.store - before.store)
		}
		samples = append(samples, Sample{X: float64(entries), Values: values})
		r.progress.note("%s holds %d entries", t.system.Name, entries)
	}
	return samples, nil
}

// footprint is the memory of a system's processes, in bytes.
type footprint struct {
	servers []int64
	store   int64
}

// most is by how much the server that has grown most has grown.
func (f *footprint) most(before footprint) int64 {
	most := f.servers[0] - before.servers[0]
	for i := range f.servers {
		most = max(most, f.servers[i]-before.servers[i])
	}
	return most
}

// memory waits until no Redis saves its data, as the process that it forks for that
// shares its pages.
func (t *target) memory(ctx context.Context) (f footprint, err error) {
	for _, p := range t.programs {
		if err := p.awaitSaved(ctx); err != nil {
			return f, err
		}
	}
	for _, id := range append([]process.Identity{t.asked}, t.others...) {
		bytes, err := proportional(id.PID)
		if err != nil {
			return f, err
		}
		f.servers = append(f.servers, bytes)
	}
	for _, id := range t.store {
		if f.store, err = proportional(id.PID); err != nil {
			return f, err
		}
	}
	return f, nil
}

// proportional is the proportional set size of a process: what it has in memory, and
// of what it shares its part.
func proportional(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("%w: memory: %w", ErrServer, err)
	}
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte("Pss:")); found {
			number, unit, _ := strings.Cut(string(bytes.TrimSpace(rest)), " ")
			kibibytes, err := strconv.ParseInt(number, 10, 64)
			if err == nil && unit == "kB" {
				return kibibytes << 10, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: smaps_rollup of process %d has no Pss in kB", ErrServer, pid)
}

// client returns a client of a Redis.
func (p *program) client() *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: p.socket, PoolSize: 1, DialTimeout: readyWithin, ReadTimeout: saveWithin})
}

// save has a Redis write its data to disk at once, so that it does not do so while it is
// measured: after many writes it forks a process for that.
func (p *program) save(ctx context.Context) error {
	if err := p.awaitSaved(ctx); err != nil {
		return err
	}
	c := p.client()
	defer func() { _ = c.Close() }()
	return c.Save(ctx).Err()
}

func (p *program) awaitSaved(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	c := p.client()
	defer func() { _ = c.Close() }()
	for {
		info, err := c.Info(ctx, "persistence").Result()
		if err == nil && strings.Contains(info, "rdb_bgsave_in_progress:0") {
			return nil
		}
		if err == nil {
			err = errors.New("it saves its data")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: %w", ErrServer, p.Name, err)
		case <-time.After(10 * pollEvery):
		}
	}
}

// fillFunc writes the entries from one number to another, the latter not among them.
type fillFunc func(ctx context.Context, from, to int) error

func (t *target) filler(ctx context.Context) (fill fillFunc, done func(), err error) {
	if t.ring == nil {
		c := t.programs[0].client()
		return func(ctx context.Context, from, to int) error { return fillRedis(ctx, c, from, to) }, func() { _ = c.Close() }, nil
	}
	c, err := clientlib.Dial(ctx, "unix:"+t.socket)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, from, to int) error { return fillMesh(ctx, c, from, to) }, func() { _ = c.Close() }, nil
}

// entry is a key of the length that loadgen's have, and a value of its own.
func entry(n int) (key string, value []byte) {
	return fmt.Sprintf("k%011d", n), fmt.Appendf(nil, "%0*d", valueBytes, n%1e8)
}

func fillRedis(ctx context.Context, c *redis.Client, from, to int) error {
	for from < to {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for n := 0; n < pipelined && from < to; n++ {
				key, value := entry(from)
				p.Set(ctx, key, value, 0)
				from++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func fillMesh(ctx context.Context, c *clientlib.Client, from, to int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(from))
	var sessions sync.WaitGroup
	for range writers {
		sessions.Go(func() {
			s := c.Session()
			for n := int(next.Add(1)) - 1; n < to; n = int(next.Add(1)) - 1 {
				if err := write(ctx, s, n); err != nil {
					cancel(err) // the first one tells
					return
				}
			}
		})
	}
	sessions.Wait()
	return context.Cause(ctx)
}

// write writes one entry, however often the node says that it has too much in flight.
func write(ctx context.Context, s *clientlib.Session, n int) error {
	key, value := entry(n)
	for {
		err := s.Write(ctx, key, value)
		if !errors.Is(err, clientlib.ErrOverloaded) {
			return err
		}
		if err := pause(ctx, overloadPause); err != nil {
			return err
		}
	}
}
