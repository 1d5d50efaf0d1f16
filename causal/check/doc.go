// Package check judges a recorded history of client operations: did every
// session see what causal consistency promises, and did the servers converge?
//
// It is written from the definition of the guarantee (docs/protocol.md), not
// from any implementation. It knows no stability vectors, no caches and no
// rings: only what clients asked, what they were answered, and the stamps that
// came with the answers. The simulator uses it on hundreds of thousands of tiny
// histories, the tests against a real cluster on one of millions of operations.
//
// # The model
//
// A process is one sequential thread of a session. Processes are related by
// parents (a branch starts from a prefix of another process) and by joins (a
// process takes in a prefix of another one, as a merged context does).
//
// An operation causally precedes another along process order, parents and
// joins, and from a write to whoever read it. The past of an operation is all
// that precedes it. What counts as part of a past, and what does not:
//
//   - A write whose outcome is unknown belongs to the past of those who read it,
//     with the past that its session had when it asked. It does not belong to
//     the past of its own session's later operations: that session was never
//     told that the write took place.
//   - A foreign write (of another program, straight into the database) has an
//     empty past, and is named by its value and the stamp it was seen with.
//   - A version of an earlier epoch is seen without its past, since a crash of
//     the whole cluster may have lost that; with CleanRestarts it keeps it.
//
// A stamp names a version. A dot alone does not, because dots begin anew with
// each epoch. Without a stamp a version can be read by its value, but it is
// compared only with "absent".
//
// A value is written once: an operation that was tried again at another server
// after an unknown outcome is a second write and needs a value of its own.
//
// # Cost
//
// The past of an operation is a vector with one count per process. Checking
// takes time in proportion to operations × processes, about a nanosecond for
// each such pair, and memory in proportion to the operations, since vectors are
// worked out for a limited number of processes at a time. 64 sessions with
// millions of operations, or tens of thousands of short workflows, are fine; a
// million workflows in one history are not: record several histories.
//
// # Threading
//
// A History, a Process and a Checker each belong to one goroutine. A Recorder
// may be shared; the processes that it starts belong to those who asked for
// them, and its History may be used once they have all stopped.
//
// The package refuses to guess: a history that names a process, key or
// operation that is not there, or that writes a value twice, is reported as
// malformed and judged no further.
package check
