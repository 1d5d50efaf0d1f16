package probe

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"causalmesh/bpf"
)

// write makes n writes at the first node, and waits until they are counted.
func (b *bench) write(n int) {
	b.t.Helper()
	s := b.dial(b.Nodes[0].Target("unix")).Session()
	want := b.latency()["write"].Total.Count + uint64(n)
	for range n {
		if err := s.Write(b.ctx, "key", []byte("value")); err != nil {
			b.t.Fatal(err)
		}
	}
	b.eventually("the writes are counted", func() bool { return b.latency()["write"].Total.Count >= want })
}

// A live reader sees probes come and go, a node that ends and one that takes its place,
// and beside one that cannot be read all others.
func TestLive(t *testing.T) {
	const write = 3 // of the kinds of operations
	first := start(t, single)
	// Nodes come back at the same address, which the rig's do not.
	var behind atomic.Pointer[string]
	behind.Store(&first.Nodes[0].Admin)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get("http://" + *behind.Load() + r.URL.Path)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		_, _ = io.Copy(w, answer.Body)
	}))
	defer front.Close()
	live := NewLive(first.root, []string{front.Listener.Addr().String(), "127.0.0.1:1"})
	read := func(onward bool) *Reading {
		t.Helper()
		all := live.Read(first.ctx, onward)
		if len(all) != 2 || all[1].State != "" || all[1].Silent.IsZero() || !strings.Contains(all[1].Err.Error(), "does not answer") {
			t.Fatalf("%+v", all)
		}
		return &all[0]
	}

	if r := read(false); r.State != NodeReady || r.PID != first.Nodes[0].PID() || r.Node != "0" || r.Ring != 1 || r.Rate >= 0 ||
		!errors.Is(r.Err, bpf.ErrOff) || !strings.Contains(r.Err.Error(), "meshctl probe on --admin "+r.Address+" --pins "+first.root) {
		t.Errorf("without probes: %+v", r)
	}
	first.probe()
	if r := read(false); r.Err != nil || r.All == nil || r.Part != nil || r.Rate < 0 {
		t.Errorf("the first time: %+v", r)
	}
	requests := func(r *Reading, want uint64) {
		t.Helper()
		if r.Err != nil || r.Part == nil || r.Seconds <= 0 {
			t.Fatalf("%+v", r)
		}
		if o := &r.Part.Operations[write]; o.Requests != want || o.Total.Count != want {
			t.Errorf("%d writes, %d timed, want %d", o.Requests, o.Total.Count, want)
		}
	}
	first.write(7)
	requests(read(false), 7)
	first.write(5)
	requests(read(false), 5)
	first.write(3)
	requests(read(true), 8)
	first.write(2)
	r := read(true)
	requests(r, 10)
	if r.All.Operations[write].Requests != 17 || !r.Restarted.IsZero() {
		t.Errorf("%d writes in all, restarted %v", r.All.Operations[write].Requests, r.Restarted)
	}
	// Probes that are taken off and on again count from 0.
	off := func() {
		t.Helper()
		if _, err := Off(first.ctx, first.root, first.Nodes[0].Admin); err != nil {
			t.Fatal(err)
		}
	}
	off()
	first.probe()
	first.write(1)
	if r := read(true); r.Err != nil || r.Part != nil {
		t.Errorf("on again: %+v", r)
	}
	off()
	if r := read(true); !errors.Is(r.Err, bpf.ErrOff) || r.Part != nil {
		t.Errorf("off: %+v", r)
	}
	first.probe()
	if r := read(true); r.Err != nil || r.Part != nil {
		t.Errorf("and on: %+v", r)
	}

	first.Kill()
	if r := read(true); r.State != "" || r.Silent.IsZero() || r.Node != "0" || r.Err == nil {
		t.Errorf("ended: %+v", r)
	}
	second := start(t, single)
	behind.Store(&second.Nodes[0].Admin)
	if r := read(true); r.State != NodeReady || !r.Silent.IsZero() || r.Restarted.IsZero() || r.PID != second.Nodes[0].PID() || !errors.Is(r.Err, bpf.ErrStale) {
		t.Errorf("restarted: %+v", r)
	}
	second.probe()
	read(true)
	second.write(4)
	requests(read(true), 4)
}
