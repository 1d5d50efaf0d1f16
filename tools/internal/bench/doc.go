// Package bench measures causalmesh and writes the pages about it, with their tables and
// charts: docs/performance.md, beside other systems, and docs/latency.md, with probes in the
// kernel. Command bench is a thin main around [Main].
//
//	page ──▶ experiments ──▶ runner ──▶ data.json ──▶ document ──▶ performance.md
//	          (a list)         │         (all runs)              └▶ charts
//	                           └▶ servers of its own, loadgen, probes
//
// An experiment is a value: which systems, which loads, which quantities, which bounds.
// The runner starts the systems of one experiment at a time, gives them the same data,
// and takes samples, one system after the other within each round, so that what else
// the machine does hits all of them. The document is made from the samples alone, and
// has no number that was not computed from them.
//
// Systems may be the same servers, reached in different ways: one of them starts and fills
// the servers, the others borrow them. Where what servers hold goes with the load, each
// series of loads has servers of its own, and the rounds are taken load by load. Where it
// goes with what was done to servers before, each round of each load has its own.
//
// # Ratios
//
// A bound on a quantity itself is judged by the median of the rounds. One on a ratio, or a
// difference, is judged by the median of the rounds' ratios: both sides of one were measured within
// seconds of each other. The lowest and the highest one stand beside it.
//
// # Probes
//
// They are attached to a node before a sample and detached after it, and pinned below a
// folder of this process alone. A sample counts only if the kernel has seen, and timed, all
// that the client has sent.
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
// memcached there is no comparison, and no page about it; nor is there one about latency where
// programs cannot be attached. A node that cannot do what one
// experiment asks of it (io_uring, say, where the kernel forbids it) is left out where
// the experiment allows it, and the document says so.
package bench
