package causal

import (
	"math/rand"
	"testing"
	"time"
)

// bytesSource turns fuzzed bytes into choices; when they run out all are 0.
type bytesSource struct{ data []byte }

func (b *bytesSource) next() int {
	if len(b.data) == 0 {
		return 0
	}
	c := b.data[0]
	b.data = b.data[1:]
	return int(c)
}

func (b *bytesSource) pick(n int) int { return b.next() % n }

// hostile drives one server with whatever its bytes say. What it sends is often
// almost right: that gets further than noise does.
type hostile struct {
	*bytesSource
	s       *Server
	n       int
	now     Time
	out     Output
	loads   []LoadRequest
	flushes []FlushRequest
	number  uint32
}

func newHostile(data []byte) (*hostile, error) {
	h := &hostile{bytesSource: &bytesSource{data}, now: testStart}
	flags := h.next()
	h.n = 1 + h.pick(4)
	cfg := Config{
		Self: ReplicaID(h.pick(h.n)), Replicas: h.n, Epoch: 7, Propagation: Propagation(flags & 1), Store: flags&2 != 0,
		Limits: Limits{
			KeyBytes: 8, ValueBytes: 64, PendingBytes: 2_000, Loads: 4, Waiters: 4, Remembered: 4,
			FlushesAtOnce: 2, BatchKeys: 4, BatchBytes: 100, RingBatch: 600,
		},
	}
	if flags&4 != 0 && h.n > 1 {
		cfg.Ack = AckReplicated
	}
	if flags&8 != 0 {
		cfg.Key = []byte("key")
	}
	if flags&16 != 0 {
		cfg.MemoryBytes = 4_000
	}
	s, err := NewServer(cfg, NewHeapTable())
	h.s = s
	return h, err
}

// near returns a number close to c, or far from it.
func (h *hostile) near(c Counter) Counter {
	switch k := h.pick(16); {
	case k < 8:
		return c + 1
	case k < 11:
		return c
	case k < 13:
		return c - min(c, 1)
	case k < 14:
		return c + 2
	case k < 15:
		return 0
	}
	return 1<<64 - 1
}

func (h *hostile) vector(like VectorClock) VectorClock {
	v := like.Clone()
	switch h.pick(6) {
	case 0:
		return nil
	case 1:
		return append(v, Counter(h.pick(3)), 0)
	case 2:
		if i := h.pick(h.n + 1); i < len(v) {
			v[i] = h.near(v[i])
		}
	}
	return v
}

func (h *hostile) time() Time {
	switch h.pick(32) {
	case 0:
		return 0
	case 1:
		return h.now.Add(time.Hour)
	case 2, 3, 4:
		return h.now.Add(50 * time.Second)
	case 5:
		return 1<<64 - 1
	}
	return h.now
}

// everywhere is what a peer states as its E: mostly some of what is here.
func (h *hostile) everywhere() VectorClock {
	v := h.s.everywhere.Clone()
	if h.pick(12) == 0 {
		return h.vector(v)
	}
	if i := h.pick(h.n); v[i] < h.s.received[i] {
		v[i] += 1 + Counter(h.next())%(h.s.received[i]-v[i])
	}
	return v
}

func (h *hostile) dot() Dot {
	d := Dot{Origin: ReplicaID(h.pick(8*h.n+1) / 8)}
	if int(d.Origin) < h.n {
		d.Counter = h.near(h.s.received[d.Origin])
	}
	if h.pick(32) == 0 {
		d.Incarnation, d.Origin = 1, 200
	}
	return d
}

func (h *hostile) key() []byte {
	if k := h.pick(40); k > 1 {
		return []byte{'k', byte('0' + k%20)}
	} else if k == 1 {
		return make([]byte, 9)
	}
	return nil
}

func (h *hostile) version() *Version {
	v := &Version{Key: h.key(), Value: make([]byte, h.pick(66)), Dot: h.dot(), Epoch: 7, Tombstone: h.pick(6) == 0}
	v.Stamp = Stamp{h.time(), v.Dot.Origin}
	for range h.pick(8) / 4 {
		v.Deps = append(v.Deps, h.dot())
	}
	switch h.pick(16) {
	case 0:
		v.Epoch = Epoch(h.pick(9))
	case 1:
		v.Deadline = h.time()
	case 2:
		v.Deadline = h.now.Add(time.Millisecond)
	}
	return v
}

