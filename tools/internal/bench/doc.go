// Package bench measures causalmesh beside other systems and writes the document about
// it: docs/performance.md with its tables and charts. Command bench is a thin main
// around [Main].
//
//	experiments ──▶ runner ──▶ data.json ──▶ document ──▶ performance.md
//	 (a list)         │         (all runs)              └▶ charts
//	                  └▶ servers of its own, loadgen
//
// An experiment is a value: which systems, which loads, which quantities, which bounds.
// The runner starts the systems of one experiment at a time, gives them the same data,
// and takes samples, one system after the other within each round, so that what else
// the machine does hits all of them. The document is made from the samples alone, and
// has no number that was not computed from them.
//
// Systems may be the same servers, reached in different ways: one of them starts and fills
// the servers, the others borrow them. Where what servers hold goes with the load, each
// series of loads has servers of its own, and the rounds are taken load by load.
//
// # Ratios
//
// A bound on a quantity itself is judged by the median of the rounds. One on a ratio is
// judged by the median of the rounds' ratios: both sides of a ratio were measured within
// seconds of each other. The lowest and the highest one stand beside it.
//
// # Staleness
//
// The data carries a fingerprint of each package of this module that is linked into
// what was measured, and the versions of the modules linked in. Tests, comments and
// code that is not linked leave it as it is. [Main] with -check compares.
//
// # Threading
//
// Everything belongs to one goroutine, but for what loads many entries. Servers are
// children of this process, and end with it, on Ctrl-C too. Whatever is waited for has
// a deadline.
//
// # What it refuses
//
// It installs no servers, and measures none that it has not started. Without Redis or
// memcached there is no comparison, and no document. A node that cannot do what one
// experiment asks of it (io_uring, say, where the kernel forbids it) is left out where
// the experiment allows it, and the document says so.
package bench
