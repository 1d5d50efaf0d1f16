package store

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"causalmesh/causal"
)

// What is logged, each at most once per faultlog.Every.
const (
	loadsFailed   = "loads failed"
	flushesFailed = "flushes failed"
	overwritten   = "a write went over what no cache could read"
	fencedOff     = "a later epoch of the cluster owns the database: nothing is flushed any more"
)

func (s *Store) load(requests []causal.LoadRequest, late error) []causal.LoadResult {
	s.counters.loads.Add(uint64(len(requests)))
	results := make([]causal.LoadResult, len(requests))
	for i, r := range requests {
		results[i] = failedLoad(r)
	}
	if late != nil {
		s.counters.loadErrors.Add(uint64(len(requests)))
		s.complain(loadsFailed, requests[0].Key, late)
		return results
	}
	// A plain string has no dot and no epoch of ours.
	plain := [3]string{encodeStamp(causal.ForeignStamp), encodeWord(0), encodeDot(causal.Dot{})}
	calls := make([]call, len(requests))
	for i, r := range requests {
		key := string(r.Key)
		calls[i] = call{
			keys:      []string{key, metaPrefix + key},
			arguments: []any{s.config.ValueBytes, plain[0], plain[1], plain[2]},
		}
	}
	ctx, cancel := s.tripContext()
	defer cancel()
	for i, reply := range s.run(ctx, loadScript, calls) {
		if err := s.finishLoad(&results[i], reply); err != nil {
			s.counters.loadErrors.Add(1)
			s.complain(loadsFailed, requests[i].Key, err)
		}
	}
	return results
}

// finishLoad sets the result from the reply. The result is as it was, failed, if
// there is an error.
func (s *Store) finishLoad(result *causal.LoadResult, reply reply) error {
	if reply.err != nil {
		return reply.err
	}
	if reply.status() == "absent" {
		result.Status = causal.LoadAbsent
		return nil
	}
	report, err := s.report(reply)
	if err != nil {
		return err
	}
	var version causal.Version
	status := causal.LoadFound
	switch reply.status() {
	case "found":
		version, err = report.found(result.Key)
	case "foreign":
		version, err = report.foreign(result.Key)
		status = causal.LoadForeign
	default:
		err = fmt.Errorf("%w: reply %.32q to a load", ErrMalformed, reply.status())
	}
	if err != nil {
		s.counters.unreadable.Add(1)
		return err
	}
	if status == causal.LoadForeign {
		s.counters.foreign.Add(1)
	}
	result.Status, result.Version = status, version
	return nil
}

func (s *Store) flush(requests []causal.FlushRequest, late error) []causal.FlushResult {
	s.counters.flushes.Add(uint64(len(requests)))
	results := make([]causal.FlushResult, len(requests))
	for i, r := range requests {
		results[i] = failedFlush(r)
	}
	epoch := s.config.Epoch()
	if late == nil && epoch == 0 {
		late = errNoEpoch
	}
	if late != nil {
		s.counters.flushErrors.Add(uint64(len(requests)))
		s.complain(flushesFailed, requests[0].Version.Key, late)
		return results
	}
	calls := make([]call, len(requests))
	for i, r := range requests {
		calls[i] = s.flushCall(r, epoch)
	}
	ctx, cancel := s.tripContext()
	defer cancel()
	for i, reply := range s.run(ctx, flushScript, calls) {
		if err := s.finishFlush(&results[i], reply); err != nil {
			s.counters.flushErrors.Add(1)
			s.complain(flushesFailed, requests[i].Version.Key, err)
		}
	}
	return results
}

func (s *Store) flushCall(r causal.FlushRequest, epoch causal.Epoch) call {
	v := r.Version
	over := "-"
	if r.Over != nil {
		over = digest(r.Over)
	}
	value := v.Value
	if v.Tombstone {
		value = nil
	}
	key := string(v.Key)
	// The digests of what is sent are made here: Redis has one thread for everyone.
	return call{
		keys: []string{key, metaPrefix + key, fenceKey},
		arguments: []any{
			s.config.ValueBytes, encodeWord(uint64(epoch)),
			encodeStamp(v.Stamp), encodeWord(uint64(v.Epoch)), encodeDot(v.Dot), encodeDeadline(v.Deadline),
			digest(v), value, over,
			strconv.FormatInt(s.config.Grace.Milliseconds(), 10),
		},
	}
}

// finishFlush is finishLoad for a flush.
func (s *Store) finishFlush(result *causal.FlushResult, reply reply) error {
	if reply.err != nil {
		return reply.err
	}
	switch reply.status() {
	case "done":
		result.Status = causal.FlushDone
		if len(reply.fields) > 1 {
			s.counters.overwritten.Add(1)
			s.complain(overwritten, result.Key, fmt.Errorf("%w: %s", ErrMalformed, reply.fields[1]))
		}
		return nil
	case "fenced":
		result.Status = causal.FlushFenced
		s.counters.fenced.Add(1)
		s.complain(fencedOff, result.Key, nil)
		return nil
	}
	report, err := s.report(reply)
	if err != nil {
		return err
	}
	var found causal.Version
	status, count := causal.FlushSuperseded, &s.counters.superseded
	switch reply.status() {
	case "superseded":
		found, err = report.found(result.Key)
	case "foreign":
		found, err = report.foreign(result.Key)
		status, count = causal.FlushForeign, &s.counters.foreign
	default:
		err = fmt.Errorf("%w: reply %.32q to a flush", ErrMalformed, reply.status())
	}
	if err != nil {
		s.counters.unreadable.Add(1)
		return err
	}
	count.Add(1)
	result.Status, result.Found = status, found
	return nil
}

// report returns the state of a key that the scripts could read.
func (s *Store) report(reply reply) (*report, error) {
	if reply.status() == "unreadable" && len(reply.fields) == 2 {
		s.counters.unreadable.Add(1)
		return nil, fmt.Errorf("%w: %s", ErrMalformed, reply.fields[1])
	}
	r, err := reply.report()
	if err != nil {
		s.counters.unreadable.Add(1)
	}
	return r, err
}

// complain logs a failure. Closing a store makes failures that are no news.
func (s *Store) complain(message string, key []byte, err error) {
	if errors.Is(err, redis.ErrClosed) || errors.Is(err, errClosed) {
		return
	}
	const shown = 64
	attributes := []any{slog.String("key", string(key[:min(len(key), shown)]))}
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	s.faults.Add(time.Now(), message, attributes...)
}
