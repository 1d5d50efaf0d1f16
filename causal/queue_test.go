package causal

import (
	"math/rand"
	"testing"
)

func TestQueueAgainstSlice(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	var q fifo[*Version]
	var twin []*Version
	for step := range 20_000 {
		// Grow, shrink and idle in turns, so that the slice slides at all sizes.
		if push := rng.Intn(10) < 3+step/2000%2*4; push || len(twin) == 0 {
			v := &Version{Dot: Dot{Counter: Counter(step + 1)}}
			q.push(v)
			twin = append(twin, v)
		} else {
			if got := q.pop(); got != twin[0] {
				t.Fatalf("step %d: popped %v, want %v", step, got.Dot, twin[0].Dot)
			}
			twin = twin[1:]
		}
		if q.len() != len(twin) {
			t.Fatalf("step %d: %d versions, want %d", step, q.len(), len(twin))
		}
		if len(twin) > 0 {
			if i := rng.Intn(len(twin)); q.at(i) != twin[i] {
				t.Fatalf("step %d: at %d is %v, want %v", step, i, q.at(i).Dot, twin[i].Dot)
			}
		}
	}
}

// TestQueueKeepsNothing: what was popped is let go, and the slice does not grow for
// ever under a queue that is never empty.
func TestQueueKeepsNothing(t *testing.T) {
	var q fifo[*Version]
	for range 10 {
		q.push(&Version{})
	}
	for range 100_000 {
		q.push(&Version{})
		q.pop()
	}
	if n := cap(q.items); n > 512 {
		t.Errorf("a queue of 10 has room for %d", n)
	}
	for i, v := range q.items[:cap(q.items)] {
		if used := i >= q.head && i < len(q.items); (v != nil) != used {
			t.Fatalf("slot %d holds %v, in use: %v", i, v, used)
		}
	}
}

// logTwin is the link log without any cleverness: all entries that were ever
// appended, and for each whether it was sent on this connection.
type logTwin struct {
	entries []logEntry
	sent    []bool
}

// pull takes what is to be sent now, at most n entries looked at.
func (l *logTwin) pull(stable, has, marks VectorClock) (list []logEntry) {
	for i, e := range l.entries {
		if l.sent[i] {
			continue
		}
		l.sent[i] = true
		received := has
		if e.mark {
			received = marks
		}
		if d := e.dot; !stable.Covers(d) && !received.Covers(d) {
			list = append(list, e)
		}
	}
	return list
}

// pullLog does what Server.Pull does with the log.
func pullLog(l *linkLog, stable VectorClock) (list []logEntry) {
	for ; l.next < len(l.entries); l.next++ {
		if e := l.entries[l.next]; !stable.Covers(e.dot) && !l.received(e) {
			list = append(list, e)
		}
	}
	return list
}

func TestLinkLogAgainstTwin(t *testing.T) {
	const origins = 3
	for seed := range int64(200) {
		rng := rand.New(rand.NewSource(seed))
		var l linkLog
		var twin logTwin
		accepted, stable := make(VectorClock, origins), make(VectorClock, origins)
		for step := range 400 {
			switch rng.Intn(8) {
			case 0, 1, 2, 3:
				o := ReplicaID(rng.Intn(origins))
				accepted[o]++
				e := logEntry{Dot{Origin: o, Counter: accepted[o]}, rng.Intn(4) == 0}
				l.append(e)
				twin.entries, twin.sent = append(twin.entries, e), append(twin.sent, false)
			case 4, 5:
				if o := rng.Intn(origins); stable[o] < accepted[o] {
					stable[o] += 1 + Counter(rng.Int63n(int64(accepted[o]-stable[o])))
				}
				inFlight := 0
				for o := range accepted {
					inFlight += int(accepted[o] - stable[o])
				}
				l.trim(stable, inFlight)
				if live := len(l.entries) - l.head; live > 64+4*inFlight {
					t.Fatalf("seed %d step %d: %d entries for %d in flight", seed, step, live, inFlight)
				}
			case 6:
				has, marks := make(VectorClock, origins), make(VectorClock, origins)
				for o := range has {
					has[o] = Counter(rng.Int63n(int64(accepted[o]) + 1))
					marks[o] = Counter(rng.Int63n(int64(accepted[o]) + 1))
				}
				l.start(has, marks)
				clear(twin.sent)
			case 7:
				got, want := pullLog(&l, stable), twin.pull(stable, l.has, l.marks)
				if len(got) != len(want) {
					t.Fatalf("seed %d step %d: pulled %d entries, want %d", seed, step, len(got), len(want))
				}
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("seed %d step %d: entry %d is %v, want %v", seed, step, i, got[i].dot, want[i].dot)
					}
				}
			}
		}
	}
}

// TestLinkLogCostIsAmortised: one entry stays uncovered in front while 100,000 pass
// behind it. Moving them each time would be 10^10 steps; the log must stay short.
func TestLinkLogCostIsAmortised(t *testing.T) {
	l := linkLog{up: true}
	stuck := logEntry{dot: Dot{Origin: 0, Counter: 1}}
	l.append(stuck)
	stable := make(VectorClock, 2)
	longest := 0
	for c := Counter(1); c <= 100_000; c++ {
		l.append(logEntry{dot: Dot{Origin: 1, Counter: c}})
		stable[1] = c
		l.trim(stable, 1)
		longest = max(longest, len(l.entries))
	}
	if longest > 200 {
		t.Errorf("the log grew to %d entries with one in flight", longest)
	}
	if got := pullLog(&l, stable); len(got) != 1 || got[0] != stuck {
		t.Errorf("pulled %v, want the one entry that is in flight", got)
	}
}
