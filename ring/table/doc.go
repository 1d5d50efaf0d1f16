// Package table keeps the visible state of a cache server, its C-cache and stability
// vector, off the Go heap, in one region of memory that others may read at any time.
//
// Table implements causal.Table for its one writer, Reader implements causal.View for
// anybody beside it: other goroutines, and other processes, which map the region to
// read only (Share, Attach). All that a reader needs is in the region, and there are no
// pointers in it:
//
//	header     magic, layout version, epoch, hash key, where things are;
//	           the shape's sequence, the directory's depth, "shut";
//	           S with its tag, under a sequence of its own; the heartbeat
//	directory  2^depth words: which segment has the hashes with these low bits
//	segments   4 KiB: 64 buckets of a sequence and 7 slots (tag, place, used)
//	blocks     one entry each: counter, time, a word of small things, key, value
//
// An entry with a key of 12 bytes and a value of 8 takes 48 bytes, and 9.5 to 19 in the
// index.
//
// # How a reader reads
//
// It looks at the shape's sequence, the directory, the bucket's sequence, its seven
// slots, and at the entries with the right tag. It copies the entry to memory of its
// own and then looks at both sequences again. If one was odd or has changed, what it
// has is worthless and it starts anew, a bounded number of times.
//
// Why that is enough: all words that are shared are read and written by 64-bit atomics,
// the bytes of keys and values too, and Go's atomics behave as if all were done one
// after the other. The writer
//
//   - writes an entry only to a block that no slot names;
//   - makes a bucket's sequence odd, changes a slot, and makes it even and higher;
//   - uses a block again only after the slot that named it has changed, so after its
//     bucket's sequence has;
//   - holds the shape's sequence odd while entries move between segments, or while
//     the directory gets another size.
//
// So if a reader finds the bucket's sequence s, a slot and at last s again, the slot
// named the block all the time, and nobody wrote to the block. If the shape's sequence
// is the same before it looked at the directory and at last, the bucket was the right
// one all the time. Sequences have 64 bits and never repeat. A store costs the
// same as an exchange then (some 3 ns on amd64: 0.4 ms for a value of 1 MiB); plain
// copies would be sooner done, but the language promises nothing of them.
//
// A reader believes nothing that it loads. Offsets and lengths are held against the
// region and the limits before they are used, where things are is checked once, by
// Attach, and kept. Memory that is given back to the system reads as zero. So bytes in
// motion, or hostile ones, give "not found" (or nonsense, if whoever owns the table
// wants that), never a fault, nor an endless loop.
//
// A reader finds less than the writer now and then: if it cannot get a stable look, or
// for strays (below). Then the daemon is asked.
//
// # Other processes
//
// The region is a file in memory (memfd) without a name. Its size is sealed, so nobody
// can cut it short under those who read. Others get a descriptor of their own that was
// opened to read only (Share), over a Unix socket or by inheritance. Through it the
// kernel refuses to map the memory writable, to write, to truncate and to punch holes.
// To open the file anew for writing, by /proc/self/fd, takes its owner: its mode is
// 0400. So the boundary is the user: a process of the daemon's own user can write to the
// table, but it could as well debug the daemon; and root can do anything.
// F_SEAL_FUTURE_WRITE would bind these too, but with it the kernel refuses to punch
// holes, and free memory could not go back to the system.
//
// Readers write nothing: only those of the writer's process mark what they have read, for
// the eviction hand. So a reader that is stopped or killed at any point is nothing to
// the writer, and there is no list of readers. What only other processes read looks
// unused, and is evicted as such.
//
// A writer that was killed leaves a table that reads well and never changes, or one whose
// readers give up. It shows by its heartbeat (Beat), which a live writer raises. Readers
// do not look at it: to ask for the time costs more than a read does. Whoever attaches
// watches it beside, and ends the mapping when it stands still, or when Shut is true. A
// writer that closes its table gives the memory back at once; if it was killed, that
// happens when the last mapping and descriptor are gone.
//
// To read where a file has no memory takes some, other than with private memory. So
// readers stay within entries, and make sure for each page of a long one that it is still
// there. One that comes too late may take a page that nobody counts, of what the table
// has held before; it is given back when it has been used again. Whoever reads all of a
// mapping on purpose takes memory for all of its addresses, on his control group's account,
// until the table is closed. Share with whom that can be trusted to, or limited by.
//
// # The index
//
// Extendible hashing by a keyed SipHash, so that nobody can choose keys that collide.
// Within a segment an entry has two buckets; the second follows from the first and the
// tag, so that an entry can be moved to its other bucket without a look at its key.
// Segments split when they are some 94% full. The bits that choose the segment are not those
// that choose the buckets: in a split each entry keeps its bucket, so a split cannot
// fail, and only its own entries are touched. When entries leave, segments merge, and
// the directory gets smaller.
//
// The directory and the segments have addresses of their own, which are used for nothing
// else: the directory doubles in place, and readers of the writer's process may mark a
// slot as used whatever has become of its segment.
//
// Should more entries fall on two buckets than these hold, and splitting not help, the
// rest are kept in a Go map that only the writer knows (strays).
//
// # Blocks
//
// Blocks up to 32 KiB come from 64 KiB pages of one size class each. Larger ones have
// cells in a range for each power of two; memory is taken for what is used of a cell
// only. Addresses cost next to nothing, so each size has enough of them for all of
// Options.Bytes: they cannot be fragmented, and it takes no buddy allocator with its
// bound on that. In return a table reserves some twenty times its bytes of address
// space. What is left is memory in pages that are not full. Where free blocks of a
// class exceed an eighth of the live ones and a page, the entries of its emptiest page
// move to others, in Reuse, when nobody holds on to their addresses; in proportion to
// what was freed. So
//
//	Held ≤ 9/8 Bytes + a page of 64 KiB for each of 88 classes + 5 MiB
//
// after Reuse. What the writer knows of pages and segments is on the Go heap: some 20
// bytes for each.
//
// # Ownership and threading
//
// The methods of a Table are its writer's alone, one goroutine; NewReader and Share are
// too. A Reader is one goroutine's. What Get and Sweep show is the table's own memory,
// valid until Reuse, and gone with Close. Shut makes all readers give up. Close unmaps
// the region: readers of the same process must have ended before.
//
// A Mapping may be used by any number of goroutines until its Close, before which all
// its readers must have ended. It does not need the descriptor that it was made from.
// What a Reader has returned is its own memory, and stays.
//
// # What it refuses
//
// Keys and values beyond MaxKeyBytes and MaxValueBytes, and more of them than
// Options.Bytes: Put panics, since the caller has limits and evicts. It keeps no
// dependencies of versions (Deps, Carried). Attach refuses what is not sealed memory,
// and tables of another layout. It works on Linux only. Where the kernel does not
// overcommit (vm.overcommit_memory 2) the table is still made, since address space of a
// file is not counted; but when memory runs out, whoever touches it next is killed.
package table
