// Package sim runs the real core against an adversary.
//
// A world holds one to eight servers (causal.Server as the daemon runs it), the
// links between them, a database, and sessions that roam, branch and join. It is
// one goroutine with virtual time; a seed decides everything: which message is
// delivered next, which link is cut, what is evicted, when the database answers,
// fails or loses a reply, what other programs write into it, where a direct
// reader stands between two steps of the writer. So a failure is a seed, and a
// seed is a test.
//
// A run has two phases. In the first, anything may happen. In the second the
// faults stop and everything that is under way is carried out: then all must have
// come to rest, and all servers must agree. What sessions did and saw is a
// check.History, judged by package check, which knows nothing of the protocol.
//
// Scenarios (see Play) are hand-written schedules of the same world, one anomaly
// each. Canaries are runs with one rule of the protocol left out: if the checker
// passes one of those, the checker is broken.
//
// The package refuses to look into the core: all it uses are inputs and outputs.
package sim
