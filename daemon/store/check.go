package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"causalmesh/causal"
)

// minMajor is the oldest Redis: scripts of older ones are replicated by being run
// again, which reading the clock rules out.
const minMajor = 7

// startFactor is how many times the time of a request a question at the start may take: no client
// waits for it.
const startFactor = 10

// atStart returns the client for such questions.
func (s *Store) atStart(ctx context.Context) (*redis.Client, context.Context, context.CancelFunc) {
	timeout := startFactor * s.config.Timeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return s.client.WithTimeout(timeout), ctx, cancel
}

// Check asks whether Redis answers and is fit for its task. It takes at most ten times
// Config.Timeout. The error is ErrUnreachable, or ErrUnsuitable and says what to set.
func (s *Store) Check(ctx context.Context) error {
	client, ctx, cancel := s.atStart(ctx)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	text, err := client.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("%w: INFO: %w", ErrUnreachable, err)
	}
	return suitable(info(text))
}

// LastEpoch returns the highest epoch that has flushed, 0 if none has. A cluster's
// next life must take a higher one. It takes at most as long as Check.
func (s *Store) LastEpoch(ctx context.Context) (causal.Epoch, error) {
	client, ctx, cancel := s.atStart(ctx)
	defer cancel()
	text, err := client.Get(ctx, fenceKey).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return 0, nil
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return 0, fmt.Errorf("%w: %s is not a string; if no cluster uses this database, delete it", ErrMalformed, fenceKey)
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	epoch, err := decodeWord(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w; if no cluster uses this database, delete it", fenceKey, err)
	}
	return causal.Epoch(epoch), nil
}

// info holds the fields of the INFO command.
func info(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

func suitable(fields map[string]string) error {
	version := fields["redis_version"]
	majorText, _, _ := strings.Cut(version, ".")
	if major, err := strconv.Atoi(majorText); err != nil || major < minMajor {
		return fmt.Errorf("%w: version %q; install Redis %d.0 or later", ErrUnsuitable, version, minMajor)
	}
	if fields["cluster_enabled"] == "1" {
		return fmt.Errorf("%w: it is a Redis Cluster; use a single server (cluster-enabled no)", ErrUnsuitable)
	}
	if fields["role"] == "slave" {
		return fmt.Errorf("%w: it is a replica; give the URL of its primary", ErrUnsuitable)
	}
	if policy := fields["maxmemory_policy"]; policy != "noeviction" && fields["maxmemory"] != "0" {
		return fmt.Errorf("%w: it evicts keys (maxmemory-policy %s): set maxmemory-policy noeviction, or maxmemory 0", ErrUnsuitable, policy)
	}
	return nil
}
