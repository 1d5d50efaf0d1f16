package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"causalmesh/clientlib"
)

// Kind is what an operation was.
type Kind uint8

// The kinds of operations.
const (
	KindRead Kind = iota
	KindReadMany
	KindWrite
	KindTTLWrite
	KindDelete
	KindJoin

	kinds = iota
)

var kindNames = [kinds]string{"reads", "read-manys", "writes", "writes with a TTL", "deletes", "joins"}

func (k Kind) String() string { return kindNames[k] }

// Failure is a class of errors, as a client of the library tells them apart.
type Failure uint8

// The classes of errors.
const (
	FailedUnknown      Failure = iota // ErrUnknownOutcome, after retries
	FailedOverloaded                  // ErrOverloaded
	FailedUnavailable                 // ErrUnavailable
	FailedNotReady                    // ErrNotReady
	FailedDisconnected                // ErrDisconnected
	FailedDeadline                    // the operation's time was over before anything was sent or answered
	FailedOther                       // anything else: nothing that a fault outside explains

	failures = iota
)

var failureNames = [failures]string{
	"unknown outcome", "overloaded", "unavailable", "not ready", "disconnected", "deadline", "other",
}

func (f Failure) String() string { return failureNames[f] }

// failureOf classifies an error of an operation. An error that wraps several is of
// the first class that applies.
func failureOf(err error) Failure {
	for f, target := range [...]error{
		FailedUnknown: clientlib.ErrUnknownOutcome, FailedOverloaded: clientlib.ErrOverloaded,
		FailedUnavailable: clientlib.ErrUnavailable, FailedNotReady: clientlib.ErrNotReady,
		FailedDisconnected: clientlib.ErrDisconnected, FailedDeadline: context.DeadlineExceeded,
	} {
		if errors.Is(err, target) {
			return Failure(f)
		}
	}
	return FailedOther
}

// Tally counts the operations of any number of threads.
type Tally struct {
	Latencies Latencies // of operations that were carried out
	done      [kinds]atomic.Uint64
	failed    [failures]atomic.Uint64
	retried   atomic.Uint64
}

func (t *Tally) add(k Kind)              { t.done[k].Add(1) }
func (t *Tally) fail(f Failure)          { t.failed[f].Add(1) }
func (t *Tally) Of(k Kind) uint64        { return t.done[k].Load() }
func (t *Tally) Retried() uint64         { return t.retried.Load() }
func (t *Tally) Failed(f Failure) uint64 { return t.failed[f].Load() }

// Done returns how many operations were carried out.
func (t *Tally) Done() uint64 { return sum(t.done[:]) }

// Failures returns how many operations failed, of all classes.
func (t *Tally) Failures() uint64 { return sum(t.failed[:]) }

func sum(counters []atomic.Uint64) uint64 {
	var n uint64
	for i := range counters {
		n += counters[i].Load()
	}
	return n
}

// DescribeDone tells the operations by kind.
func (t *Tally) DescribeDone() string { return describe(t.done[:], kindNames[:]) }

// DescribeFailures tells the failures by class.
func (t *Tally) DescribeFailures() string { return describe(t.failed[:], failureNames[:]) }

func describe(counters []atomic.Uint64, names []string) string {
	var parts []string
	for i := range counters {
		if n := counters[i].Load(); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, names[i]))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
