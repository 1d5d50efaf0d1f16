package clientlib_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/clientlib"
	"causalmesh/clientlib/internal/testcluster"
)

// patience bounds every test; nothing here should take a tenth of it.
const patience = 30 * time.Second

func start(t testing.TB, config testcluster.Config) *testcluster.Cluster {
	t.Helper()
	c, err := testcluster.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func dial(t testing.TB, c *testcluster.Cluster, node int, opts ...clientlib.Option) *clientlib.Client {
	t.Helper()
	client, err := clientlib.Dial(t.Context(), c.Target(node), append([]clientlib.Option{clientlib.WithTimeout(patience)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// one starts a cluster of one server and a client of it.
func one(t testing.TB) (*testcluster.Cluster, *clientlib.Client) {
	t.Helper()
	c := start(t, testcluster.Config{})
	return c, dial(t, c, 0)
}

func resume(t testing.TB, c *clientlib.Client, context []byte) *clientlib.Session {
	t.Helper()
	s, err := c.Resume(context)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB, s *clientlib.Session, key, value string, opts ...clientlib.WriteOption) {
	t.Helper()
	if err := s.Write(t.Context(), key, []byte(value), opts...); err != nil {
		t.Fatal(err)
	}
}

// expect reads a key; want is the value, or "" for none.
func expect(t testing.TB, s *clientlib.Session, key, want string) {
	t.Helper()
	got, found, err := s.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want || found != (want != "") {
		t.Fatalf("read %q: %q, %v; want %q", key, got, found, want)
	}
}

// receive takes a value from a channel, which must have one soon.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case v := <-from:
		return v
	case <-ctx.Done():
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// expiring is a context whose deadline passes at an event, not at a time: what precedes the
// event may take as long as it takes.
type expiring struct {
	context.Context
	done chan struct{}
	once sync.Once
	// left is how often an operation waits for the context until the deadline passes.
	left atomic.Int64
}

// expiresAtWait returns a context whose deadline passes when an operation waits for it for
// the n-th time; for 0, only when expire is called.
func expiresAtWait(t testing.TB, n int64) *expiring {
	e := &expiring{Context: t.Context(), done: make(chan struct{})}
	e.left.Store(n)
	return e
}

func (e *expiring) expire() { e.once.Do(func() { close(e.done) }) }

func (e *expiring) Deadline() (time.Time, bool) { return time.Now().Add(patience), true }

func (e *expiring) Done() <-chan struct{} {
	if e.left.Add(-1) == 0 {
		e.expire()
	}
	return e.done
}

func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// withhold is a Fault that leaves all requests without a reply.
func withhold(int, *causal.Request) testcluster.Action { return testcluster.Withhold }
