package top

import (
	"slices"
	"strings"
	"testing"
	"time"

	"causalmesh/bpf"
	"causalmesh/tools/internal/probe"
)

// What there was once stays, handshakes come last, and rates are over the time that was measured.
func TestDigest(t *testing.T) {
	all, part := &bpf.Snapshot{}, &bpf.Snapshot{}
	for kind := range all.Operations {
		all.Operations[kind].Requests = uint64(kind%2 + kind/2%2) // none of every fourth kind
	}
	all.Operations[0].Requests, part.Operations[0].Requests = 3, 3
	const kind = 1
	part.Operations[kind] = bpf.Operation{
		Requests: 20, Untimed: 4, Queue: bpf.Histogram{Count: 2, Sum: 10}, Service: bpf.Histogram{Count: 2, Sum: 8}, Send: bpf.Histogram{Count: 2, Sum: 6},
	}
	all.WakeUp.Count, part.WakeUp.Count = 9, 6
	all.Losses = bpf.Losses{Outliers: 5}
	r := probe.Reading{Address: "a:1", Node: "5", PID: 7, State: probe.NodeReady, Why: "why", Rate: 12, All: all, Part: part, Seconds: 2}
	n := digest(&r)
	var want, got []string
	for k := 1; k < len(all.Operations); k++ {
		if name := bpf.KindName(k); name != "" && all.Operations[k].Requests > 0 {
			want = append(want, name)
		}
	}
	want = append(want, bpf.KindName(0))
	for _, o := range n.Operations {
		got = append(got, o.Name)
	}
	if !slices.Equal(got, want) || len(want) < 3 {
		t.Fatalf("%v, want %v", got, want)
	}
	if o := n.Operations[0]; o.Count != 20 || o.Rate != 10 || o.Queue != 5 || o.Service != 4 || o.Send != 3 {
		t.Errorf("%+v", o)
	}
	if o := n.Operations[1]; o.Count != 0 || o.Rate != 0 {
		t.Errorf("of what there is none of now: %+v", o)
	}
	if n.WakeUp.Name != wakeUp || n.WakeUp.Count != 6 || n.WakeUp.Rate != 3 {
		t.Errorf("%+v", n.WakeUp)
	}
	// Outliers that were not read are missing in no figure.
	if len(n.Notes) != 2 || n.Notes[0] != "why" || !strings.HasPrefix(n.Notes[1], "4 requests without times") {
		t.Errorf("%q", n.Notes)
	}
	all.Losses.Missed = 1
	if n = digest(&r); len(n.Notes) != 3 || !strings.Contains(n.Notes[2], "1 runs of programs were left out") {
		t.Errorf("%q", n.Notes)
	}
	r.Part, r.Why = nil, ""
	if n = digest(&r); len(n.Operations) != 0 || len(n.Notes) != 1 || !strings.Contains(n.Notes[0], "next reading") {
		t.Errorf("the first time: %+v", n)
	}
	r = probe.Reading{Silent: time.Unix(1, 0), Err: bpf.ErrOff}
	if n = digest(&r); len(n.Notes) != 1 || n.Notes[0] != bpf.ErrOff.Error() || n.Silent != r.Silent {
		t.Errorf("without figures: %+v", n)
	}
}
