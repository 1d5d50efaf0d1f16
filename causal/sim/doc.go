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
// Traces ties the runs to the models in tla/. The core tells of each step that it takes
// in the words of a model (causal.Transition); a tracer puts these, with what sessions
// and the database did, into a TLA+ module, and TLC checks that the model allows each
// step and leads to the state in which the core was (see RingTrace.tla). Beside the
// traces the modules have mutants, steps that were made wrong and that TLC must refuse.
//
// The package refuses to look into the core: all it uses are inputs and outputs.
package sim
