package causal

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// ringVersion is a write of a server in epoch 7.
func ringVersion(origin ReplicaID, c Counter) *Version {
	return &Version{
		Key: fmt.Appendf(nil, "k%d-%d", origin, c), Value: []byte("v"), Dot: Dot{Origin: origin, Counter: c},
		Stamp: Stamp{testStart + Time(c), origin}, Epoch: 7,
	}
}

func ringMessage(versions ...*Version) *Message {
	m := &Message{Kind: MessageRing, Epoch: 7}
	for _, v := range versions {
		m.Entries = append(m.Entries, RingEntry{Version: v})
	}
	return m
}

func with(v *Version, change func(*Version)) *Version {
	change(v)
	return v
}

// TestHostileMessages: what breaks the protocol is an error that says so, drops the
// link and changes neither R nor E.
func TestHostileMessages(t *testing.T) {
	home0 := []byte(keyAt(0, 3, 0))
	entry := func(change func(*Version)) *Message { return ringMessage(with(ringVersion(2, 1), change)) }
	for _, c := range []struct {
		name string
		from ReplicaID // to server 0 of 3, whose predecessor is 2
		m    *Message
		want error
	}{
		{"from nobody", 3, ringMessage(), ErrPeer},
		{"from itself", 0, ringMessage(), ErrPeer},
		{"of no kind", 2, &Message{Epoch: 7}, ErrPeer},
		{"of another epoch", 2, &Message{Kind: MessageRing, Epoch: 8}, ErrEpoch},
		{"a time far ahead", 2, &Message{Kind: MessageRing, Epoch: 7, Time: testStart.Add(3 * time.Minute)}, ErrClock},
		{"E ahead of R", 2, &Message{Kind: MessageRing, Epoch: 7, Everywhere: VectorClock{0, 1}}, ErrPeer},
		{"E for more servers", 2, &Message{Kind: MessageRing, Epoch: 7, Everywhere: make(VectorClock, 4)}, ErrPeer},
		{"a ring message from the successor", 1, ringMessage(), ErrPeer},
		{"a gap", 2, ringMessage(ringVersion(2, 2)), ErrPeer},
		{"its own write", 2, ringMessage(ringVersion(0, 1)), ErrPeer},
		{"no dot", 2, entry(func(v *Version) { v.Dot.Counter = 0 }), ErrPeer},
		{"a dot of nobody", 2, entry(func(v *Version) { v.Dot.Origin = 3 }), ErrPeer},
		{"a dot of another life", 2, entry(func(v *Version) { v.Dot.Incarnation = 1 }), ErrPeer},
		{"a version of another epoch", 2, entry(func(v *Version) { v.Epoch = 6 }), ErrPeer},
		{"a version without a key", 2, entry(func(v *Version) { v.Key = nil }), ErrPeer},
		{"a long key", 2, entry(func(v *Version) { v.Key = make([]byte, 17) }), ErrPeer},
		{"a long value", 2, entry(func(v *Version) { v.Value = make([]byte, 65) }), ErrPeer},
		{"a version without a stamp", 2, entry(func(v *Version) { v.Stamp = Stamp{} }), ErrPeer},
		{"a stamp far ahead", 2, entry(func(v *Version) { v.Stamp.Time = testStart.Add(time.Hour) }), ErrClock},
		{"the last stamp there is", 2, entry(func(v *Version) { v.Stamp.Time = 1<<64 - 1 }), ErrClock},
		{"too many dependencies", 2, entry(func(v *Version) { v.Deps = make([]Dot, 4) }), ErrPeer},
		{"a dependency on nobody", 2, entry(func(v *Version) { v.Deps = []Dot{{Origin: 3, Counter: 1}} }), ErrPeer},
		{"a mark in one round", 2, &Message{Kind: MessageRing, Epoch: 7, Entries: []RingEntry{{Mark: Mark{2, 1}}}}, ErrPeer},
		{"an acknowledgement from the predecessor", 2, &Message{Kind: MessageAck, Epoch: 7}, ErrPeer},
		{"an acknowledgement of what was not written", 1, &Message{Kind: MessageAck, Epoch: 7, Vector: VectorClock{1}}, ErrPeer},
		{"an acknowledgement for more servers", 1, &Message{Kind: MessageAck, Epoch: 7, Vector: make(VectorClock, 4)}, ErrPeer},
		{"marks for more servers", 1, &Message{Kind: MessageAck, Epoch: 7, Marks: make(VectorClock, 4)}, ErrPeer},
		{"a miss without a key", 2, &Message{Kind: MessageMiss, Epoch: 7}, ErrPeer},
		{"a miss without a database", 2, &Message{Kind: MessageMiss, Epoch: 7, Key: home0}, ErrPeer},
		{"a miss for another home", 2, &Message{Kind: MessageMiss, Epoch: 7, Key: []byte(keyAt(1, 3, 0))}, ErrPeer},
		{"an answer to no question from no home", 2, &Message{Kind: MessageMissReply, Epoch: 7, Key: home0}, ErrPeer},
		{"F ahead of R", 2, &Message{Kind: MessageFlushed, Epoch: 7, Vector: VectorClock{1}}, ErrPeer},
		{"F for more servers", 2, &Message{Kind: MessageFlushed, Epoch: 7, Vector: make(VectorClock, 4)}, ErrPeer},
	} {
		cl := newCluster(t, 3, withSmallLimits)
		err := cl.step(0, Input{Kind: InputMessage, Peer: c.from, Message: c.m})
		if !errors.Is(err, ErrPeer) || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if len(cl.drops) != 1 || cl.drops[0] != [2]ReplicaID{0, c.from} {
			t.Errorf("%s: dropped %v, want the link to %d", c.name, cl.drops, c.from)
		}
		if st := cl.servers[0].Status(); !st.Received.Equal(nil) || !st.Everywhere.Equal(nil) || st.Counters.PeerErrors != 1 {
			t.Errorf("%s: R=%v E=%v, %d errors counted", c.name, st.Received, st.Everywhere, st.Counters.PeerErrors)
		}
	}
}

