package ring

import (
	"reflect"
	"testing"
)

// Each answer is counted once, where its request came.
func TestOutgoingCountsByPosition(t *testing.T) {
	var o Outgoing
	o.Late(1, Origin{Position: 10}) // the first says where Answers are
	o.Answers[1]++
	o.At(10)
	o.Key = 88
	o.Late(2, Origin{5, 77})
	o.Late(2, Origin{Position: 5})
	o.Late(1, Origin{Position: 5})
	o.At(20)
	o.Answers[3] += 4
	o.Late(3, Origin{20, 99})
	o.Late(3, Origin{Position: 10})
	want := Outgoing{
		Answers: [Kinds]uint32{3: 5}, Position: 20, Key: 99,
		Older: []Older{{5, 2, 2, 77}, {5, 1, 1, 0}, {10, 1, 2, 88}, {10, 3, 1, 0}},
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("got  %+v\nwant %+v", o, want)
	}
	if r := o.Reused(make([]byte, 7)); len(r.Bytes)+len(r.Older) != 0 || r.Answers != [Kinds]uint32{} || r.Position != 0 || cap(r.Older) == 0 {
		t.Errorf("to be used again: %+v", r)
	}
}

// What has no position is counted all the same.
func TestOutgoingWithoutPositions(t *testing.T) {
	var o Outgoing
	o.Answers[6]++
	o.Late(6, Origin{Position: 0})
	o.At(0)
	if o.Answers[6] != 2 || len(o.Older) != 0 {
		t.Errorf("%+v", o)
	}
}

// What has no position does not get that of what comes after it.
func TestOutgoingSomeWithoutPositions(t *testing.T) {
	var o Outgoing
	o.Late(1, Origin{Key: 3})
	o.At(10)
	o.Answers[1]++
	p := Outgoing{Answers: [Kinds]uint32{2: 1}}
	p.Late(2, Origin{Position: 10})
	p.Late(2, Origin{})
	for _, c := range []struct{ got, want Outgoing }{
		{o, Outgoing{Answers: [Kinds]uint32{1: 1}, Position: 10, Older: []Older{{0, 1, 1, 3}}}},
		{p, Outgoing{Answers: [Kinds]uint32{2: 1}, Position: 10, Older: []Older{{0, 2, 2, 0}}}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got  %+v\nwant %+v", c.got, c.want)
		}
	}
}

// The list is bounded, and what it has no room for is still counted.
func TestOutgoingOlderIsBounded(t *testing.T) {
	const requests = 3 * maxOlder
	var o Outgoing
	o.At(1)
	for i := range requests {
		o.Late(1+i%2, Origin{Position: uint64(i + 2)})
	}
	if len(o.Older) > maxOlder+Kinds {
		t.Errorf("%d entries", len(o.Older))
	}
	total := 0
	for i, p := range o.Older {
		if total += int(p.Count); i >= maxOlder && p.Position != 0 {
			t.Errorf("entry %d has position %d", i, p.Position)
		}
	}
	if total != requests {
		t.Errorf("%d requests, want %d", total, requests)
	}
	if r := o.Reused(nil); r.Older != nil {
		t.Error("a long list keeps its memory")
	}
}
