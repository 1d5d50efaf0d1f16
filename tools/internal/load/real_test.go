package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRealServers: every system, in every way to it, in both loops.
func TestRealServers(t *testing.T) {
	ring := startRing(t, 1)
	for name, start := range map[string]func(*testing.T) []string{
		"redis": startRedis, "memcached": startMemcached,
		"causalmesh": func(*testing.T) []string { return prefixed("causalmesh:", ring.targets) },
		"clientlib":  func(*testing.T) []string { return prefixed("clientlib:", append(ring.shared(), ring.targets...)) },
		"memory":     func(*testing.T) []string { return prefixed("causalmesh:", ring.shared()) },
		"gomap":      func(*testing.T) []string { return []string{"gomap:local"} },
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range start(t) {
				for _, rate := range []string{"0", "3000"} {
					o := newLoad(t, "--target", target, "--preload", "--conns", "3", "--depth", "5", "--rate", rate, "--read-ratio", "0.5")
					r := mustLoad(t, o, ofEach(20))
					if r.Errors != 0 || r.Absent != 0 || r.Reads == 0 || r.Writes == 0 || r.Ops != r.Reads+r.Writes {
						t.Errorf("%s at %s: %+v", target, rate, r)
					}
					if r.ReadLatency == nil || r.WriteLatency == nil || r.ClientCPU <= 0 {
						t.Errorf("%s at %s: %+v", target, rate, r)
					}
					if raw := o.system.codec != nil; (r.BytesSent != nil) != raw || (r.BytesReceived != nil) != raw {
						t.Errorf("%s: bytes %v, %v", target, r.BytesSent, r.BytesReceived)
					}
					if (r.OwnWrites != nil) != (name == "causalmesh") {
						t.Errorf("%s: own writes %+v", target, r.OwnWrites)
					}
				}
			}
		})
	}
}

// shared are targets on the ring in shared memory, of which each node has two.
func (r *ring) shared() (all []string) {
	for _, way := range shared {
		for _, target := range r.targets[:len(r.nodes)] {
			all = append(all, way.name+strings.TrimPrefix(target, "unix"))
		}
	}
	return all
}

func prefixed(by string, list []string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = by + list[i]
	}
	return list
}

// TestBytesPerOperation: those of Redis can be told beforehand.
func TestBytesPerOperation(t *testing.T) {
	target := startRedis(t)[0]
	for _, c := range []struct {
		ratio          string
		sent, received float64
	}{{"1", 32, 5}, {"0", 39, 5}} { // of no key; of a value of 1 byte
		r := mustLoad(t, newLoad(t, "--target", target, "--value-size", "1", "--read-ratio", c.ratio, "--keys", "1"), operations(10))
		if *r.BytesSent != c.sent || *r.BytesReceived != c.received {
			t.Errorf("ratio %s: %v and %v bytes, want %v and %v", c.ratio, *r.BytesSent, *r.BytesReceived, c.sent, c.received)
		}
		if (r.ReadLatency == nil) != (c.ratio == "0") || (r.WriteLatency == nil) != (c.ratio == "1") {
			t.Errorf("ratio %s: latencies of reads %v, of writes %v", c.ratio, r.ReadLatency, r.WriteLatency)
		}
	}
}

// TestLargeValues: replies that no buffer holds at first.
func TestLargeValues(t *testing.T) {
	ring := startRing(t, 1)
	for _, target := range append(startRedis(t)[:1], "causalmesh:"+ring.targets[0]) {
		r := mustLoad(t, newLoad(t, "--target", target, "--preload", "--value-size", "300000", "--keys", "3", "--depth", "4"), operations(40))
		if r.Errors != 0 || r.Absent != 0 || *r.BytesReceived < 100_000 {
			t.Errorf("%s: %+v", target, r)
		}
	}
}

// TestRefusedByMemcached: what the server says is an error of the operation.
func TestRefusedByMemcached(t *testing.T) {
	run := newRun(newLoad(t, "--target", startMemcached(t)[0], "--value-size", "2000000", "--read-ratio", "0"))
	_, err := run.loadUntil(t, func() bool { return run.counted().errors > 0 })
	if !errors.Is(err, ErrNothingMeasured) || !strings.Contains(err.Error(), "too large for cache") {
		t.Errorf("%v", err)
	}
}