// TestGapKeepsWhatCameBefore: the versions before a gap count, those after it do
// not, and a new link brings exactly what is lacking, in order.
func TestGapKeepsWhatCameBefore(t *testing.T) {
	c := newCluster(t, 3, nil)
	m := ringMessage(ringVersion(2, 1), ringVersion(1, 1), ringVersion(2, 3), ringVersion(2, 2))
	if err := c.step(0, Input{Kind: InputMessage, Peer: 2, Message: m}); !errors.Is(err, ErrPeer) {
		t.Fatalf("got %v", err)
	}
	st := c.servers[0].Status()
	if !st.Received.Equal(VectorClock{0, 1, 1}) || st.Counters.Gaps != 1 || len(c.drops) != 1 {
		t.Errorf("R=%v, %d gaps, dropped %v", st.Received, st.Counters.Gaps, c.drops)
	}
}

// TestDuplicates are dropped and not passed on, and the E beside them still counts.
func TestDuplicates(t *testing.T) {
	c := newCluster(t, 3, nil)
	first := ringMessage(ringVersion(2, 1))
	for range 2 {
		if err := c.step(0, Input{Kind: InputMessage, Peer: 2, Message: first}); err != nil {
			t.Fatal(err)
		}
	}
	first.Everywhere = VectorClock{0, 0, 1}
	if err := c.step(0, Input{Kind: InputMessage, Peer: 2, Message: first}); err != nil {
		t.Fatal(err)
	}
	st := c.servers[0].Status()
	if st.Counters.Duplicates != 2 || st.Counters.Received != 1 || !st.Stable.Equal(VectorClock{0, 0, 1}) {
		t.Errorf("%d duplicates, %d received, S=%v", st.Counters.Duplicates, st.Counters.Received, st.Stable)
	}
}

func dots(m *Message) (list []Dot) {
	for _, e := range m.Entries {
		d := e.Mark.dot()
		if e.Version != nil {
			d = e.Version.Dot
		}
		list = append(list, d)
	}
	return list
}

// TestResyncSendsWhatIsLacking: after a lost link, exactly what the successor lacks
// goes out again, in the order in which it was accepted.
func TestResyncSendsWhatIsLacking(t *testing.T) {
	c := newCluster(t, 4, nil)
	for n := uint32(1); n <= 2; n++ { // 0 writes, 3 writes, 0 writes, 3 writes
		c.ask(0, writeRequest(1, n, "a", "v"))
		if err := c.step(0, Input{Kind: InputMessage, Peer: 3, Message: ringMessage(ringVersion(3, Counter(n)))}); err != nil {
			t.Fatal(err)
		}
	}
	var m Message
	if !c.servers[0].Pull(c.now, &m) || len(m.Entries) != 4 {
		t.Fatalf("pulled %v", dots(&m))
	}
	if c.servers[0].Pull(c.now, &m) {
		t.Fatalf("pulled again: %v", dots(&m))
	}
	for _, l := range []struct {
		has  VectorClock
		want []Dot
	}{
		{nil, []Dot{{0, 0, 1}, {3, 0, 1}, {0, 0, 2}, {3, 0, 2}}},
		{VectorClock{1}, []Dot{{3, 0, 1}, {0, 0, 2}, {3, 0, 2}}},
		{VectorClock{2, 0, 0, 1}, []Dot{{3, 0, 2}}},
		{VectorClock{2, 0, 0, 2}, nil},
	} {
		c.step(0, Input{Kind: InputLinkDown, Peer: 1})
		if c.servers[0].Pull(c.now.Add(time.Second), &m) {
			t.Fatal("pulled while the link is down")
		}
		if err := c.step(0, Input{Kind: InputLinkUp, Peer: 1, Received: l.has}); err != nil {
			t.Fatal(err)
		}
		m = Message{}
		c.servers[0].Pull(c.now, &m)
		if got := dots(&m); fmt.Sprint(got) != fmt.Sprint(l.want) {
			t.Errorf("the successor has %v: sent %v, want %v", l.has, got, l.want)
		}
	}
}

