package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"causalmesh/daemon/netcut"
	"causalmesh/tools/internal/rig"
)

// fault is one way to break something, and to mend it again.
type fault struct {
	name  string
	begin func() error
	end   func() error
}

// faults break things one after the other while a trial works. They are used by one
// goroutine, the trial's companion.
type faults struct {
	s      *stage
	rng    *rand.Rand
	kinds  []func() fault
	counts map[string]int
	names  []string // of counts, in the order of their first time
	// complete is closed when there was a fault of each kind.
	complete chan struct{}
	// longest is how long a fault lasts at most; pause the time from one to the next.
	longest, pause time.Duration
}

const (
	longestFault   = 2 * time.Second
	longestPause   = 300 * time.Millisecond
	faultsPerTrial = 14 // at least, so that a short trial sees every kind twice
)

func newFaults(s *stage) *faults {
	slot := s.o.Duration / faultsPerTrial
	f := &faults{
		s: s, rng: rand.New(rand.NewPCG(s.o.Seed, 1<<32)), counts: map[string]int{}, complete: make(chan struct{}),
		longest: min(longestFault, slot*3/4), pause: min(longestPause, slot/4),
	}
	f.kinds = []func() fault{f.linkCut, f.linkHalfOpen, f.clientsCut, f.clientsHalfOpen}
	if s.redis != nil {
		f.kinds = append(f.kinds, f.redisRestart, f.redisPause)
	}
	return f
}

// run breaks things until stop is closed, every kind equally often, and leaves all
// mended.
func (f *faults) run(ctx context.Context, stop <-chan struct{}) error {
	for round := 1; ; round++ {
		for _, i := range f.rng.Perm(len(f.kinds)) {
			x := f.kinds[i]()
			if err := x.begin(); err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			f.count(x.name)
			goesOn := sleep(ctx, stop, f.longest/4+time.Duration(f.rng.Int64N(int64(f.longest)*3/4)))
			if err := x.end(); err != nil {
				return fmt.Errorf("end of %s: %w", x.name, err)
			}
			if !goesOn || !sleep(ctx, stop, f.pause) {
				return ctx.Err()
			}
			if err := f.s.ring.Alive(); err != nil {
				return err
			}
		}
		if round == 1 {
			close(f.complete)
		}
	}
}

// sleep waits for d; false means that the trial is over.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
	case <-ctx.Done():
	}
	return false
}

func (f *faults) count(name string) {
	if f.counts[name] == 0 {
		f.names = append(f.names, name)
	}
	f.counts[name]++
}

func (f *faults) String() string {
	var parts []string
	for _, name := range f.names {
		parts = append(parts, fmt.Sprintf("%d × %s", f.counts[name], name))
	}
	return strings.Join(parts, ", ")
}

func (f *faults) anyNode() *rig.Node {
	return f.s.ring.Nodes[f.rng.IntN(len(f.s.ring.Nodes))]
}

func (f *faults) linkCut() fault      { return cut("links of a node cut", f.anyNode().Incoming) }
func (f *faults) clientsCut() fault   { return cut("clients of a node cut off", f.anyNode().Clients) }
func (f *faults) linkHalfOpen() fault { return f.freeze("links half-open", f.anyNode().Incoming) }
func (f *faults) clientsHalfOpen() fault {
	return f.freeze("clients half-open", f.anyNode().Clients)
}

func cut(name string, p *netcut.Proxy) fault {
	return fault{name, func() error { p.Cut(); return nil }, func() error { p.Restore(); return nil }}
}

func (f *faults) freeze(name string, p *netcut.Proxy) fault {
	d := []netcut.Direction{netcut.ToTarget, netcut.FromTarget, netcut.Both}[f.rng.IntN(3)]
	return fault{name, func() error { p.Freeze(d); return nil }, func() error { p.Restore(); return nil }}
}

// redisRestart stops the database, which keeps its data, and starts it again.
func (f *faults) redisRestart() fault {
	return fault{"redis-server restarted", f.s.redis.Stop, f.s.redis.Restart}
}

// redisPause makes the database hang with its connections open.
func (f *faults) redisPause() fault {
	return fault{"redis-server paused", f.s.redis.Pause, f.s.redis.Resume}
}
