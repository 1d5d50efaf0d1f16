package store

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"causalmesh/causal"
	"causalmesh/daemon/faultlog"
)

// Results answers requests, each in its own right and in no order.
type Results struct {
	Loads   []causal.LoadResult
	Flushes []causal.FlushResult
}

// Store carries out loads and flushes against one Redis. Its methods may be called
// from any goroutine.
type Store struct {
	config   Config
	client   *redis.Client
	queue    *queue
	deliver  func(Results)
	workers  sync.WaitGroup
	counters counters
	faults   *faultlog.Log
}

// New starts a store. It does not wait for Redis: Check does. deliver gets the
// results; see the package's description for what it may do.
func New(config Config, deliver func(Results)) (*Store, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	options, err := ParseURL(config.URL)
	if err != nil {
		return nil, err
	}
	bound(options, config)
	s := &Store{
		config:  config,
		client:  redis.NewClient(options),
		queue:   newQueue(config),
		deliver: deliver,
		faults:  faultlog.New(config.Logger),
	}
	for range config.Workers {
		s.workers.Go(s.work)
	}
	return s, nil
}

// bound sets what keeps trouble from piling up: one connection per worker and one
// for Check, one attempt at everything, the deadline of the round trip on all of it.
// When as many dials have failed as there are connections, go-redis fails at once
// and looks once a second whether the server is back.
func bound(o *redis.Options, c Config) {
	trip := c.Timeout / 2
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize = c.Workers+1, c.Workers+1, -1
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = trip, trip, trip, trip
	o.ContextTimeoutEnabled = true
	// Nothing here needs the newer protocol or what go-redis asks on connecting.
	o.Protocol, o.DisableIdentity = 2, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Submit asks for loads and flushes. It never blocks, and keeps neither slice,
// nor the keys of loads, nor the versions. What it returns has failed: there is no room for it, its key
// is reserved, it is over a limit, or the store is closed. Everything else is
// answered through deliver.
func (s *Store) Submit(loads []causal.LoadRequest, flushes []causal.FlushRequest) (refused Results) {
	asked := make([]causal.LoadRequest, 0, len(loads))
	for _, r := range loads {
		r.Key = bytes.Clone(r.Key)
		if s.acceptable(r.Key) {
			asked = append(asked, r)
		} else {
			refused.Loads = append(refused.Loads, failedLoad(r))
		}
	}
	written := make([]causal.FlushRequest, 0, len(flushes))
	for _, r := range flushes {
		r.Version = r.Version.Clone()
		if s.acceptable(r.Version.Key) && !r.Version.Absent() && len(r.Version.Value) <= s.config.ValueBytes {
			written = append(written, r)
		} else {
			refused.Flushes = append(refused.Flushes, failedFlush(r))
		}
	}
	loadsIn, flushesIn := s.queue.put(time.Now(), asked, written)
	for _, r := range asked[loadsIn:] {
		refused.Loads = append(refused.Loads, failedLoad(r))
	}
	for _, r := range written[flushesIn:] {
		refused.Flushes = append(refused.Flushes, failedFlush(r))
	}
	if n := len(refused.Loads) + len(refused.Flushes); n > 0 {
		s.counters.refused.Add(uint64(n))
		s.faults.Add(time.Now(), "store refused requests: queue full, key reserved, over a limit, or closed", slog.Int("requests", n))
	}
	return refused
}

func (s *Store) acceptable(key []byte) bool {
	return CheckKey(key) == nil && len(key) <= s.config.KeyBytes
}

// Close fails what waits, breaks off what is under way, and returns when all
// results are delivered. What is to be kept must have been flushed before.
func (s *Store) Close() error {
	s.queue.close()
	err := s.client.Close() // ends the round trips
	s.workers.Wait()
	return err
}

func (s *Store) work() {
	for {
		b, open := s.queue.take()
		if !open {
			return
		}
		var r Results
		if len(b.loads) > 0 {
			r.Loads = s.load(b.loads, b.late)
		} else {
			r.Flushes = s.flush(b.flushes, b.late)
		}
		s.deliver(r)
	}
}

// tripContext bounds one batch. What it leaves of Config.Timeout is for waiting.
func (s *Store) tripContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.config.Timeout/2)
}

func failedLoad(r causal.LoadRequest) causal.LoadResult {
	return causal.LoadResult{ID: r.ID, Key: r.Key, Status: causal.LoadFailed}
}

func failedFlush(r causal.FlushRequest) causal.FlushResult {
	return causal.FlushResult{Key: r.Version.Key, Stamp: r.Version.Stamp, Status: causal.FlushFailed}
}