// TestSharedRoam: sessions go round a ring whose nodes they reach in different ways through
// memory, and see what they have written.
func TestSharedRoam(t *testing.T) {
	ring := startRing(t, 3)
	all := ring.shared()
	args := []string{"--roam", "0.5", "--conns", "6", "--depth", "2", "--past", "20", "--preload"}
	for _, target := range prefixed("causalmesh:", []string{all[0], all[4], all[5]}) {
		args = append(args, "--target", target)
	}
	for _, more := range [][]string{{"--rate", "1000", "--read-ratio", "0.5"}, {"--run", "10", "--read-ratio", "1"}} {
		run := newRun(newLoad(t, append(args, more...)...))
		before := -1
		r, err := run.loadUntil(t, func() bool {
			if before < 0 {
				before = leastAsked(ring)
			}
			// Reads alone need not ask the nodes whose tables they find.
			asks := run.o.ReadRatio == 1 || leastAsked(ring) >= before+20
			return asks && operations(200)(run.counted())
		})
		if err != nil || r.Errors != 0 || r.Absent != 0 {
			t.Errorf("%v: %+v, %v", more, r, err)
		}
	}
	for i, n := range ring.nodes {
		s, err := n.Status(t.Context())
		if err != nil || s.Daemon.Attached == 0 {
			t.Errorf("node %d: %d clients in shared memory: %v", i, s.Daemon.Attached, err)
		}
	}
}

// leastAsked is how often the node was asked that was asked least; -1 if one does not tell.
func leastAsked(r *ring) int {
	least := math.MaxInt
	for _, n := range r.nodes {
		s, err := n.Status(context.Background())
		if err != nil {
			return -1
		}
		least = min(least, int(s.Daemon.Requests))
	}
	return least
}

// TestReadsAllocateNothing: the generator leaves no garbage that would be collected beside
// what is measured.
func TestReadsAllocateNothing(t *testing.T) {
	ring := startRing(t, 1)
	for _, target := range append(prefixed("causalmesh:", ring.shared()), "gomap:local") {
		o := newLoad(t, "--target", target, "--keys", "10", "--run", "10", "--read-ratio", "1", "--preload")
		r := newRun(o)
		if err := r.engine.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.preload(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		w := r.engine.(*crowd).workers[0]
		// The daemon runs in this process, too, and allocates nothing either for a read. What
		// else the process does on a slow machine is not in all of the tries.
		least := math.Inf(1)
		for try := 0; try < 50 && least >= 1; try++ {
			least = min(least, testing.AllocsPerRun(20, func() {
				w.choose()
				if err := w.record(w.run.elapsed(), w.run.elapsed(), 0); err != nil {
					t.Fatal(err)
				}
			}))
		}
		if least >= 1 {
			t.Errorf("%s: %v allocations for 10 reads", target, least)
		}
		r.engine.close()
	}
}

// TestRawRoam: sessions of two threads go round a ring, and see what they have written.
func TestRawRoam(t *testing.T) {
	ring := startRing(t, 3)
	args := []string{"--roam", "0.5", "--threads", "2", "--conns", "6", "--depth", "4", "--past", "20", "--preload"}
	for _, target := range prefixed("causalmesh:", ring.targets[:3]) {
		args = append(args, "--target", target)
	}
	r := mustLoad(t, newLoad(t, args...), operations(100))
	if r.Errors != 0 || r.Absent != 0 {
		t.Errorf("%+v", r)
	}
	for i, n := range ring.nodes {
		s, err := n.Status(t.Context())
		// 50 preloaded keys and 480 operations of the past.
		if err != nil || s.Daemon.Requests < 100 {
			t.Errorf("node %d was asked %d times: %v", i, s.Daemon.Requests, err)
		}
	}
}

// TestPast: the past is made before the load, by every session, and is not measured;
// requests are no longer for it.
func TestPast(t *testing.T) {
	for _, system := range []string{"causalmesh:", "clientlib:"} {
		var bytes [2]float64
		for i, past := range []string{"0", "300"} {
			ring := startRing(t, 1)
			run := newRun(newLoad(t, "--target", system+ring.targets[0], "--past", past, "--depth", "3", "--read-ratio", "0.5", "--value-size", "1"))
			r, err := run.loadUntil(t, func() bool { return operations(1000)(run.counted()) })
			if err != nil {
				t.Fatal(err)
			}
			s, err := ring.nodes[0].Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// In a ring of one nothing is ever in flight, so there are no other requests.
			if got, want := int64(s.Daemon.Requests)-run.tally().ended, int64(i*3*300); got != want {
				t.Errorf("%s past %s: %d requests beside the load's, want %d", system, past, got, want)
			}
			if r.BytesSent != nil {
				bytes[i] = *r.BytesSent
			}
		}
		if bytes[1] > bytes[0]*1.1 {
			t.Errorf("%s: %.1f bytes per request without a past, %.1f with one", system, bytes[0], bytes[1])
		}
	}
}

// TestOwnWrites: in a ring that stands still what is in flight stays there, so the
// numbers are exact; and the next read has to wait for ever.
func TestOwnWrites(t *testing.T) {
	for _, c := range []struct {
		args   []string
		flight float64
	}{{[]string{"--own-writes", "8"}, 8}, {[]string{"--own-writes", "64"}, 64}, {[]string{"--own-writes", "8", "--unjoined"}, 0}} {
		run, r := loadInCutRing(t, 2, append(c.args, "--read-ratio", "1", "--depth", "2")...)
		w := r.OwnWrites
		if w == nil || w.AtBegin != c.flight || w.AtEnd != c.flight || r.Reads != 2 || r.Errors != 0 || w.Prepared != int64(2*run.o.OwnWrites) {
			t.Errorf("%v: %+v, own writes %+v", c.args, r, w)
		}
	}
	// In one that goes round they come to rest, and are brought into flight again.
	ring := startRing(t, 3)
	r := mustLoad(t, newLoad(t, "--target", "causalmesh:"+ring.targets[0], "--own-writes", "8", "--conns", "2", "--depth", "2"), ofEach(20))
	if w := r.OwnWrites; r.Errors != 0 || w.AtBegin <= 0 || w.AtBegin > 8 || w.AtEnd > w.AtBegin || w.Prepared < 8*r.Reads {
		t.Errorf("%+v, own writes %+v", r, w)
	}
}

// someSyncs show that a session repeats the question whether its writes are stable.
const someSyncs = 20

// loadInCutRing makes a load on node 0 of a ring whose links are cut, until so many
// operations are done and sessions ask again and again. Then the load ends and the links
// come back, so that what is under way can end.
func loadInCutRing(t *testing.T, done int64, args ...string) (*run, *Report) {
	t.Helper()
	ring := startRing(t, 3)
	for _, link := range ring.links {
		link.Cut()
	}
	run := newRun(newLoad(t, append(args, "--target", "causalmesh:"+ring.targets[0])...))
	go func() {
		select {
		case <-run.stopped:
		case <-t.Context().Done():
		}
		for _, link := range ring.links {
			link.Restore()
		}
	}()
	asked := int(done)*(run.o.OwnWrites+1) + someSyncs
	r, err := run.loadUntil(t, func() bool {
		s, err := ring.nodes[0].Status(t.Context())
		return err == nil && int(s.Daemon.Requests) >= asked && operations(done)(run.counted())
	})
	if err != nil {
		t.Fatal(err)
	}
	return run, r
}

// TestTooManyOwnWrites: the server's limit is known before the load.
func TestTooManyOwnWrites(t *testing.T) {
	ring := startRing(t, 1)
	_, err := Run(t.Context(), newLoad(t, "--target", "causalmesh:"+ring.targets[0], "--own-writes", "65"), nil)
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "at most 64") {
		t.Errorf("%v", err)
	}
}

