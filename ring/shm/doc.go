// Package shm is the memory that one client process and the daemon share: two rings of
// bytes, requests to the daemon and replies from it, each with one producer and one
// consumer. It moves bytes. Frames, sockets, and who waits where and how are for others.
//
// The daemon makes a segment with Create, passes its descriptor to the client over a
// Unix socket, and needs the descriptor no more (CloseFD). The client maps what it got
// with Attach. Each has the ends that are its own, Ends.
//
//	file    header page │ requests │ replies
//	mapped  header page │ requests │ requests │ replies │ replies
//
//	header  magic, layout version, bytes of a ring     never changed
//	        flags                                      the daemon's
//	        tail, waits, head, sleeps of requests
//	        tail, waits, head, sleeps of replies
//	        64 stamps: position, time                  the client's
//
// The bytes of a ring are mapped twice, back to back, so that any stretch of them is
// contiguous wherever it begins: frames are written and read in place, and nobody has to
// know where the ring comes round. Memory is taken page by page, when touched, and since
// a ring goes round, all of it is in the end.
//
// # Indexes
//
// Tail is what was ever written, head what was ever read, both modulo 2^64. Whoever owns
// an index keeps it in memory of his own, and only publishes it; the other's he has as he
// last saw it, and looks again when that does not suffice. So a producer with room does
// not look at head at all, and a consumer that polls an idle ring makes one atomic
// load of a word that stays in its cache.
//
// Each word has 128 bytes to itself, two cache lines, since processors fetch lines in
// pairs. The flags have too: each side looks at the other's after everything it
// publishes, and next to an index, which changes each time, that would be a miss each time.
//
// # Bells
//
// Who waits, waits elsewhere, for a bell. Here is only whether one has to be rung:
//
//	producer                             consumer
//	──────────────────────────────────────────────────────────────────────
//	Commit, Write                        Peek, CopyOut: nothing new
//	MustRing: ring the consumer's bell   Sleep: wait for the bell if true
//
//	Reserve, Write: too little room      Advance, CopyOut
//	AwaitRoom: wait for the bell if true MustRing: ring the producer's bell
//
// Sleep sets a flag and then looks at tail; the producer publishes tail and then looks
// at the flag. Go's atomics are in one order that all agree on, so at least one of the two
// sees the other, and no wake-up is lost. MustRing takes the flag away, so that one sleep
// has one bell. A bell may ring for nothing all the same, when the consumer has found
// the bytes by itself. Whoever was woken, for something or for nothing, therefore calls
// Sleep or AwaitRoom anew before waiting again.
//
// # Stamps
//
// Whoever wants to know how long requests wait sets FlagStamp. Then the client notes, each
// time before it publishes, when that is and at which byte; Since looks that up. There is a
// stamp for each publishing, and not one word that says since when the ring is not empty: the
// producer would set it and the consumer take it away, and however they did that, what is
// published just while the consumer takes the rest could end up without a time. A stamp is
// used again only when its bytes were read, so it is the latest that go without. While the
// flag is not set all this is one load of a cache line that nobody writes.
//
// # A hostile other side
//
// The client can write to all of the segment at any time. It cannot truncate it, which
// would make the daemon fault: Create seals the size. (It can punch holes. They read as
// zero.) What an end loads is the other side's index, which is held against the ring's
// size and against what was last seen before it is used; flags, which may at worst cause a
// bell too many or none; and stamps, which may be any number. An index that is out of range
// or goes back is ErrCorrupt, from then on always. All else an end goes by is in its own
// memory. So the worst are bytes that make no sense, and bytes that change: whoever does not trust
// the other side decodes only what CopyOut has copied. What is appended to Reserve
// must not be read back either.
//
// # Ownership and threading
//
// A Producer is one goroutine's at a time, a Consumer too; the two ends of a segment may
// be different ones'. What Reserve and Peek return is the segment's memory: until Commit
// and until Advance, and gone with Close. Whoever uses an end in another goroutine must
// have stopped before Close; afterwards the ends fail with ErrClosed. Flags may be read
// by any goroutine before Close. No operation of the ends allocates, except to say what
// is wrong.
//
// # What it refuses
//
// Rings that are not a power of two from MinRingBytes to MaxRingBytes, or not whole
// pages. Files that are not sealed, not of this layout, or in use already. A third process:
// a ring has one producer and one consumer. It grows no ring, and it works on Linux only;
// elsewhere it builds, and Create and Attach fail with ErrUnavailable.
package shm
