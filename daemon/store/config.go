package store

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"causalmesh/causal"
)

// Config says which Redis to use and within which bounds. Zero fields stand for
// the defaults of DefaultConfig; URL and Epoch have none.
type Config struct {
	// URL of the server: see ParseURL.
	URL string
	// Epoch returns the cluster's epoch, by which flushes are fenced. It is called
	// from workers, once per batch. While it is 0 every flush fails.
	Epoch func() causal.Epoch
	// Logger gets at most one record per faultlog.Every and kind of failure.
	Logger *slog.Logger
	// Grace is how long the marker of a delete is kept. A cache server that was
	// away for longer must start empty.
	Grace time.Duration
	// Timeout is how long a request may take, from Submit to its result.
	Timeout time.Duration
	// Workers is the number of round trips at once, each with its connection.
	Workers int
	// QueueLength bounds the loads that wait for a worker, and as many flushes.
	QueueLength int
	// BatchRequests bounds the requests of one round trip. A batch of loads may
	// bring in that many values of the largest size.
	BatchRequests int
	// BatchBytes bounds the values of one round trip of flushes, but for the first.
	BatchBytes int
	// KeyBytes and ValueBytes are the limits of one key and one value.
	KeyBytes, ValueBytes int
}

// DefaultConfig holds the defaults.
var DefaultConfig = Config{
	Logger: slog.New(slog.DiscardHandler),
	Grace:  time.Hour,
	// Below the time that a miss may take, so that whoever waits for it hears of
	// the failure.
	Timeout:       causal.DefaultLimits.LoadTimeout / 2,
	Workers:       4,
	QueueLength:   8192,
	BatchRequests: 64,
	BatchBytes:    4 << 20,
	KeyBytes:      causal.DefaultLimits.KeyBytes,
	ValueBytes:    causal.DefaultLimits.ValueBytes,
}

// Bounds of the settings.
const (
	minTimeout = time.Millisecond
	maxTimeout = time.Hour
	minGrace   = time.Millisecond // Redis counts in milliseconds
	maxWorkers = 256
	maxQueue   = 1 << 20
	maxBytes   = 512 << 20 // Redis's own limit of a string
)

func (c Config) withDefaults() (Config, error) {
	d := DefaultConfig
	c.Logger = cmp.Or(c.Logger, d.Logger)
	c.Grace = cmp.Or(c.Grace, d.Grace)
	c.Timeout = cmp.Or(c.Timeout, d.Timeout)
	c.Workers = cmp.Or(c.Workers, d.Workers)
	c.QueueLength = cmp.Or(c.QueueLength, d.QueueLength)
	c.BatchRequests = cmp.Or(c.BatchRequests, d.BatchRequests)
	c.BatchBytes = cmp.Or(c.BatchBytes, d.BatchBytes)
	c.KeyBytes = cmp.Or(c.KeyBytes, d.KeyBytes)
	c.ValueBytes = cmp.Or(c.ValueBytes, d.ValueBytes)
	if c.Epoch == nil {
		return c, fmt.Errorf("%w: set Epoch", ErrConfig)
	}
	for _, s := range []struct {
		name           string
		value, min, of int64
	}{
		{"Grace", int64(c.Grace), int64(minGrace), int64(causal.DefaultLimits.TTL)},
		{"Timeout", int64(c.Timeout), int64(minTimeout), int64(maxTimeout)},
		{"Workers", int64(c.Workers), 1, maxWorkers},
		{"QueueLength", int64(c.QueueLength), 1, maxQueue},
		{"BatchRequests", int64(c.BatchRequests), 1, maxQueue},
		{"BatchBytes", int64(c.BatchBytes), 1, maxBytes},
		{"KeyBytes", int64(c.KeyBytes), 1, maxBytes - int64(len(metaPrefix))},
		{"ValueBytes", int64(c.ValueBytes), 1, maxBytes},
	} {
		if s.value < s.min || s.value > s.of {
			return c, fmt.Errorf("%w: %s is %d, must be from %d to %d", ErrConfig, s.name, s.value, s.min, s.of)
		}
	}
	return c, nil
}