// TestLimitOfOwnWrites: a session whose writes do not get round is refused at its own
// limit, and repeats its question: its next write is made once they do.
func TestLimitOfOwnWrites(t *testing.T) {
	const limit = 64
	if _, r := loadInCutRing(t, limit, "--read-ratio", "0"); r.Writes != limit+1 || r.Errors != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRawStoppedEarly: the load ends with what was measured until then.
func TestRawStoppedEarly(t *testing.T) {
	ring := startRing(t, 1)
	for _, rate := range []string{"0", "1000"} {
		o := newLoad(t, "--target", "causalmesh:"+ring.targets[0], "--rate", rate)
		if r := mustLoad(t, o, operations(10)); r.Seconds <= 0 || r.Seconds >= o.Duration.Seconds() || r.Ops < 10 {
			t.Errorf("rate %s: %+v", rate, r)
		}
	}
}

// TestConnectionsAreClosed: a run leaves no descriptor behind, however it ends.
func TestConnectionsAreClosed(t *testing.T) {
	ring := startRing(t, 1)
	target := "causalmesh:" + ring.targets[0]
	clients := func() int {
		s, err := ring.nodes[0].Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Daemon.Clients
	}
	mustLoad(t, newLoad(t, "--target", target, "--conns", "4"), operations(1))
	if _, err := Run(t.Context(), newLoad(t, "--target", target, "--conns", "4", "--own-writes", "65"), nil); err == nil {
		t.Error("no error")
	}
	for deadline := time.Now().Add(patience); clients() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", clients())
		}
	}
}

// TestGoldenFields: the names of a report's fields, which other programs read.
func TestGoldenFields(t *testing.T) {
	ring := startRing(t, 1)
	o := newLoad(t, "--target", "causalmesh:"+ring.targets[0], "--rate", "1000", "--read-ratio", "0.5")
	var b bytes.Buffer
	if err := mustLoad(t, o, ofEach(1)).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var fields any
	if err := json.Unmarshal(b.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(names("", fields), "\n") + "\n"
	want, err := os.ReadFile("testdata/fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("testdata/fields.txt is not what is reported:\n%s", got)
	}
}

func names(in string, value any) (all []string) {
	object, ok := value.(map[string]any)
	if !ok {
		return []string{in}
	}
	for name, v := range object {
		all = append(all, names(strings.TrimPrefix(in+"."+name, "."), v)...)
	}
	slices.Sort(all)
	return all
}
