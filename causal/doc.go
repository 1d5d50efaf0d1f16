// Package causal decides what every server and session of a causally consistent
// cache does next; it is the protocol of docs/protocol.md as a pure state machine.
//
// # What a server holds
//
//	         Step(Input)  Tick(now)                Output, Pull
//	             │                                     ▲
//	┌────────────▼─────────────────────────────────────┴──────────────┐
//	│ Server                                                          │
//	│   I-cache: arrived (≤ R), not stable    link log ──────────────────▶ successor
//	│      │                                  (kept until E covers it)│    (ring)
//	│      │ S rises: Raise                                           │
//	│      ▼                                                          │
//	│   C-cache: stable (≤ S), per key the highest stamp = Table ────────▶ readers
//	│      │ ▲                                                        │    beside
//	│      │ │ loads, misses                                          │    the writer
//	└──────┼─┼────────────────────────────────────────────────────────┘
//	flushes▼ │
//	    database (each key through its home server only), or the home
//
// R covers what has arrived, E what every server holds, S the largest part of E
// that is closed under dependencies: S ≤ E ≤ R. What S covers is visible, and
// nothing else.
//
// # How to drive a server
//
// An Input goes in and what follows from it comes out, appended to an Output that
// the caller owns and has Reset. One round is:
//
//  1. Step(input) for a request, a message, a link or an answer of the database, or
//     Tick(now), every few milliseconds. Both carry the wall clock's reading.
//  2. Output.Drop: close the links to these peers, both ways, and set them up anew.
//     An error of Step says why; the server itself is unharmed.
//  3. Output.Messages and Output.Replies: encode and send them. Their slices may
//     refer to the server, to its table, and to the input (keys): they are valid
//     only until the next Step or Tick, and so must the input's memory be.
//  4. Output.Loads and Output.Flushes: give them to the database. Each is answered
//     once, by an Input of kind InputLoaded or InputFlushed, however long it takes.
//  5. Output.Events: write them to a log.
//  6. Pull ring messages while the link to the successor can take more and Pull
//     reports true. Encode each before the next Pull.
//
// A link comes up with InputLinkUp at the sender, which tells what the receiver has
// stated in its handshake (Received, Marks, Everywhere), and goes down with
// InputLinkDown. The receiver of a ring link gets InputPredecessor.
//
// The Example shows the whole of it.
//
// # How to drive a session
//
// Session.Begin makes the request of an operation, Session.Finish takes the reply;
// to retry, send the same request again. Context, Resume and Merge carry a workflow
// from one place to the next. DirectRead reads a table beside its writer.
//
// # Ownership and threading
//
// A Server, a Session and a HeapTable belong to one goroutine each. The table's
// readers run beside its writer only if the Table allows that; the server puts
// values first and publishes the S that covers them last, at the end of a step.
// Versions are never changed once they are made, and are shared freely. What comes
// in with an input is not kept, but for the keys and values of the versions in
// messages and in the database's answers, which are kept as they are. Vectors that
// Received, Marks, Everywhere and Stability return are valid until the next Step.
//
// # What it refuses to do
//
// No I/O, no clock, no goroutines, no randomness, no global state that changes, no logging: the
// same inputs give the same outputs. A test of the imports holds it to that. Foreign
// bytes give errors, never panics; it panics only where a promise of its own is
// broken, and looks for that in every step under the build tag invariants.
//
// # The model's actions
//
// Comments name the action of the TLA+ model (tla/) that a function carries out; an
// observer of the simulator's is told of each (Transition):
//
//	Read            Server.answerRead       answer from the C-cache
//	Sync            Server.replyWrite       answer with S alone
//	Write           Server.write            take a write: dot, stamp, I-cache, ring
//	Merge           Session.Merge           join two branches
//	Send            Server.Pull             send a version or a mark to the successor
//	Receive         Server.receive          take the next version of a traversal
//	EndFirstRound   Server.ringMessage      send a mark after the versions (two-round)
//	PassMark        Server.mark             take one step of a second traversal
//	Resync          Server.linkUp           send a successor what it lacks
//	Learn           Server.learn            raise E
//	Raise           Server.raise            raise S, from the I-cache to the C-cache
//	End             Server.endTraversals    raise E where a traversal ends
//	Miss            Server.startLoad        ask the home, or the database
//	ServeMiss       Server.answerMiss       answer another server's miss
//	InstallMiss     Server.missReply        merge the home's answer
//	Loaded          Server.loaded           merge the database's answer
//	LoadFails       Server.failLoad         give up a load
//	Flush           Server.startFlushes     hand out flushes
//	Flushed         Server.flushed          take the outcome of a flush
//	FlushFails      Server.flushed          … where it is not known
//	Announce        Server.announceFlushed  tell the others F
//	Evict           Server.mayEvict         forget an entry
//	DirectLoadS     DirectRead.Step         load S beside the writer
//	DirectReadSlot  DirectRead.Step         read one slot beside the writer
package causal