// TestMessagesAreBounded: a message holds RingBatch bytes and at least one entry.
func TestMessagesAreBounded(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) { cfg.Limits.RingBatch = 1000 })
	for n := uint32(1); n <= 10; n++ {
		c.ask(0, writeRequest(1, n, "k", "v"))
	}
	c.ask(0, writeRequest(1, 11, "k", string(make([]byte, 5000))))
	var m Message
	next, messages := Counter(1), 0
	for c.servers[0].Pull(c.now, &m) {
		messages++
		for i, d := range dots(&m) {
			if d.Counter != next || i > 3 {
				t.Fatalf("entry %d is %v, want %d", i, d, next)
			}
			next++
		}
	}
	if next != 12 || messages != 3 { // four, four, two and the long one
		t.Errorf("%d writes sent in %d messages", next-1, messages)
	}
}

func TestHeartbeat(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.settle()
	var m Message
	now := c.now
	if c.servers[0].Pull(now, &m) {
		t.Error("sends though there is nothing to say")
	}
	if c.servers[0].Pull(now.Add(99*time.Millisecond), &m) {
		t.Error("sends before the heartbeat")
	}
	if !c.servers[0].Pull(now.Add(100*time.Millisecond), &m) || len(m.Entries) != 0 {
		t.Errorf("no bare heartbeat: %v", dots(&m))
	}
	if c.servers[0].Pull(now.Add(100*time.Millisecond), &m) {
		t.Error("sends the heartbeat twice")
	}
}

// TestOneRound: the tail learns it first that a write is everywhere, then everyone
// does, and not before.
func TestOneRound(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.write(0, session(1), "k", "v")
	for _, p := range []struct {
		from   int
		stable [3]Counter // S[0] at the three servers afterwards
	}{{0, [3]Counter{0, 0, 0}}, {1, [3]Counter{0, 0, 1}}, {2, [3]Counter{1, 0, 1}}, {0, [3]Counter{1, 1, 1}}} {
		c.pass(p.from)
		for i, s := range c.servers {
			if s.Stability()[0] != p.stable[i] {
				t.Errorf("after the message of %d: S=%v at %d, want %d", p.from, s.Stability(), i, p.stable[i])
			}
		}
	}
}

// TestStabilityIsClosed: a write is not visible before the session's earlier one,
// though it is everywhere itself.
func TestStabilityIsClosed(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := session(1)
	c.write(2, s, "cause", "1")
	c.write(0, s, "effect", "2")
	c.pass(0) // 0 → 1 → 2: the effect has gone round
	c.pass(1)
	if got := c.servers[2].Status(); got.Everywhere[0] != 1 || got.Stable[0] != 0 {
		t.Fatalf("at the tail E=%v S=%v: the effect is everywhere, its cause is not", got.Everywhere, got.Stable)
	}
	reader := session(2)
	if got := c.read(2, reader, "effect"); got != "" {
		t.Errorf("read the effect %q without its cause", got)
	}
	c.settle()
	if got := c.do(1, reader, OpReadMany, "", "cause", "effect"); string(got[0].Value)+string(got[1].Value) != "12" {
		t.Errorf("read %q and %q", got[0].Value, got[1].Value)
	}
}

