package faultlog

import (
	"log/slog"
	"sync"
	"time"
)

// Every is the least time between two records with one message.
const Every = 5 * time.Second

// Log writes warnings, each message at most once in the time of Every.
type Log struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   map[string]*record // Invariant: under mu; by message
}

type record struct {
	at      time.Time
	skipped int // since then
}

// New returns a Log that writes to logger.
func New(logger *slog.Logger) *Log {
	return &Log{logger: logger, last: map[string]*record{}}
}

// Add writes a warning, unless it did so a moment ago. The next one says how many were
// left away.
func (l *Log) Add(now time.Time, message string, attributes ...any) {
	l.mu.Lock()
	last := l.last[message]
	if last != nil && now.Sub(last.at) < Every {
		last.skipped++
		l.mu.Unlock()
		return
	}
	skipped := 0
	if last != nil {
		skipped = last.skipped
	}
	l.last[message] = &record{at: now}
	l.mu.Unlock()
	l.logger.Warn(message, append(attributes, slog.Int("not_logged_since_last", skipped))...)
}
