package load

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// fakeSystem is a system without servers. Its operations take time on whatever
// clock the test runs.
type fakeSystem struct {
	takes time.Duration // each operation
	// refuse says what the nth operation of the system, from 0, ends with.
	refuse func(n int) error
	// stall is how long the nth operation takes in addition.
	stall func(n int) time.Duration

	mu     sync.Mutex
	done   int
	reads  map[string]int // by key
	writes map[string]int
	at     map[int]int // operations by target
	open   map[int]int // connections by target
}

type fakeTarget struct {
	system *fakeSystem
	number int
}

type fakeConnection struct{ *fakeTarget }

type fakeSession struct{ at *fakeTarget }

var errFake = errors.New("fake failure")

func (t *fakeTarget) Connect(context.Context) (Connection, error) {
	t.system.mu.Lock()
	defer t.system.mu.Unlock()
	t.system.open[t.number]++
	return &fakeConnection{t}, nil
}

func (c *fakeConnection) Session() Session { return &fakeSession{c.fakeTarget} }

// fakeValueBytes is the fake's limit for values.
const fakeValueBytes = 1000

func (c *fakeConnection) ValueBytes() int { return fakeValueBytes }

func (c *fakeConnection) Close() error {
	c.system.mu.Lock()
	defer c.system.mu.Unlock()
	c.system.open[c.number]--
	return nil
}

func (s *fakeSession) operate(into map[string]int, key string) (found bool, err error) {
	f := s.at.system
	f.mu.Lock()
	n := f.done
	f.done++
	takes := f.takes
	if f.stall != nil {
		takes += f.stall(n)
	}
	if f.refuse != nil {
		err = f.refuse(n)
	}
	if err == nil {
		into[key]++
		f.at[s.at.number]++
	}
	found = f.writes[key] > 0
	f.mu.Unlock()
	time.Sleep(takes)
	return found, err
}

func (s *fakeSession) Read(_ context.Context, key string) (bool, error) {
	return s.operate(s.at.system.reads, key)
}

func (s *fakeSession) Write(ctx context.Context, key string, _ []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := s.operate(s.at.system.writes, key)
	return err
}

func (s *fakeSession) Move(to Connection) error {
	s.at = to.(*fakeConnection).fakeTarget
	return nil
}

// newFake returns options for a load on a fake system with some targets.
func newFake(t *testing.T, targets int, args ...string) (*fakeSystem, *Options) {
	t.Helper()
	f := &fakeSystem{
		takes: time.Millisecond,
		reads: map[string]int{}, writes: map[string]int{}, at: map[int]int{}, open: map[int]int{},
	}
	for range targets {
		args = append(args, "--target", "clientlib:unix:fake")
	}
	o, err := ParseArgs(args)
	if err != nil {
		t.Fatal(err)
	}
	o.virtual = true
	for i := range o.targets {
		o.targets[i] = &fakeTarget{f, i}
	}
	return f, &o
}

func mustRun(t *testing.T, o *Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
