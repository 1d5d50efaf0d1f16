package clientlib_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"causalmesh/causal"
	"causalmesh/clientlib"
	"causalmesh/clientlib/internal/testcluster"
)

// times returns a fault that does each of the actions once, in order, to requests
// of op, and serves the rest.
func times(op causal.Op, actions ...testcluster.Action) testcluster.Fault {
	var n atomic.Int64
	return func(_ int, r *causal.Request) testcluster.Action {
		if r.Op != op {
			return testcluster.Serve
		}
		if i := int(n.Add(1)) - 1; i < len(actions) {
			return actions[i]
		}
		return testcluster.Serve
	}
}

// Wherever the connection is lost, the operation is carried out, and a write once.
func TestReconnect(t *testing.T) {
	points := map[string][]testcluster.Action{
		"before the request was read": {testcluster.CloseUnread},
		"after it was carried out":    {testcluster.CloseUnanswered},
		"in the middle of the reply":  {testcluster.CloseHalfReply},
		"three times": {
			testcluster.CloseUnread, testcluster.CloseUnanswered, testcluster.CloseHalfReply,
		},
		"and then not ready": {testcluster.CloseUnanswered, testcluster.RefuseNotReady, testcluster.RefuseNotReady},
	}
	for name, actions := range points {
		t.Run(name, func(t *testing.T) {
			closes := 0
			for _, a := range actions {
				if a != testcluster.RefuseNotReady {
					closes++
				}
			}
			cluster, client := one(t)
			ctx := t.Context()
			s := client.Session()
			write(t, s, "a", "1")

			cluster.SetFault(times(causal.OpRead, actions...))
			expect(t, s, "a", "1")
			cluster.SetFault(times(causal.OpReadMany, actions...))
			if items, err := s.ReadMany(ctx, "a"); err != nil || string(items[0].Value) != "1" {
				t.Error(items, err)
			}
			cluster.SetFault(times(causal.OpSync, actions...))
			if err := s.Sync(ctx); err != nil {
				t.Error(err)
			}
			cluster.SetFault(times(causal.OpWrite, actions...))
			write(t, s, "a", "2")
			cluster.SetFault(times(causal.OpDelete, actions...))
			if err := s.Delete(ctx, "b"); err != nil {
				t.Error(err)
			}
			if got := cluster.Status(0).Counters.Writes; got != 3 {
				t.Errorf("%d writes were done, want 3", got)
			}
			if got, want := cluster.Accepted(0), 1+5*closes; got != want {
				t.Errorf("%d connections, want %d", got, want)
			}
			v, ok := s.LastWrite()
			if !ok || v.Dot.Counter != 3 {
				t.Errorf("last write %+v %v", v, ok)
			}
			expect(t, s, "a", "2")
		})
	}
}

