package bpf

import (
	"context"
	"errors"
	"testing"
	"time"

	"causalmesh/ring/looptest"
)

// Requests that took long are told one by one, with their times, and nothing else is.
func TestOutliers(t *testing.T) {
	const pause = 30 * time.Millisecond // that is measured
	d := newDesk(t, "unix")
	p := probeAsUsual(t)
	root, node := rootOf(t)
	o, err := OpenOutliers(root, node)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	nc := looptest.Dial(t, "unix", d.address)
	before := monotonic()
	say(t, nc, "ahh", "a")
	<-time.After(pause)
	released := monotonic()
	say(t, nc, "ar", "arhh")
	d.settle(t)
	after := monotonic()
	ended, end := context.WithCancel(t.Context())
	end()
	var slow Outlier
	for slow.Kind != kindOf[hold] { // On a busy machine others may have taken long, too.
		if slow, err = o.Next(ended); err != nil {
			t.Fatal(err)
		}
	}
	c := d.First(t)
	if slow.Kind != kindOf[hold] || slow.Count != 2 || slow.Key != holdKey || slow.Connection != uint64(c) ||
		slow.Service < pause || slow.Queue == 0 || slow.Send == 0 || slow.Queue+slow.Service+slow.Send > after-before ||
		slow.At < released || slow.At > after {
		t.Errorf("%+v", slow)
	}
	held := p.snapshot(t, d).check(t, hold, 2)
	if held.Service.Sum != 2*uint64(slow.Service) || held.Queue.Sum != 2*uint64(slow.Queue) || held.Send.Sum != 2*uint64(slow.Send) ||
		held.Total.Sum != 2*uint64(slow.Queue+slow.Service+slow.Send) {
		t.Errorf("%+v, and the histograms' sums are %d, %d, %d, %d", slow, held.Queue.Sum, held.Service.Sum, held.Send.Sum, held.Total.Sum)
	}
	for _, c := range []struct {
		least time.Duration
		want  int
	}{{0, 0}, {1, 3}} { // a, r, h
		told := func() (n int) {
			for {
				if _, err := o.Next(ended); err != nil {
					return n
				}
				n++
			}
		}
		setOutlierOf(t, c.least)
		told()
		say(t, nc, "har", "arh")
		d.settle(t)
		if n := told(); n != c.want {
			t.Errorf("from %v on: %d outliers, want %d", c.least, n, c.want)
		}
	}
}

// Outliers that are not read are dropped, and counted.
func TestOutliersAreBounded(t *testing.T) {
	d := newDesk(t, "unix")
	p := probe(t)
	root, node := rootOf(t)
	setOutlierOf(t, 1)
	nc := looptest.Dial(t, "unix", d.address)
	const rounds = 2000
	for range rounds {
		say(t, nc, "a", "a")
	}
	d.settle(t)
	s, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	o, err := OpenOutliers(root, node)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ended, end := context.WithCancel(t.Context())
	end()
	kept := uint64(0)
	for ; err == nil; kept++ {
		_, err = o.Next(ended)
	}
	if kept--; kept+s.Losses.Outliers != rounds || s.Losses.Outliers == 0 {
		t.Errorf("%d are kept and %d dropped of %d", kept, s.Losses.Outliers, rounds)
	}
}

// Reading ends although outliers come faster than they are read, once as many were read as
// there is room for.
func TestOutliersEndWithTheirContext(t *testing.T) {
	d := newDesk(t, "unix")
	probe(t)
	root, node := rootOf(t)
	setOutlierOf(t, 1)
	o, err := OpenOutliers(root, node)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	nc := looptest.Dial(t, "unix", d.address)
	ended, end := context.WithCancel(t.Context())
	end()
	room := o.left
	for n := range 2 * room {
		say(t, nc, "aa", "aa")
		d.settle(t)
		if _, err := o.Next(ended); err != nil {
			if n != room || !errors.Is(err, context.Canceled) {
				t.Errorf("it ends after %d with %v, want %d", n, err, room)
			}
			return
		}
	}
	t.Error("it goes on")
}
