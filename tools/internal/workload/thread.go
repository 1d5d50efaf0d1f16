package workload

import (
	"context"
	"errors"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/clientlib"
)

// retries is how often a write of unknown outcome is repeated before its outcome is
// recorded as unknown. Each try takes as long as the client's timeout at most.
const retries = 3

// Thread is a session whose operations are recorded and counted. Its methods return
// the error of the session, after it was counted.
type Thread struct {
	Session *clientlib.Session
	Process *check.Process
	keys    []string
	tally   *Tally
	value   []byte
	names   []string
	items   []check.Item
}

// NewThread starts a recorded session without a past; keys are those of the recorder.
func NewThread(client *clientlib.Client, recorder *check.Recorder, keys []string, name string, tally *Tally) *Thread {
	return &Thread{
		Session: client.Session(), Process: recorder.Start(name, client.Info().Epoch), keys: keys, tally: tally,
	}
}

// Read reads one key.
func (t *Thread) Read(ctx context.Context, key check.KeyID) (check.Item, error) {
	start := time.Now()
	found, err := t.Session.ReadItem(ctx, t.keys[key])
	if err != nil {
		return check.Item{}, t.fail(err)
	}
	t.done(KindRead, start)
	item := ItemOf(key, &found)
	t.Process.Read(item)
	return item, nil
}

// ReadMany reads several keys as one cut.
func (t *Thread) ReadMany(ctx context.Context, keys ...check.KeyID) error {
	t.names = t.names[:0]
	for _, k := range keys {
		t.names = append(t.names, t.keys[k])
	}
	start := time.Now()
	found, err := t.Session.ReadMany(ctx, t.names...)
	if err != nil {
		return t.fail(err)
	}
	t.done(KindReadMany, start)
	t.items = t.items[:0]
	for i := range found {
		t.items = append(t.items, ItemOf(keys[i], &found[i]))
	}
	t.Process.ReadMany(t.items...)
	return nil
}

// Write writes a new value of the given size; ttl 0 is for ever.
func (t *Thread) Write(ctx context.Context, key check.KeyID, size int, ttl time.Duration) error {
	id := t.Process.NewValue()
	t.value = appendValue(t.value[:0], id, size)
	kind, options := KindWrite, []clientlib.WriteOption(nil)
	if ttl > 0 {
		kind, options = KindTTLWrite, []clientlib.WriteOption{clientlib.TTL(ttl)}
	}
	start := time.Now()
	outcome, err := t.settle(ctx, t.Session.Write(ctx, t.keys[key], t.value, options...))
	dot, stamp := t.written(outcome)
	t.Process.Write(key, id, outcome, dot, stamp)
	if err != nil {
		return t.fail(err)
	}
	t.done(kind, start)
	return nil
}

// Delete deletes a key.
func (t *Thread) Delete(ctx context.Context, key check.KeyID) error {
	start := time.Now()
	outcome, err := t.settle(ctx, t.Session.Delete(ctx, t.keys[key]))
	if outcome != check.Refused {
		dot, stamp := t.written(outcome)
		t.Process.Delete(key, outcome, dot, stamp)
	}
	if err != nil {
		return t.fail(err)
	}
	t.done(KindDelete, start)
	return nil
}

// settle finds out what became of a write. Any error but ErrUnknownOutcome promises
// that it had no effect; it is recorded so, and the checker finds it if it had.
func (t *Thread) settle(ctx context.Context, err error) (check.Outcome, error) {
	for range retries {
		if !errors.Is(err, clientlib.ErrUnknownOutcome) || ctx.Err() != nil {
			break
		}
		t.tally.retried.Add(1)
		err = t.Session.Retry(ctx)
	}
	switch {
	case err == nil:
		return check.Acknowledged, nil
	case errors.Is(err, clientlib.ErrUnknownOutcome):
		return check.Unknown, err
	}
	return check.Refused, err
}

// written returns the dot and stamp of the last write, if it was acknowledged.
func (t *Thread) written(outcome check.Outcome) (causal.Dot, causal.Stamp) {
	if outcome != check.Acknowledged {
		return causal.Dot{}, causal.Stamp{}
	}
	v, _ := t.Session.LastWrite()
	return v.Dot, v.Stamp
}

func (t *Thread) done(k Kind, start time.Time) {
	t.tally.Latencies.Add(time.Since(start))
	t.tally.add(k)
}

func (t *Thread) fail(err error) error {
	t.tally.fail(failureOf(err))
	return err
}

// ItemOf describes what a read found in the form that it is recorded in. A version
// without a value that has a deadline is one that has expired.
func ItemOf(key check.KeyID, found *clientlib.Item) check.Item {
	w := &found.Version
	gone := !found.Found && !w.Absent()
	expired := gone && !w.Deadline.IsZero()
	item := check.ItemOf(key, &causal.Version{Dot: w.Dot, Stamp: w.Stamp, Tombstone: gone && !expired}, expired)
	if item.Seen == check.SeenValue {
		item.Value = valueID(found.Value)
	}
	return item
}
