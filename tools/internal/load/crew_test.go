package load

import (
	"math"
	"testing"
	"time"
)

// trial has a crew work on a virtual clock, with a server of which the nth operation,
// from 0, takes a time.
func trial(t *testing.T, args []string, takes func(n int) time.Duration) *tally {
	t.Helper()
	o, err := ParseArgs(append(args, "--target", "redis:unix:none"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(&o)
	r.ends.Store(int64(o.WarmUp + o.Duration))
	into := newRecorder(&o)
	l := &load{run: r, into: &into.tally}
	if o.Rate > 0 {
		l.arrivals = newArrivals(o.Rate, newChooser(&o, o.sessions()).rng)
	}
	c := &crew{}
	for i := range o.sessions() {
		c.sessions = append(c.sessions, &session{chooser: newChooser(&o, i), index: i})
	}
	c.start(l)
	ends := map[*session]time.Duration{}
	done := 0
	for now := time.Duration(0); ; {
		err := c.begin(now, func(s *session) error {
			ends[s] = now + takes(done)
			done++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if c.atRest() {
			return &into.tally
		}
		next := now + c.idle(now, time.Hour)
		var first *session
		for _, s := range c.sessions { // in order, so that each run is the same
			if at, under := ends[s]; under && (at < next || at == next && first == nil) {
				first, next = s, at
			}
		}
		if first == nil && next == now {
			t.Fatalf("nothing happens at %v", now)
		}
		if now = next; first != nil {
			delete(ends, first)
			if err := c.end(first, true, nil, now); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCrewCoordinatedOmission is TestCoordinatedOmission for the raw engine.
func TestCrewCoordinatedOmission(t *testing.T) {
	const stall = 500 * time.Millisecond
	takes := func(n int) time.Duration {
		if n == 100 {
			return stall
		}
		return 100 * time.Microsecond
	}
	open := trial(t, []string{"--rate", "1000", "--warmup", "0s", "--duration", "2s"}, takes)
	l := open.latency()
	if l.ValueAtQuantile(50) > 2*ms || l.ValueAtQuantile(90) < 200*ms || l.ValueAtQuantile(99) < 400*ms || open.counts.unserved > 5 {
		t.Errorf("open loop: %+v, %+v", percentiles(l), open.counts)
	}
	if n := open.counts.done(); math.Abs(float64(n)-2000) > 150 {
		t.Errorf("open loop: %d operations, want about 2000", n)
	}
	if open.lag.TotalCount() > 0 {
		t.Errorf("lag %+v: on a virtual clock nobody is late", percentiles(open.lag))
	}
	closed := trial(t, []string{"--warmup", "0s", "--duration", "2s"}, takes).latency()
	if closed.ValueAtQuantile(99) > ms || !within(closed.Max(), int64(stall)) {
		t.Errorf("closed loop: %+v", percentiles(closed))
	}
}

// TestCrewUnserved asks for twice of what can be done.
func TestCrewUnserved(t *testing.T) {
	got := trial(t, []string{"--rate", "4000", "--depth", "2", "--warmup", "1s", "--duration", "1s"},
		func(int) time.Duration { return time.Millisecond })
	if n := got.counts.done(); n != 2000 || math.Abs(float64(got.counts.unserved)-4000) > 300 {
		t.Errorf("%d operations and %d unserved, want 2000 and about 4000", n, got.counts.unserved)
	}
	if l := got.latency(); l.ValueAtQuantile(50) < 600*ms || l.Max() > 1200*ms {
		t.Errorf("latency %+v does not have the wait", percentiles(l))
	}
}

// TestCrewLag: who was free when an operation was due and begins it later was late.
func TestCrewLag(t *testing.T) {
	o, err := ParseArgs([]string{"--target", "redis:unix:none", "--rate", "1000"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(&o)
	r.ends.Store(int64(time.Hour))
	l := &load{run: r, into: &newRecorder(&o).tally, arrivals: newArrivals(o.Rate, newChooser(&o, 0).rng)}
	s := &session{chooser: newChooser(&o, 0)}
	due := l.arrivals.due()
	if got := l.take(s, due-1); got != waits || l.next() != due {
		t.Fatalf("before it is due: %v, next %v", got, l.next())
	}
	s.freed = due
	if got := l.take(s, due+time.Second); got != begins || s.due != due || s.lag != time.Second {
		t.Errorf("%v, due %v, lag %v", got, s.due, s.lag)
	}
	due = l.arrivals.due()
	s.freed = due + 1
	if got := l.take(s, due+2); got != begins || s.due != due || s.lag != 0 {
		t.Errorf("no session was free: %v, due %v, lag %v", got, s.due, s.lag)
	}
}

func TestQueue(t *testing.T) {
	var q queue
	all := make([]*session, 100)
	for i := range all {
		all[i] = &session{index: i}
	}
	next := 0
	for i, s := range all {
		q.push(s)
		if i%3 == 0 {
			if got := q.pop(); got.index != next {
				t.Fatalf("%d, want %d", got.index, next)
			}
			next++
		}
	}
	for ; next < len(all); next++ {
		if got := q.pop(); got == nil || got.index != next {
			t.Fatalf("%v, want %d", got, next)
		}
	}
	if q.pop() != nil || q.head() != nil {
		t.Error("an empty queue has something")
	}
}
