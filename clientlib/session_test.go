package clientlib_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/clientlib"
	"causalmesh/clientlib/internal/testcluster"
)

func TestOperations(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	ctx := t.Context()

	expect(t, s, "a", "")
	if _, ok := s.LastWrite(); ok {
		t.Error("a last write before the first")
	}
	write(t, s, "a", "1")
	expect(t, s, "a", "1")
	expect(t, client.Session(), "a", "1")
	written, ok := s.LastWrite()
	item, err := s.ReadItem(ctx, "a")
	if err != nil || !ok || item.Version != written || written.Dot != (clientlib.Dot{Counter: 1}) || written.Epoch != 1 {
		t.Errorf("wrote %+v %v, read %+v, %v", written, ok, item, err)
	}

	if err := s.Write(ctx, "empty", nil); err != nil {
		t.Fatal(err)
	}
	if v, found, err := s.Read(ctx, "empty"); v == nil || len(v) != 0 || !found || err != nil {
		t.Errorf("an empty value reads as %v %v %v", v, found, err)
	}

	if err := s.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	item, err = s.ReadItem(ctx, "a")
	if err != nil || item.Found || item.Value != nil || !item.Version.Tombstone || item.Version.Absent() {
		t.Errorf("deleted: %+v, %v", item, err)
	}

	write(t, s, "short", "lived", clientlib.TTL(time.Hour))
	item, err = s.ReadItem(ctx, "short")
	if left := time.Until(item.Version.Deadline); err != nil || !item.Found || left < 50*time.Minute || left > time.Hour {
		t.Errorf("with a time to live: %+v, %v", item, err)
	}
	cluster.Advance(50 * time.Minute)
	expect(t, s, "short", "lived")
	cluster.Advance(10 * time.Minute)
	item, err = s.ReadItem(ctx, "short")
	if err != nil || item.Found || !item.Version.Tombstone {
		t.Errorf("expired: %+v, %v", item, err)
	}

	items, err := s.ReadMany(ctx, "empty", "a", "never", "empty")
	if err != nil || len(items) != 4 {
		t.Fatal(items, err)
	}
	for i, found := range []bool{true, false, false, true} {
		if items[i].Found != found || items[i].Key != []string{"empty", "a", "never", "empty"}[i] {
			t.Errorf("item %d: %+v", i, items[i])
		}
	}
	if items, err := s.ReadMany(ctx); items != nil || err != nil {
		t.Error("no keys:", items, err)
	}
	if err := s.Sync(ctx); err != nil {
		t.Error(err)
	}
}

func TestInfo(t *testing.T) {
	cluster := start(t, testcluster.Config{Replicas: 3, Key: []byte("secret"), Limits: causal.Limits{OwnWrites: 7}})
	info := dial(t, cluster, 2, clientlib.WithName("test")).Info()
	want := clientlib.Info{
		Target: cluster.Target(2), Node: 2, RingSize: 3, Epoch: 1, Signed: true, Daemon: "testcluster",
		Limits: clientlib.Limits{KeyBytes: 1 << 10, ValueBytes: 1 << 20, ContextBytes: 4 << 20, BatchKeys: 256, OwnWrites: 7, Branches: 16},
	}
	if info != want {
		t.Errorf("got  %+v\nwant %+v", info, want)
	}
}

// What a read returns is the caller's: changing it changes nothing else, not even
// where the value is a write of the session's own that is still in flight.
func TestValuesAreCopies(t *testing.T) {
	cluster := start(t, testcluster.Config{Replicas: 3})
	s := dial(t, cluster, 0).Session()
	for _, held := range []bool{true, false} {
		if held {
			cluster.Hold()
		} else {
			cluster.Release()
		}
		input := []byte("value")
		if err := s.Write(t.Context(), "k", input); err != nil {
			t.Fatal(err)
		}
		input[0] = 'X'
		for range 2 {
			v, _, err := s.Read(t.Context(), "k")
			if err != nil || string(v) != "value" {
				t.Fatalf("held=%v: %q, %v", held, v, err)
			}
			copy(v, "XXXXX")
			_ = append(v, 'X')
		}
		items, err := s.ReadMany(t.Context(), "k", "k")
		if err != nil {
			t.Fatal(err)
		}
		copy(items[0].Value, "XXXXX")
		if string(items[1].Value) != "value" {
			t.Errorf("held=%v: two items share memory", held)
		}
	}
}