// Sessions that share a lost connection all go on, on one new one.
func TestReconnectTogether(t *testing.T) {
	cluster, client := one(t)
	const sessions = 16
	var all sync.WaitGroup
	cluster.SetFault(withhold)
	for i := range sessions {
		all.Go(func() {
			if err := client.Session().Write(t.Context(), fmt.Sprint(i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	cluster.WaitWithheld(sessions)
	cluster.SetFault(nil)
	cluster.Disconnect(0)
	all.Wait()
	if got := cluster.Status(0).Counters; got.Writes != sessions || got.Retries != sessions {
		t.Errorf("%d writes, %d of them recognised again; want %d", got.Writes, got.Retries, sessions)
	}
	if got := cluster.Accepted(0); got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
}

// A write that was sent to a server that then lost its memory is not repeated.
func TestUnknownOutcomeAfterRestart(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	cluster.SetFault(func(int, *causal.Request) testcluster.Action {
		if err := cluster.Restart(2); err != nil {
			t.Error(err)
		}
		return testcluster.CloseUnread
	})
	err := s.Write(t.Context(), "a", []byte("1"))
	if !errors.Is(err, clientlib.ErrUnknownOutcome) || !errors.Is(err, clientlib.ErrDisconnected) {
		t.Error(err)
	}
	cluster.SetFault(nil)
	if err := s.Retry(t.Context()); !errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error("retry at a server that cannot know:", err)
	}
	if got := cluster.Status(0).Counters; got.Writes != 0 {
		t.Errorf("%d writes were done", got.Writes)
	}
	if _, ok := s.LastWrite(); ok {
		t.Error("a write of unknown outcome is said to be the last")
	}
	write(t, s, "a", "2") // the session goes on
	if err := s.Retry(t.Context()); !errors.Is(err, clientlib.ErrBadRequest) {
		t.Error("retry after another write:", err)
	}
}

// cancelled starts f, and cancels its context when its request was carried out and
// the reply withheld.
func cancelled(t *testing.T, cluster *testcluster.Cluster, f func(context.Context) error) error {
	t.Helper()
	cluster.SetFault(withhold)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	cluster.WaitWithheld(1)
	cluster.SetFault(nil)
	cancel()
	return receive(t, done)
}

// The late reply to a read that was given up goes to nobody.
func TestCancelledRead(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	write(t, s, "a", "1")
	write(t, s, "b", "2")
	before := string(s.Context())
	err := cancelled(t, cluster, func(ctx context.Context) error {
		_, _, err := s.Read(ctx, "a")
		return err
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error(err)
	}
	if string(s.Context()) != before {
		t.Error("a failed read changed the context")
	}
	cluster.SendWithheld()
	expect(t, s, "b", "2")
	expect(t, s, "a", "1")
	if got := cluster.Accepted(0); got != 1 {
		t.Errorf("%d connections: a late reply is no reason to drop one", got)
	}
}

func TestCancelledWrite(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	before := string(s.Context())
	err := cancelled(t, cluster, func(ctx context.Context) error {
		return s.Write(ctx, "a", []byte("1"))
	})
	if !errors.Is(err, clientlib.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if string(s.Context()) != before {
		t.Error("a write of unknown outcome changed the context")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Retry(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Retry(t.Context()); err != nil {
		t.Error("retry:", err)
	}
	cluster.SendWithheld() // too late: nobody waits for it any more
	if err := s.Retry(t.Context()); !errors.Is(err, clientlib.ErrBadRequest) {
		t.Error("retry of what is known to be done:", err)
	}
	if v, ok := s.LastWrite(); !ok || v.Dot.Counter != 1 {
		t.Errorf("last write %+v %v", v, ok)
	}
	if got := cluster.Status(0).Counters; got.Writes != 1 || got.Retries != 1 {
		t.Errorf("%d writes, %d recognised; want 1 and 1", got.Writes, got.Retries)
	}
	expect(t, s, "a", "1")

	err = cancelled(t, cluster, func(ctx context.Context) error { return s.Delete(ctx, "a") })
	if !errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error(err)
	}
	expect(t, s, "a", "") // it was done, but the session does not know
	if err := s.Retry(t.Context()); !errors.Is(err, clientlib.ErrBadRequest) {
		t.Error("retry after another operation:", err)
	}

	// What was never sent has no unknown outcome.
	err = s.Write(ended, "a", nil)
	if !errors.Is(err, context.Canceled) || errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error(err)
	}
}

// A session that merges or moves has given up a write in doubt: its request rests
// on what the session knew before.
func TestNoRetryAfterMergeOrMove(t *testing.T) {
	cluster, client := one(t)
	other := dial(t, cluster, 0)
	for name, change := range map[string]func(*clientlib.Session) error{
		"merge": func(s *clientlib.Session) error { return s.Merge(client.Session().Context()) },
		"move":  func(s *clientlib.Session) error { return s.Move(other) },
	} {
		s := client.Session()
		err := cancelled(t, cluster, func(ctx context.Context) error { return s.Delete(ctx, "a") })
		cluster.SendWithheld()
		if !errors.Is(err, clientlib.ErrUnknownOutcome) {
			t.Fatal(err)
		}
		if err := change(s); err != nil {
			t.Fatal(err)
		}
		if err := s.Retry(t.Context()); !errors.Is(err, clientlib.ErrBadRequest) {
			t.Errorf("retry after a %s: %v", name, err)
		}
	}
}

// Whatever a broken server answers, the error says so, and the session goes on.
func TestGarbage(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	cluster.SetFault(times(causal.OpRead, testcluster.Garbage))
	if _, _, err := s.Read(t.Context(), "a"); !errors.Is(err, clientlib.ErrProtocol) {
		t.Error("read:", err)
	}
	cluster.SetFault(times(causal.OpWrite, testcluster.Garbage))
	err := s.Write(t.Context(), "a", []byte("1"))
	if !errors.Is(err, clientlib.ErrProtocol) || !errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error("write:", err)
	}
	if err := s.Retry(t.Context()); err != nil {
		t.Error("retry:", err)
	}
	expect(t, s, "a", "1")
	if got := cluster.Status(0).Counters.Writes; got != 1 {
		t.Errorf("%d writes", got)
	}
}