func (h *hostile) request() *Request {
	h.number++
	r := &Request{ID: RequestID{uint64(h.pick(6)), h.number}, Op: Op(1 + h.pick(5)), Epoch: 7, Keys: [][]byte{h.key()}}
	if h.pick(6) == 0 {
		r.ID.Number -= uint32(h.pick(4))
	}
	if r.Op == OpReadMany {
		for range h.pick(5) {
			r.Keys = append(r.Keys, h.key())
		}
	}
	if r.Op == OpWrite {
		r.Value, r.TTL = make([]byte, h.pick(66)), time.Duration(h.pick(4))*time.Millisecond
	}
	for range h.pick(6) / 3 {
		v := SignedVector{Vector: h.everywhere()}
		if h.pick(8) > 0 && h.s.signer != nil {
			v.Tag = h.s.signer.sumVector(v.Vector)
		}
		r.Known = append(r.Known, v)
	}
	for range h.pick(6) / 3 {
		d := SignedDot{Dot: h.dot()}
		d.Tag = h.s.signer.dot(d.Dot)
		r.Own = append(r.Own, d)
	}
	switch h.pick(12) {
	case 0:
		r.Op = Op(h.next())
	case 1:
		r.Keys = nil
	case 2:
		r.Time = h.time()
	case 3:
		r.Epoch = Epoch(h.pick(9))
	}
	return r
}

func (h *hostile) message() *Message {
	m := &Message{Kind: MessageKind(1 + h.pick(12)*h.pick(12)%6), Epoch: 7, Time: h.now, Everywhere: h.everywhere()}
	switch m.Kind {
	case MessageRing:
		for range 1 + h.pick(4) {
			e := RingEntry{Version: h.version()}
			if h.pick(12) > 0 { // the next of another's writes
				o := ReplicaID((int(h.s.cfg.Self) + 1 + h.pick(max(1, h.n-1))) % h.n)
				e.Version.Dot = Dot{Origin: o, Counter: h.s.received[o] + 1}
				e.Version.Stamp.Origin = o
			}
			if h.pick(4) == 0 {
				e = RingEntry{Mark: Mark{ReplicaID(h.pick(h.n + 1)), h.near(h.s.received[h.pick(h.n)])}}
			}
			m.Entries = append(m.Entries, e)
		}
	case MessageMissReply:
		m.Key, m.Load, m.Code = h.key(), LoadID(h.near(Counter(h.s.home.lastID))-1), Code(h.pick(20)/10*h.pick(12))
		m.Version = *h.version()
	case MessageMiss:
		m.Key, m.Load = h.key(), LoadID(h.next())
	default:
		m.Vector, m.Marks = h.vector(h.s.received), h.vector(h.s.marked)
	}
	if h.pick(24) == 0 {
		m.Time, m.Epoch = h.time(), Epoch(h.pick(9))
	}
	return m
}

// step makes one input of the next bytes and gives it to the server.
func (h *hostile) step() {
	if h.pick(8) == 0 {
		h.now = h.now.Add(time.Duration(h.next()) * 10 * time.Millisecond)
	}
	in := Input{Now: h.now, Client: ClientID(h.next()), Peer: ReplicaID(h.pick(h.n + 1))}
	if h.pick(3) > 0 { // often the neighbour, so that it gets somewhere
		in.Peer = h.s.predecessor()
	}
	switch h.pick(12) {
	case 0, 1, 2:
		in.Kind, in.Request = InputRequest, h.request()
	case 3, 4, 5:
		in.Kind, in.Message = InputMessage, h.message()
	case 6:
		in.Kind, in.Received, in.Marks = InputLinkUp, h.vector(h.s.received), h.vector(h.s.marked)
		in.Everywhere, in.Peer = h.vector(h.s.everywhere), ReplicaID(h.pick(h.n+1))
	case 7:
		in.Kind = InputKind(h.pick(9)/8*9 + int(InputLinkDown))
	case 8:
		in.Kind, in.WantsAcks = InputPredecessor, h.pick(2) == 0
	case 9:
		in.Kind, in.Load = InputLoaded, h.load()
	case 10:
		in.Kind, in.Flush = InputFlushed, h.flush()
	case 11:
		h.out.Reset()
		h.s.Tick(h.now, &h.out)
		h.after()
		return
	}
	h.out.Reset()
	h.s.Step(&in, &h.out) //nolint:errcheck // hostile input has errors
	h.after()
}