// The anomaly that the project exists for: a write at one server, a read at another
// that the write has not reached the visible state of.
func TestRoaming(t *testing.T) {
	cluster := start(t, testcluster.Config{Replicas: 3})
	clients := [3]*clientlib.Client{dial(t, cluster, 0), dial(t, cluster, 1), dial(t, cluster, 2)}
	cluster.Hold()
	s := clients[0].Session()
	write(t, s, "photo", "cat")
	exported := s.Context()
	for node, c := range clients {
		roaming := resume(t, c, exported)
		expect(t, roaming, "photo", "cat")
		expect(t, c.Session(), "photo", "") // others must not see it yet
		if err := s.Move(c); err != nil || s.Client() != c {
			t.Fatal(err)
		}
		expect(t, s, "photo", "cat")
		write(t, s, fmt.Sprint("seen by ", node), "yes")
	}
	before := len(s.Context())
	cluster.Release()
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := len(s.Context()); after >= before || after > 40 {
		t.Errorf("context of %d bytes with writes in flight, %d without", before, after)
	}
	for _, c := range clients {
		expect(t, c.Session(), "photo", "cat")
	}
}

// A session keeps the limits of the server that it is at.
func TestMoveBetweenLimits(t *testing.T) {
	narrow := dial(t, start(t, testcluster.Config{Limits: causal.Limits{KeyBytes: 4}}), 0)
	_, wide := one(t)
	s := narrow.Session()
	if _, _, err := s.Read(t.Context(), "a long key"); !errors.Is(err, clientlib.ErrTooLarge) {
		t.Error(err)
	}
	if err := s.Move(wide); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "a long key", "")
}

func TestRefusedArguments(t *testing.T) {
	cluster := start(t, testcluster.Config{Limits: causal.Limits{KeyBytes: 100, ValueBytes: 1000, BatchKeys: 2, BatchBytes: 500, TTL: time.Hour}})
	client := dial(t, cluster, 0)
	s := client.Session()
	ctx := t.Context()
	long := strings.Repeat("k", 101)
	write(t, s, "a", strings.Repeat("v", 300))
	before := s.Context()
	read := func(key string) error { _, _, err := s.Read(ctx, key); return err }
	many := func(keys ...string) error { _, err := s.ReadMany(ctx, keys...); return err }
	for name, c := range map[string]struct{ got, want error }{
		"read, long key":      {read(long), clientlib.ErrTooLarge},
		"read, empty key":     {read(""), clientlib.ErrBadRequest},
		"read many, long key": {many("a", long), clientlib.ErrTooLarge},
		"read many, 3 keys":   {many("a", "b", "c"), clientlib.ErrTooLarge},
		"read many, bytes":    {many("a", "a"), clientlib.ErrTooLarge},
		"write, long key":     {s.Write(ctx, long, nil), clientlib.ErrTooLarge},
		"write, long value":   {s.Write(ctx, "a", make([]byte, 1001)), clientlib.ErrTooLarge},
		"write, TTL 0":        {s.Write(ctx, "a", nil, clientlib.TTL(0)), clientlib.ErrBadRequest},
		"write, TTL too long": {s.Write(ctx, "a", nil, clientlib.TTL(2*time.Hour)), clientlib.ErrBadRequest},
		"delete, empty key":   {s.Delete(ctx, ""), clientlib.ErrBadRequest},
		"retry of nothing":    {s.Retry(ctx), clientlib.ErrBadRequest},
	} {
		if !errors.Is(c.got, c.want) || errors.Is(c.got, clientlib.ErrUnknownOutcome) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
		if c.got != nil && len(c.got.Error()) > 300 {
			t.Errorf("%s: an error of %d bytes", name, len(c.got.Error()))
		}
	}
	if !bytes.Equal(s.Context(), before) {
		t.Error("failed operations changed the context")
	}
	expect(t, s, "a", strings.Repeat("v", 300))
}

