// Package load puts a system under load and tells how it did: throughput,
// latencies, errors, and what an operation cost the servers in CPU time. Command
// loadgen is a thin main around [Main].
//
// # Load
//
// A session does one operation at a time; depth sessions share one connection.
//
//	arrivals ──▶ session ─┐
//	 (open loop) session ─┼─▶ connection ──▶ target
//	             session ─┘        ⋮
//	                ⋮         connection ──▶ target, of the same system
//
// In a closed loop a session begins its next operation when the last one has ended:
// the load adapts to the system, and a stall of the system stops the arrivals that
// would have felt it. In an open loop operations fall due at random times (Poisson)
// at a given rate, whatever the system does. A free session takes the next one, and
// latency counts from when it was due, so the wait for a free session is in it.
// Operations that were due and that nobody could begin before the end are counted as
// unserved; percentiles cannot hold them. How late free sessions woke, which is the
// generator's fault and in the latencies all the same, is reported beside them.
//
// # What is measured
//
// Operations that begin within the measured window, each to its end, even if that
// lies after the window. Latencies are those of operations that succeeded. A read that finds nothing is a success, and counted.
// The servers' CPU time is what the operating system has charged to their processes
// over the window.
//
// # Threading
//
// A session is a goroutine. Sessions of one connection share a recorder under a
// lock; histograms are merged at the end, and once per second for the progress line.
// The same seed gives each session the same choices; how sessions interleave is up
// to the scheduler.
//
// # What it refuses
//
// It starts and configures no servers, it repeats no operation that failed, and it
// judges no answers: whether reads are causally consistent is the checker's business.
package load
