//go:build linux

package uring

import (
	"testing"
	"unsafe"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// The layout is an ABI: programs in the kernel are compiled against it.
func TestRecordLayout(t *testing.T) {
	var r record
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"size", unsafe.Sizeof(r), 128},
		{"recordSize", recordSize, 128},
		{"magic", unsafe.Offsetof(r.Magic), 0},
		{"kind", unsafe.Offsetof(r.Kind), 4},
		{"connection", unsafe.Offsetof(r.Connection), 8},
		{"sequence", unsafe.Offsetof(r.Sequence), 16},
		{"bytes", unsafe.Offsetof(r.Bytes), 24},
		{"answers", unsafe.Offsetof(r.Answers), 32},
		{"size of answers", unsafe.Sizeof(r.Answers), 32},
		{"position", unsafe.Offsetof(r.Position), 64},
		{"older", unsafe.Offsetof(r.Older), 72},
		{"older_count", unsafe.Offsetof(r.OlderCount), 80},
		{"key", unsafe.Offsetof(r.Key), 88},
		{"size of older", unsafe.Sizeof(ring.Older{}), 24},
		{"position of older", unsafe.Offsetof(ring.Older{}.Position), 0},
		{"kind of older", unsafe.Offsetof(ring.Older{}.Kind), 8},
		{"count of older", unsafe.Offsetof(ring.Older{}.Count), 12},
		{"key of older", unsafe.Offsetof(ring.Older{}.Key), 16},
		{"send after receive", uintptr(sendPlace) - uintptr(receivePlace), 1},
		{"opAccept", uintptr(opAccept), 1},
		{"opReceive", uintptr(opReceive), 2},
		{"opSend", uintptr(opSend), 3},
		{"opRest", uintptr(opRest), 4},
		{"opWake", uintptr(opWake), 5},
		{"opCancel", uintptr(opCancel), 6},
		{"opTimings", uintptr(opTimings), 7},
		{"size of a timing", unsafe.Sizeof(ring.Timing{}), 40},
		{"connection of a timing", unsafe.Offsetof(ring.Timing{}.Connection), 0},
		{"queue of a timing", unsafe.Offsetof(ring.Timing{}.Queue), 8},
		{"service of a timing", unsafe.Offsetof(ring.Timing{}.Service), 16},
		{"key of a timing", unsafe.Offsetof(ring.Timing{}.Key), 24},
		{"kind of a timing", unsafe.Offsetof(ring.Timing{}.Kind), 32},
		{"count of a timing", unsafe.Offsetof(ring.Timing{}.Count), 36},
		{"magic number", uintptr(recordMagic), 0x434d5243},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}

// Every place has one record and no other's, and what is none of ours is found out.
func TestRecordsAreFound(t *testing.T) {
	r, err := newRecords()
	if err != nil {
		t.Fatal(err)
	}
	defer unmapMemory(r.memory)
	for _, index := range []int{
		wakeRecord, endRecord, timingRecord, acceptRecords, acceptRecords + maxListeners - 1,
		receiveRecord(0), sendRecord(0), cancelRecord(0), receiveRecord(maxSlots - 1), cancelRecord(maxSlots - 1),
	} {
		if got := r.find(r.address(index)); got != index {
			t.Errorf("record %d found as %d", index, got)
		}
		if r.address(index)%recordSize != 0 {
			t.Errorf("record %d is at %#x", index, r.address(index))
		}
	}
	for slot := range 3 {
		for p := range places {
			if gotSlot, got := slotOf(slotRecord(slot, p)); gotSlot != slot || got != p {
				t.Errorf("place %d of slot %d found as %d of %d", p, slot, got, gotSlot)
			}
		}
	}
	first := r.address(0)
	for _, address := range []uint64{0, first - recordSize, first + 1, first + uint64(len(r.memory)), 1<<64 - 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%#x, from %#x on, is taken for a record", address, first)
				}
			}()
			r.find(address)
		}()
	}
}

// The records say what the operations are about.
func TestRecordsAreFilledIn(t *testing.T) {
	clock := looptest.NewClock() // It stands still, so that no receive is armed anew.
	l := newLoop(t, ring.Options{Now: clock.Now})
	s := &looptest.Handler{Loop: l}
	taken := uint64(0)
	s.OnReceived = func(c ring.ConnID, data []byte) (int, error) {
		used, err := s.Echo(c, data)
		taken += uint64(used)
		out := l.Out(c)
		out.At(taken)
		out.Answers[3] += 2
		out.Late(1, ring.Origin{Position: 2})
		out.Key = 5
		return used, err
	}
	nc := looptest.Dial(t, "unix", looptest.Serve(t, "unix", s))
	looptest.RoundTrip(t, nc, "one")
	looptest.RoundTrip(t, nc, "three")
	c := s.First(t)
	s.Do(t, func() {
		slot := l.find(c).slot
		for _, want := range []struct {
			index int
			record
		}{
			{wakeRecord, record{Kind: opWake, Sequence: 1}},
			{acceptRecords, record{Kind: opAccept, Sequence: 1, Bytes: 1}},
			{receiveRecord(slot), record{Kind: opReceive, Connection: uint64(c), Sequence: 1, Bytes: 4 + 3 + 4 + 5}},
			{sendRecord(slot), record{
				Kind: opSend, Connection: uint64(c), Sequence: 2, Bytes: 4 + 5,
				Answers: [ring.Kinds]uint32{3: 2}, Position: 4 + 3 + 4 + 5, OlderCount: 1, Key: 5,
			}},
		} {
			got := *l.records.at(want.index)
			if got.OlderCount > 0 { // The list is the connection's no more, but for its address.
				got.Older = 0
			}
			want.Magic = recordMagic
			if got != want.record {
				t.Errorf("record %d: %+v, want %+v", want.index, got, want.record)
			}
		}
	})
}
