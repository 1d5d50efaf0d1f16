//go:build linux

package uring

import (
	"fmt"
	"unsafe"

	"causalmesh/ring"
)

// recordMagic opens every record ("CMRC").
const recordMagic uint32 = 0x434d5243

// opKind says what an operation does. The values are part of the layout that
// programs in the kernel read.
type opKind uint32

const (
	opAccept  opKind = iota + 1 // multishot; Bytes is the listener's id
	opReceive                   // multishot; Bytes is what the connection has received so far
	opSend                      // of what a turn had to say; Bytes is how much that is
	opRest                      // of what a send has left over; Bytes is how much that is
	opWake                      // multishot poll of the loop's eventfd
	opCancel                    // Bytes is the kind of what is cancelled
	opTimings                   // does nothing but to show Older
)

// record is what the user_data of every operation points to, for programs in the
// kernel (eBPF) that want to know what an operation is about. It is 128 bytes, at a
// multiple of 64, and an ABI to C (bpf/record.h):
//
//	struct cm_record {
//		__u32 magic;
//		__u32 kind;
//		__u64 connection;  // ConnID; 0 for what is the loop's own
//		__u64 sequence;    // of the operation among those of its kind on the connection
//		__u64 bytes;       // by kind
//		__u32 answers[8];  // sends: requests by kind that the bytes answer, but for older
//		__u64 position;    // sends: of the connection's incoming bytes, where answers end; 0: unknown
//		__u64 older;       // sends: address of older_count of struct cm_older; timings: of struct cm_timing
//		__u64 older_count;
//		__u64 key;         // sends: hash of a key of those that answers counts; 0: unknown
//		__u64 reserved[4];
//	};
//
//	struct cm_older {          // further requests that the bytes answer
//		__u64 position;
//		__u32 kind;
//		__u32 count;
//		__u64 key;         // of the first of them
//	};
//
//	struct cm_timing {         // requests that came in memory, as the daemon has timed them
//		__u64 connection;
//		__u64 queue;       // ns; 0: unknown
//		__u64 service;     // ns; 0: unknown, as is queue
//		__u64 key;         // of one of them; 0: unknown
//		__u32 kind;
//		__u32 count;
//	};
//
// A connection's send follows its receive in memory. Which receive has brought a
// request is found by position: the first whose bytes reach it.
//
// It is filled in before the operation is submitted and is not used for another one
// before that has completed; Bytes of a receive moves on while it is under way.
//
// A send completes within its submission, and posts a completion only if the kernel
// did not take all of it. So io_uring_submit_req is where to see sends. What
// is left over goes with a rest, which carries the same answers and does complete.
type record struct {
	Magic      uint32
	Kind       opKind
	Connection uint64
	Sequence   uint64
	Bytes      uint64
	Answers    [ring.Kinds]uint32
	Position   uint64
	Older      uint64
	OlderCount uint64
	Key        uint64
	_          [4]uint64
}

const recordSize = 128

// setOrigins notes when the answered requests came. The list stays where it is for as long
// as its bytes are under way.
func (rec *record) setOrigins(o *ring.Outgoing) {
	rec.Position, rec.Key, rec.OlderCount = o.Position, o.Key, uint64(len(o.Older))
	rec.Older = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(o.Older))))
}

// A record's place says what completes: first those of the loop, then three for each
// connection's slot.
const (
	wakeRecord    = 0
	endRecord     = 1 // cancels wake and accepts
	timingRecord  = 2
	acceptRecords = 3
	slotRecords   = 64
	maxListeners  = slotRecords - acceptRecords

	// slotBits bounds the connections of a loop: their records are 96 MiB of
	// address space, of which only those in use cost memory.
	slotBits = 18
	maxSlots = 1 << slotBits
)

// place is that of a record in its slot.
type place int

const (
	receivePlace place = iota
	sendPlace
	cancelPlace // cancels the other two
	places
)

// records is the memory of all records of a loop.
type records struct {
	memory []byte
}

func newRecords() (*records, error) {
	memory, err := mapMemory((slotRecords + int(places)*maxSlots) * recordSize)
	if err != nil {
		return nil, err
	}
	return &records{memory}, nil
}

func (r *records) at(index int) *record {
	return (*record)(unsafe.Pointer(&r.memory[index*recordSize]))
}

// address is what user_data is for a record.
func (r *records) address(index int) uint64 {
	return uint64(uintptr(unsafe.Pointer(r.at(index))))
}

// find is the index of the record that a completion names. It does not look at the
// memory that is pointed to.
func (r *records) find(userData uint64) int {
	offset := userData - uint64(uintptr(unsafe.Pointer(&r.memory[0])))
	if offset >= uint64(len(r.memory)) || offset%recordSize != 0 {
		panic(fmt.Sprintf("uring: completion of an unknown operation %#x", userData))
	}
	return int(offset / recordSize)
}

func receiveRecord(slot int) int { return slotRecord(slot, receivePlace) }
func sendRecord(slot int) int    { return slotRecord(slot, sendPlace) }
func cancelRecord(slot int) int  { return slotRecord(slot, cancelPlace) }

func slotRecord(slot int, p place) int { return slotRecords + slot*int(places) + int(p) }

// slotOf is for indices from slotRecords on.
func slotOf(index int) (slot int, p place) {
	index -= slotRecords
	return index / int(places), place(index % int(places))
}

// begin fills in what operations have alike and returns the user_data.
func (rec *record) begin(kind opKind, c ring.ConnID) uint64 {
	rec.Magic, rec.Kind, rec.Connection = recordMagic, kind, uint64(c)
	rec.Sequence++
	return uint64(uintptr(unsafe.Pointer(rec)))
}