// A session with too many writes in flight waits for them.
func TestOwnWritesInFlight(t *testing.T) {
	cluster := start(t, testcluster.Config{Replicas: 3, Limits: causal.Limits{OwnWrites: 2}})
	client := dial(t, cluster, 0)
	s := client.Session()
	cluster.Hold()
	write(t, s, "a", "1")
	write(t, s, "b", "1")

	// It waits for a sync, pauses, and waits for another sync.
	err := s.Write(expiresAtWait(t, 3), "c", nil)
	if !errors.Is(err, clientlib.ErrOverloaded) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error("the ring is still:", err)
	}
	one := client.Session()
	write(t, one, "d", "1")
	if err := s.Merge(one.Context()); !errors.Is(err, clientlib.ErrOverloaded) {
		t.Error("a join with too many writes:", err)
	}

	synced := make(chan struct{}, 1)
	cluster.SetFault(func(_ int, r *causal.Request) testcluster.Action {
		if r.Op == causal.OpSync {
			select {
			case synced <- struct{}{}:
			default:
			}
		}
		return testcluster.Serve
	})
	done := make(chan error, 1)
	go func() { done <- s.Write(t.Context(), "c", []byte("1")) }()
	receive(t, synced)
	cluster.Release()
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
	expect(t, s, "c", "1")
}

// Many sessions share one connection; each sees its own writes and no other's
// replies.
func TestPipelining(t *testing.T) {
	const sessions, rounds = 64, 20
	cluster := start(t, testcluster.Config{Replicas: 3})
	client := dial(t, cluster, 0)
	var all sync.WaitGroup
	for i := range sessions {
		all.Go(func() {
			s := client.Session()
			for n := range rounds {
				key, want := fmt.Sprint("key ", i), fmt.Sprint(i, " ", n)
				if err := s.Write(t.Context(), key, []byte(want)); err != nil {
					t.Error(err)
					return
				}
				items, err := s.ReadMany(t.Context(), key, "nothing", key)
				if err != nil || string(items[0].Value) != want || items[1].Found || string(items[2].Value) != want {
					t.Errorf("session %d: %+v, %v; want %q", i, items, err, want)
					return
				}
			}
		})
	}
	all.Wait()
	if got := cluster.Accepted(0); got != 1 {
		t.Errorf("%d connections for one client", got)
	}
	if got := cluster.Status(0).Counters.Writes; got != sessions*rounds {
		t.Errorf("%d writes, want %d", got, sessions*rounds)
	}
}

func TestConcurrentUseOfASession(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	write(t, s, "a", "1")
	exported := s.Context()
	write(t, client.Session(), "b", "1") // so that the read brings something new
	cluster.SetFault(withhold)
	done := make(chan error, 1)
	go func() { _, _, err := s.Read(t.Context(), "a"); done <- err }()
	cluster.WaitWithheld(1)
	cluster.SetFault(nil)
	ctx := t.Context()
	_, _, readErr := s.Read(ctx, "a")
	_, manyErr := s.ReadMany(ctx)
	for name, err := range map[string]error{
		"read": readErr, "read many": manyErr, "write": s.Write(ctx, "a", nil), "delete": s.Delete(ctx, "a"),
		"sync": s.Sync(ctx), "retry": s.Retry(ctx), "merge": s.Merge(exported), "move": s.Move(client),
	} {
		if !errors.Is(err, clientlib.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	waited := make(chan []byte, 1)
	go func() { waited <- s.Context() }()
	cluster.SendWithheld()
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
	if got := receive(t, waited); len(got) == 0 || bytes.Equal(got, exported) {
		t.Error("the context is not that after the read")
	}
	expect(t, s, "a", "1")
}