func (h *hostile) load() *LoadResult {
	r := &LoadResult{ID: LoadID(h.next()), Key: h.key(), Status: LoadStatus(h.pick(4)), Version: *h.version()}
	if len(h.loads) > 0 && h.pick(6) > 0 {
		r.ID, r.Key = h.loads[0].ID, h.loads[0].Key
		h.loads = h.loads[1:]
	}
	r.Version.Epoch = Epoch(6 + h.pick(10)/8)
	return r
}

func (h *hostile) flush() *FlushResult {
	r := &FlushResult{Key: h.key(), Status: FlushStatus(h.pick(6)), Found: *h.version()}
	if r.Status == FlushFenced && h.pick(16) > 0 {
		r.Status = FlushDone // or nearly every run would end fenced
	}
	if len(h.flushes) > 0 && h.pick(6) > 0 {
		r.Key, r.Stamp = h.flushes[0].Version.Key, h.flushes[0].Version.Stamp
		h.flushes = h.flushes[1:]
	}
	return r
}

func (h *hostile) after() {
	h.loads, h.flushes = append(h.loads, h.out.Loads...), append(h.flushes, h.out.Flushes...)
	if h.pick(3) == 0 {
		var m Message
		for range 10 {
			if !h.s.Pull(h.now, &m) {
				break
			}
		}
	}
}

// check holds the server against what must be so after any input.
func (h *hostile) check(t *testing.T, r, s VectorClock) {
	t.Helper()
	h.s.checkInvariants()
	if !r.AtMost(h.s.Received()) || !s.AtMost(h.s.Stability()) {
		t.Fatalf("went back: R from %v to %v, S from %v to %v", r, h.s.Received(), s, h.s.Stability())
	}
	if !h.s.published.Equal(h.s.stable) {
		t.Fatalf("published S=%v after a step, it is %v", h.s.published, h.s.stable)
	}
	for _, reply := range h.out.Replies {
		if q := reply.Reply; q.Code > CodeNotReady || (q.Code == CodeOK) != (q.Detail == "") || q.Epoch != 7 {
			t.Fatalf("reply %+v", q)
		}
	}
	limits := &h.s.cfg.Limits
	if st := h.s.Status(); st.Parked > limits.Waiters || st.Pending > 0 && st.PendingBytes <= 0 || st.PendingBytes < 0 {
		t.Fatalf("status %+v", st)
	}
	for key, n := range h.s.home.pinned {
		if n <= 0 || h.s.home.parked == 0 {
			t.Fatalf("key %q is pinned %d times with %d reads waiting", key, n, h.s.home.parked)
		}
	}
}

// FuzzServer: no input makes a server panic, lose an invariant, or go back.
func FuzzServer(f *testing.F) {
	rng := rand.New(rand.NewSource(1))
	for flags := range 32 { // every configuration, so that the plain test goes deep too
		for range 6 {
			data := make([]byte, 3000)
			rng.Read(data)
			data[0] = byte(flags)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := newHostile(data)
		if err != nil {
			t.Fatal(err)
		}
		for len(h.data) > 0 {
			r, s := h.s.Received().Clone(), h.s.Stability().Clone()
			h.step()
			h.check(t, r, s)
		}
	})
}

// TestFuzzGetsSomewhere: the bytes of the seed corpus reach what they are for, so
// that nobody takes refusals for robustness.
func TestFuzzGetsSomewhere(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	var sum Counters
	stable, fenced := 0, 0
	for run := range 300 {
		data := make([]byte, 3000)
		rng.Read(data)
		data[0] = byte(run)
		h, err := newHostile(data)
		if err != nil {
			t.Fatal(err)
		}
		for len(h.data) > 0 {
			h.step()
		}
		st := h.s.Status()
		sum.Add(st.Counters)
		for _, c := range st.Stable {
			stable += int(c)
		}
		if st.Fenced {
			fenced++
		}
	}
	for name, n := range map[string]uint64{
		"reads": sum.Reads, "writes": sum.Writes, "retries": sum.Retries, "versions received": sum.Received,
		"duplicates": sum.Duplicates, "gaps": sum.Gaps, "loads": sum.Loads, "misses": sum.Misses, "flushes": sum.Flushes,
		"imports": sum.Imported, "reissues": sum.Reissued, "evictions": sum.Evicted, "stable versions": uint64(stable),
		"forgeries": sum.Forged, "future contexts": sum.Future, "refusals": sum.Refused,
	} {
		if n == 0 {
			t.Errorf("300 runs saw no %s", name)
		}
	}
	if fenced > 150 {
		t.Errorf("%d of 300 runs ended fenced", fenced)
	}
	t.Logf("stable %d, fenced %d, %+v", stable, fenced, sum)
}