// TestTwoRounds: a mark follows the version round the ring before it is stable, and
// takes the version's past with it.
func TestTwoRounds(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.Propagation = TwoRound })
	s := session(1)
	c.write(2, s, "cause", "1")
	c.write(0, s, "effect", "2")
	c.pass(0)
	c.pass(1) // the end of the first round, at 2
	if e := c.servers[2].Everywhere(); !e.Equal(nil) {
		t.Fatalf("E=%v after one round", e)
	}
	c.pass(2) // the cause, and the mark behind it
	c.pass(0)
	if e := c.servers[1].Everywhere(); e[0] != 0 {
		t.Fatalf("E=%v before the mark is round", e)
	}
	c.pass(1) // the mark is back
	if st := c.servers[2].Status(); !st.Everywhere.Equal(VectorClock{1, 0, 1}) || !st.Stable.Equal(st.Everywhere) {
		t.Fatalf("E=%v S=%v after two rounds, want the effect and its cause", st.Everywhere, st.Stable)
	}
	for range 6 { // the cause's own second round ends too, and everyone hears of it
		c.spread()
	}
	for i, s := range c.servers {
		if st := s.Status(); st.Pending != 0 || st.Unsent != 0 || !st.Stable.Equal(VectorClock{1, 0, 1}) {
			t.Errorf("server %d: %d pending, %d unsent, S=%v", i, st.Pending, st.Unsent, st.Stable)
		}
	}
	hostile := &Message{Kind: MessageRing, Epoch: 7, Entries: []RingEntry{{Mark: Mark{Origin: 2, Counter: 9}}}}
	if err := c.step(0, Input{Kind: InputMessage, Peer: 2, Message: hostile}); !errors.Is(err, ErrPeer) {
		t.Errorf("a mark ahead of R: %v", err)
	}
}

// TestClockSkew: a server whose clock is wrong by more than the limit is refused, by
// less is followed.
func TestClockSkew(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.skew[0] = 50 * time.Second
	c.write(0, session(1), "k", "v")
	c.settle()
	s := session(2)
	c.write(1, s, "l", "w")
	if at := s.Context().Own[0].Version.Stamp.Time; at <= c.servers[0].clock-1 || at <= testStart.Add(50*time.Second) {
		t.Errorf("stamp %d is not above what was received", at)
	}
	c.skew[0] = 130 * time.Second
	c.ask(0, writeRequest(3, 1, "k", "v"))
	if !c.pull(0) {
		t.Fatal("nothing sent")
	}
	if err := c.deliver(0, 1); !errors.Is(err, ErrClock) || !errors.Is(err, ErrPeer) {
		t.Errorf("130 s ahead: %v", err)
	}
}

func TestLinkUpRefusesLostState(t *testing.T) {
	for _, c := range []struct {
		name                 string
		peer                 ReplicaID // of server 0 of 3, with R=S=(2,1,1)
		received, everywhere VectorClock
		lost                 bool
	}{
		{"all of it", 1, VectorClock{2, 1, 1}, VectorClock{2, 1, 1}, false},
		{"E a little behind", 1, VectorClock{2, 1, 1}, nil, false},
		{"the successor started empty", 1, nil, nil, true},
		{"the successor lacks one of ours", 1, VectorClock{1, 1, 1}, nil, true},
		{"the successor lacks one of server 2", 1, VectorClock{2, 1, 0}, nil, true},
		// Its own writes do not come over this link: what it stated may be older than S.
		{"a stale word of its own writes", 1, VectorClock{2, 0, 1}, nil, false},
		{"a stale word from another peer", 2, nil, nil, false},
		{"E ahead of us: we lost state", 2, VectorClock{3, 1, 1}, VectorClock{3, 1, 1}, true},
		{"vectors for more servers", 1, make(VectorClock, 4), nil, true},
	} {
		cl := newCluster(t, 3, nil)
		ours := session(1)
		cl.write(0, ours, "a", "")
		cl.write(0, ours, "a", "")
		cl.write(1, session(2), "b", "")
		cl.write(2, session(3), "c", "")
		cl.settle()
		cl.events = nil
		cl.cut(0, int(c.peer))
		err := cl.step(0, Input{Kind: InputLinkUp, Peer: c.peer, Received: c.received, Everywhere: c.everywhere})
		if lost := errors.Is(err, ErrPeer); lost != c.lost || err != nil && !lost {
			t.Errorf("%s: %v, refused should be %v", c.name, err, c.lost)
		}
		var m Message
		if c.peer == 1 && c.lost && cl.servers[0].Pull(cl.now, &m) {
			t.Errorf("%s: sends over a link that was refused", c.name)
		}
		if c.lost && len(c.received) <= 3 && (len(cl.events) != 1 || cl.events[0].Kind != EventPeerLostState || len(cl.drops) != 1) {
			t.Errorf("%s: events %v, dropped %v", c.name, cl.events, cl.drops)
		}
	}
}

func TestRingOfOne(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := session(1)
	c.write(0, s, "k", "v")
	if len(s.Context().Own) != 0 || c.servers[0].Status().Pending != 0 {
		t.Errorf("the write is not stable at once: %+v", c.servers[0].Status())
	}
	if got := c.read(0, session(2), "k"); got != "v" {
		t.Errorf("read %q", got)
	}
	var m Message
	if c.servers[0].Pull(c.now.Add(time.Hour), &m) {
		t.Error("sends to itself")
	}
	if err := c.step(0, Input{Kind: InputLinkUp, Peer: 0}); !errors.Is(err, ErrPeer) {
		t.Errorf("a link to itself: %v", err)
	}
}
