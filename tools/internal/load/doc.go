// Package load puts a system under load and tells how it did: throughput,
// latencies, errors, what an operation cost the servers and this generator in CPU
// time, and how many bytes it took. Command loadgen is a thin main around [Main].
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
// # Engines
//
// causalmesh, Redis and memcached are driven by the same code, so that a comparison is
// one of servers and not of client libraries. A driver is a thread with some of the
// connections and their sessions:
//
//	┌─▶ begin: each free session for which something is due has its request
//	│   appended to its connection's buffer             (crew, source, codec)
//	│   one write per connection
//	│   sleep until a reply, or until something is due
//	└── one read per connection that has replies; each ends an operation
//
// What differs is a codec: it appends the request of an operation, and reads replies,
// which come in order or name their request. Keys, values and choices are the same.
// Behind causalmesh's codec each session is a real one of the protocol, with its
// context: the bytes are those of a real client. Latency counts from just before the
// requests of a turn are made until just after the read that had the reply.
//
// With clientlib a session is a goroutine that uses the public client library, in
// whatever way that reaches the server; so it is with causalmesh in shared memory, where
// the client's half of the transport is the library. Only there are connections that were
// lost made anew; in the raw engine that ends the run. gomap is a map in this process,
// used by the same goroutines.
//
// # What is measured
//
// Operations that begin within the measured window, each to its end, even if that
// lies after the window. Latencies and bytes are those of operations that succeeded. A
// read that finds nothing is a success, and counted. The servers' CPU time is what the
// operating system has charged to their processes over the window.
//
// An operation that does not leave this process is over before the clock can be read
// twice. So with Options.Run a session does a series of operations, chosen beforehand, and
// their mean is one sample of latency. A failure ends its series, which is then one error
// and nothing else.
//
// Before that sessions may write all keys (until every target has them to read), and
// make a past of operations like those of the load. None of that is measured.
//
// # Own writes in flight
//
// A session has own writes in flight from their replies until it learns that they are
// stable, which is a ring's round later: one that does an operation at a time has next
// to none. The situation with many is a workflow that fans out and in. So with
// Options.OwnWrites each read is preceded by as many branches: they go on from the
// session's context, each writes a key, all at once and in one send, and their contexts
// are joined into the session's. Before the next time the session asks until all of
// them are stable. These requests are not measured, only counted. How many own writes a
// session had in flight when a read began, and when it ended, is reported, as seen by
// the session: that is what costs it something.
//
// The writes are a load, too. With Options.Unjoined a branch takes the session's place
// in the join: the servers do the same, and the session has nothing in flight. The
// difference is what own writes cost.
//
// # Threading
//
// A driver's sessions and connections are its own. Each driver, or connection of
// clientlib, has a recorder under a lock; histograms are merged at the end, and once
// per second for the progress line. The same seed gives each session the same choices;
// how sessions interleave is up to the servers and the scheduler.
//
// # What it refuses
//
// It starts and configures no servers, it repeats no operation of the load that failed,
// and it judges no answers: whether reads are causally consistent is the checker's
// business. In the raw engine, a server that says what its protocol does not have,
// closes a connection or leaves an operation without a reply for the timeout ends the
// run, with an error that says what came.
package load
