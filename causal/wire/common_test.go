package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"causalmesh/causal"
)

// checkCommon holds the way of the common form against the general one.
func checkCommon(t *testing.T, body []byte) (common bool) {
	t.Helper()
	var got, want causal.Request
	if common = decodeCommon(body, &got); !common {
		return false
	}
	if err := decodeRequest(body, &want); err != nil {
		t.Fatalf("%x is taken, but %v", body, err)
	}
	if d := difference(&got, &want); d != "" {
		t.Fatalf("%x: %s", body, d)
	}
	return true
}

// TestCommon: the common forms are read and written as the general way does it, are what
// reads consist of, and nothing else is taken for them.
func TestCommon(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 4))}
	requests, replies := 0, 0
	for range 20_000 {
		q := r.request()
		if r.IntN(2) == 0 {
			q.Op, q.Known, q.Keys = causal.OpRead, []causal.SignedVector{{Vector: r.vector(), Tag: r.tag()}}, [][]byte{r.bytes()}
		}
		body := AppendRequest(nil, &q)[FrameHeaderBytes:]
		want := q.Op == causal.OpRead && len(q.Known) == 1 && len(q.Keys) == 1 && len(q.Keys[0]) < 256 && len(q.Known[0].Vector) < 16
		if got := checkCommon(t, body); got != want {
			t.Fatalf("%+v: common is %v", q, got)
		} else if got {
			requests++
		}
		if len(body) < 200 { // all that is cut short, and one that is damaged
			for n := range body {
				checkCommon(t, body[:n])
			}
			body[r.IntN(len(body))] = byte(r.Uint32())
			checkCommon(t, body)
		}

		p := r.reply()
		if r.IntN(2) == 0 {
			v := r.version(formRead, p.Epoch)
			v.Dot.Incarnation, v.Stamp.Origin, v.Epoch, v.Deadline, v.Tombstone = 0, v.Dot.Origin, p.Epoch, 0, false
			p = causal.Reply{ID: p.ID, Op: causal.OpRead, Epoch: p.Epoch, Stability: p.Stability, Time: p.Time, Versions: []causal.Version{v}}
		}
		known := []causal.SignedVector{p.Stability}
		if isCommon(&p, known) {
			replies++
		}
		if got, want := AppendReply([]byte("x"), &p, known), appendReply([]byte("x"), &p, known); !bytes.Equal(got, want) {
			t.Fatalf("%+v:\n%x, want\n%x", p, got, want)
		}
	}
	if requests < 5000 || replies < 5000 {
		t.Errorf("%d requests and %d replies were of the common form", requests, replies)
	}
}
