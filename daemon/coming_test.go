package daemon

import (
	"math"
	"os"
	"testing"
	"time"

	"causalmesh/bpf/watch"
	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring"
	"causalmesh/ring/shm"
)

// A coming says when and how long, whatever the numbers.
func TestComingIsExactEnough(t *testing.T) {
	for _, now := range []uint64{1, 1 << 20, 1<<48 - 1, 1 << 48, math.MaxUint64 - uint64(time.Hour)} {
		for _, wait := range []uint64{0, 1, 2, 1023, 1024, 1025, 123_456, 999_999_999, longestWait} {
			for _, took := range []uint64{1, 2, 1000, uint64(time.Hour), 1<<48 - 3} {
				c := newComing(now, wait)
				if d := math.Abs(float64(c.wait()) - float64(wait)); c == 0 || d > float64(wait)/1000 || (c.wait() == 0) != (wait == 0) {
					t.Errorf("%d ns at %d: %d", wait, now, c.wait())
				}
				if got := c.took(now + took); got != took && got != took-1 && got != 1 || got < took-1 || got == 0 {
					t.Errorf("%d ns after %d: %d", took, now, got)
				}
			}
			if got := newComing(now, wait).took(now); got != 1 {
				t.Errorf("at once: %d ns", got)
			}
		}
	}
}

// What clients say is believed if it can be.
func TestWaitOf(t *testing.T) {
	const now = uint64(time.Hour)
	for _, c := range []struct{ since, emptied, want uint64 }{
		{now - 100, 0, 100},
		{now - 100, now - 50, 50}, // It was not there then.
		{now - 100, now - 100, 100},
		{now - 100, now - 200, 100},
		{now, 0, 1},
		{now, now, 1},
		{now + clocksDiffer, 0, 1},
		{now + clocksDiffer + 1, 0, 0},
		{math.MaxUint64, 0, 0},
		{1 << 63, 0, 0},
		{0, 0, 0},
		{0, now - 50, 0},
		{now - longestWait, 0, longestWait},
		{now - longestWait - 1, now - 50, 0},
		{1, now - 50, 0},
	} {
		if got := waitOf(c.since, c.emptied, now); got != c.want {
			t.Errorf("since %d, empty at %d: %d, want %d", c.since, c.emptied, got, c.want)
		}
	}
}

// timed are what a quiet loop was told.
type timed struct {
	sharingLoop
	all []ring.Timing
}

func (l *timed) Timed(t ring.Timing) { l.all = append(l.all[:min(len(l.all), 100)], t) }

// watchedNode is a sharedNode whose requests are timed once its page is on.
func watchedNode(t *testing.T) (n *node, client *shm.Segment, loop *timed, setOn func(bool)) {
	t.Helper()
	loop = &timed{}
	n = sharedNodeOn(t, loop, &loop.sharingLoop)
	end := n.letWatch()
	t.Cleanup(end)
	return n, loop.client, loop, func(on bool) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- watch.Set(t.Context(), os.Getpid(), uint64(n.boot), on) }()
		for {
			n.front.look() // as in each turn, and tick
			select {
			case err := <-done:
				if n.front.look(); err != nil {
					t.Fatal(err)
				}
				return
			default:
			}
		}
	}
}

// Each request is told of once, with its key and its parts, while the page is on.
func TestSharedRequestsAreTimed(t *testing.T) {
	n, client, loop, set := watchedNode(t)
	in, out := client.Ends()
	ask := func() {
		r := causal.Request{ID: causal.RequestID{Session: 1, Number: 1}, Op: causal.OpSync}
		w := causal.Request{ID: causal.RequestID{Session: 2, Number: 1}, Op: causal.OpWrite, Keys: [][]byte{[]byte("k")}}
		if _, err := out.Write(wire.AppendRequest(wire.AppendRequest(wire.AppendRequest(nil, &r), &w), &r)); err != nil {
			t.Fatal(err)
		}
		loop.all = nil
		n.Poll()
		n.EndOfTurn(time.Now())
		if b, err := in.CopyOut(make([]byte, 0, 4096)); err != nil || len(b) == 0 {
			t.Fatal(len(b), err)
		}
	}
	ask()
	if len(loop.all) != 0 || client.Flags() != 0 {
		t.Errorf("%+v, flags %d", loop.all, client.Flags())
	}
	set(true)
	if client.Flags() != shm.FlagStamp {
		t.Errorf("flags %d", client.Flags())
	}
	before := shm.Now()
	ask()
	most := shm.Now() - before
	count := map[uint32]uint32{}
	for _, x := range loop.all {
		if count[x.Kind] += x.Count; x.Connection != sharedConn || x.Queue == 0 || x.Service == 0 || x.Queue+x.Service > most+most/1000 {
			t.Errorf("%+v, of %d ns", x, most)
		}
	}
	if len(count) != 2 || count[uint32(causal.OpSync)] != 2 || count[uint32(causal.OpWrite)] != 1 {
		t.Errorf("%+v", loop.all)
	}
	set(false)
	ask()
	if len(loop.all) != 0 || client.Flags() != 0 {
		t.Errorf("%+v, flags %d", loop.all, client.Flags())
	}
}

// A request that was taken before anybody watched is told of without times.
func TestTakenBeforeWatched(t *testing.T) {
	n, _, loop, set := watchedNode(t)
	c := n.front.clients[sharedConn]
	set(true)
	n.front.look()
	out := n.front.out(sharedConn)
	out.Bytes = append(out.Bytes, 1)
	out.Late(kindOf(causal.OpWrite), ring.Origin{Key: 9})
	out.At(uint64(newComing(shm.Now(), 100)))
	out.Answers[kindOf(causal.OpRead)]++
	if err := c.publish(); err != nil {
		t.Fatal(err)
	}
	if len(loop.all) != 2 || loop.all[0].Queue != 100 || loop.all[0].Service == 0 ||
		loop.all[1] != (ring.Timing{Connection: sharedConn, Kind: uint32(causal.OpWrite), Count: 1, Key: 9}) {
		t.Errorf("%+v", loop.all)
	}
}
