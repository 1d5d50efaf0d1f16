package daemon

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"causalmesh/causal"
	"causalmesh/ring"
)

// What one loop sends, the other takes: whole, in order, once.
func TestLettersArriveInOrder(t *testing.T) {
	const count = 20_000
	var l letters
	woken := make(chan struct{}, 1)
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := range count {
			l.out.bytes = append(l.out.bytes, bytes.Repeat([]byte{byte(i)}, i%300)...)
			l.add(ring.ConnID(i), i%5, causal.Code(i%3), ring.Origin{Position: uint64(i), Key: 7})
			if i%7 != 0 && i != count-1 {
				continue
			}
			if !l.send() {
				t.Error("nothing was sent")
			}
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	})
	next := 0
	for next < count {
		<-woken
		b := l.take()
		from := 0
		for _, x := range b.letters {
			body := b.bytes[from:x.end]
			from = x.end
			if int(x.conn) != next || int(x.kind) != next%5 || int(x.code) != next%3 || x.from != (ring.Origin{Position: uint64(next), Key: 7}) ||
				!bytes.Equal(body, bytes.Repeat([]byte{byte(next)}, next%300)) {
				t.Fatalf("letter %d is for connection %d, of kind %d and %d bytes", next, x.conn, x.kind, len(body))
			}
			next++
		}
		if from != len(b.bytes) {
			t.Fatalf("%d bytes belong to no letter", len(b.bytes)-from)
		}
	}
	sender.Wait()
	if l.send() || len(l.take().letters) > 0 || l.waiting.Load() != 0 {
		t.Errorf("something is left, %d bytes wait", l.waiting.Load())
	}
}

// What nobody takes is bounded, and the memory of a burst is given back.
func TestLettersAreBounded(t *testing.T) {
	var l letters
	put := func() {
		l.out.bytes = append(l.out.bytes, make([]byte, 64<<10)...)
		l.add(1, 1, causal.CodeOK, ring.Origin{})
	}
	n := 0
	for ; !l.full(); n++ {
		if n > 2*maxLetters>>16 {
			t.Fatal("never full")
		}
		put()
		if n%3 == 0 {
			l.send()
		}
	}
	l.send()
	if got := len(l.take().letters); got != n || l.full() {
		t.Fatalf("took %d of %d, full: %v", got, n, l.full())
	}
	l.take()
	l.take()
	for name, b := range map[string]*batch{"out": &l.out, "post": &l.post, "in": &l.in} {
		if cap(b.bytes) > keepLetters {
			t.Errorf("%s holds on to %d bytes", name, cap(b.bytes))
		}
	}
	steady := func() {
		l.out.bytes = fmt.Append(l.out.bytes, "x")
		l.add(1, 1, causal.CodeOK, ring.Origin{})
		l.send()
		l.take()
	}
	for range 10 {
		steady()
	}
	if allocs := leastAllocs(0, 100, steady); allocs > 0 {
		t.Errorf("%v allocations for a letter", allocs)
	}
}
