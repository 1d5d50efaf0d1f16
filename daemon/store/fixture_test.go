package store

import (
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"causalmesh/causal"
	"causalmesh/daemon/store/redistest"
)

// within is how long tests wait for what must happen.
const within = 30 * time.Second

// fixture is a store, the Redis under it, and another program's connection.
type fixture struct {
	t       testing.TB
	server  *redistest.Server
	other   *redis.Client
	store   *Store
	results chan Results
}

const testEpoch causal.Epoch = 5

// newFixture starts a store on the server, or on a new one.
func newFixture(t testing.TB, server *redistest.Server, change func(*Config)) *fixture {
	t.Helper()
	if server == nil {
		server = redistest.Start(t)
	}
	f := &fixture{t: t, server: server, results: make(chan Results, 1024)}
	config := Config{
		URL:     server.SocketURL(),
		Epoch:   func() causal.Epoch { return testEpoch },
		Timeout: within,
		Logger:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if f.store, err = New(config, func(r Results) { f.results <- r }); err != nil {
		t.Fatal(err)
	}
	f.other = redis.NewClient(&redis.Options{Network: "unix", Addr: server.Socket, Protocol: 2})
	t.Cleanup(func() {
		_ = f.store.Close()
		_ = f.other.Close()
	})
	return f
}

// do runs a command as another program would.
func (f *fixture) do(words ...any) any {
	f.t.Helper()
	reply, err := f.other.Do(f.t.Context(), words...).Result()
	if err != nil && err != redis.Nil {
		f.t.Fatalf("%v: %v", words, err)
	}
	return reply
}

func (f *fixture) get(key string) any { f.t.Helper(); return f.do("GET", key) }

func (f *fixture) meta(key string) map[string]string {
	f.t.Helper()
	m, err := f.other.HGetAll(f.t.Context(), metaPrefix+key).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

func (f *fixture) await() Results {
	f.t.Helper()
	select {
	case r := <-f.results:
		return r
	case <-time.After(within):
		f.t.Fatal("no result")
		return Results{}
	}
}

func (f *fixture) load(key string) causal.LoadResult {
	f.t.Helper()
	if refused := f.store.Submit([]causal.LoadRequest{{ID: 7, Key: []byte(key)}}, nil); len(refused.Loads) > 0 {
		return refused.Loads[0]
	}
	r := f.await()
	if len(r.Loads) != 1 || len(r.Flushes) != 0 || r.Loads[0].ID != 7 || string(r.Loads[0].Key) != key {
		f.t.Fatalf("load of %.40q: %d results, or of another", key, len(r.Loads))
	}
	return r.Loads[0]
}

func (f *fixture) flush(v *causal.Version, over *causal.Version) causal.FlushResult {
	f.t.Helper()
	if refused := f.store.Submit(nil, []causal.FlushRequest{{Version: v, Over: over}}); len(refused.Flushes) > 0 {
		return refused.Flushes[0]
	}
	r := f.await()
	if len(r.Flushes) != 1 || len(r.Loads) != 0 || string(r.Flushes[0].Key) != string(v.Key) || r.Flushes[0].Stamp != v.Stamp {
		f.t.Fatalf("flush of %s: %d results, or of another", show(*v), len(r.Flushes))
	}
	return r.Flushes[0]
}

func (f *fixture) mustFlush(v *causal.Version) {
	f.t.Helper()
	if r := f.flush(v, nil); r.Status != causal.FlushDone {
		f.t.Fatalf("flush of %s: %s", show(*v), showFlush(r))
	}
}

func (f *fixture) wantLoad(key string, status causal.LoadStatus, version causal.Version) {
	f.t.Helper()
	got := f.load(key)
	if got.Status != status || !sameVersion(got.Version, version) {
		f.t.Fatalf("load of %.40q: status %d, %s\nwant status %d, %s", key, got.Status, show(got.Version), status, show(version))
	}
}

// eventually polls until the condition holds.
func (f *fixture) eventually(what string, condition func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("never: %s", what)
		}
	}
}

// sameVersion compares all fields; an empty value is the same as none.
func sameVersion(a, b causal.Version) bool {
	if string(a.Key) != string(b.Key) || string(a.Value) != string(b.Value) {
		return false
	}
	a.Key, a.Value, b.Key, b.Value = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// show is a version for a person, however large it is.
func show(v causal.Version) string {
	kind := fmt.Sprintf("value %.40q (%d bytes)", v.Value, len(v.Value))
	if v.Tombstone {
		kind = "tombstone"
	}
	return fmt.Sprintf("{%.40q %s, stamp %s, dot %s.%d, epoch %d, deadline %d}",
		v.Key, kind, v.Stamp, v.Dot, v.Dot.Incarnation, v.Epoch, v.Deadline)
}

func showFlush(r causal.FlushResult) string {
	return fmt.Sprintf("status %d, found %s", r.Status, show(r.Found))
}

// base is a time like those of real stamps: above 2^53, where doubles lose bits.
const base causal.Time = 1_700_000_000_000_000_001

// version returns a version of the key whose stamp and dot follow from n.
func version(key, value string, n int) *causal.Version {
	return &causal.Version{
		Key:   []byte(key),
		Value: []byte(value),
		Stamp: causal.Stamp{Time: base + causal.Time(n), Origin: 2},
		Dot:   causal.Dot{Origin: 2, Incarnation: 3, Counter: causal.Counter(1000 + n)},
		Epoch: testEpoch,
	}
}

func tombstone(key string, n int) *causal.Version {
	v := version(key, "", n)
	v.Value, v.Tombstone = nil, true
	return v
}

// left is what another program left, as a result holds it.
func left(key, value string, stamp causal.Stamp) causal.Version {
	return causal.Version{Key: []byte(key), Value: []byte(value), Stamp: stamp}
}

func removed(key string, stamp causal.Stamp) causal.Version {
	return causal.Version{Key: []byte(key), Tombstone: true, Stamp: stamp}
}
