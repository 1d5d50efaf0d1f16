// Package store keeps stable versions in Redis and reads them back: it carries
// out the loads and flushes that the causal core asks for.
//
// # Threading
//
// Submit hands requests over and never blocks. Workers take them from a bounded
// queue, many per round trip, and hand the results to the deliver function:
//
//	daemon loop                workers                      Redis
//	Submit ──► loads queue ──┐
//	                         ├─► batch ─► one pipeline ─► one script per key
//	Submit ──► flush queue ──┘      │
//	deliver(Results) ◄──────────────┘
//
// Each request has exactly one result: one that is refused (the queue is full, the
// key is reserved, the store is closed) has it in what Submit returns, every other
// one in what is delivered. It comes within Config.Timeout of Submit: a request may
// wait for half of that and asking may take the other half; what waited longer fails
// without being asked. deliver is called from several goroutines at once; it must
// not call Close, and while it blocks, a worker does nothing else.
//
// The store keeps copies of the versions of flushes. What they replace (Over) it keeps as
// it is until their results are delivered: that must not change. Slices in results belong
// to the receiver.
//
// # What is in Redis
//
// The value of key k is the plain string at k: redis-cli GET k shows it, and a
// string that another program put there is a value like any other. Everything else
// is under the prefix "causalmesh:", which no key of a user may begin with.
//
//	k                 string  the value; not there if deleted or expired
//	causalmesh:v:k    hash    what is known of k, see below
//	causalmesh:epoch  string  the fence: the highest cluster epoch that flushed, 16 digits
//
//	field  of causalmesh:v:k
//	s      stamp: time in nanoseconds (16 digits), then origin (2 digits)
//	e      epoch that the dot is from (16 digits)
//	d      dot: origin.incarnation.counter, in decimal
//	g      SHA-1 of the value that was last flushed (40 digits); not in a tombstone
//	x      deadline in nanoseconds (16 digits), if there is one
//	t      1 in a tombstone
//
// Digits are lower-case hexadecimal of fixed width, so that scripts can compare
// them although Redis's Lua has no 64-bit integers.
//
// A tombstone is a hash without a string; Redis drops it after the grace period. A
// value with a deadline expires in Redis at the deadline, its hash a grace period
// later. SHA-1 is there to notice changes, not to keep out an adversary: whoever can
// write to Redis can change the hash as well.
//
// # Flush
//
// One script per version, atomic. In this order:
//
//   - the fence holds a later epoch: fenced. An earlier one is raised.
//   - what is there cannot be read (another type, a value over the limit, malformed
//     metadata): the version is stored over it, as a SET would, and that is counted
//     and logged. An acknowledged write outranks what no cache can read.
//   - what is stored has a stamp that is not lower: superseded, or done if it is the
//     same; foreign if the string is not what g says.
//   - the string is not what g says, nor what is being flushed, nor the foreign
//     value that this version was imported from or knew: foreign, nothing is stored.
//   - otherwise the version is stored.
//
// # Load
//
//   - neither string nor hash: absent.
//   - string without hash: another program's, seen for the first time. Its hash is
//     written with causal.ForeignStamp, so that a later change is noticed. If that
//     program lets the string expire, the hash stays until the next load of the key.
//   - the string is not what g says, or is missing before its deadline: foreign, with
//     the stamp of the last flush.
//   - otherwise found: the version, or a tombstone (deleted, or expired).
//
// # What it refuses
//
// The store never takes a failure for an absent key. A key of another Redis type, a
// value over the limit and malformed metadata are failures of loads, counted as
// unreadable and logged. Write the key, or delete it or its hash, to go on: without a
// hash the string counts as another program's.
//
// Nothing is tried again here: after an error in the connection nobody knows whether
// a flush was done, so it has failed, and to flush again does no harm.
//
// The scripts name keys of several hash slots: Redis Cluster is refused by Check, as
// are replicas, old versions, and servers that evict.
package store
