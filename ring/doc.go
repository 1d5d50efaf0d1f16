// Package ring moves bytes: it defines the event loop that the daemon runs on.
//
// A Loop owns listeners and connections and calls a Handler, always from the same
// goroutine, so the handler needs no locks. One turn of the loop looks like this:
//
//	       ┌───────────────────────────── turn ───────────────────────────────┐
//	wait ─▶ Connected* Accepted* Received* Closed* Poll? Woken? Tick? EndOfTurn ─▶ send
//	  ▲                                                                              │
//	  └──────────────────────────────────────────────────────────────────────────────┘
//
// Connected, Accepted, Received and Closed come in any order, except that a
// connection's own come in theirs.
//
// During a turn the handler appends what it has to say to Out of any connection;
// after EndOfTurn the loop sends each connection's bytes at once. Pipelined
// requests that arrive together are therefore answered together.
//
// There are two implementations, and one suite of tests (looptest) that holds both to
// what Loop promises:
//
//   - uring: over io_uring, for Linux 6.1 or later. A turn is one system call, which
//     sends and waits.
//   - netloop: over the standard net package, for where io_uring is missing or forbidden.
//
// What they do alike with sockets is in internal/socket. Several loops share a
// listener's connections by Deal; a connection stays with its loop.
//
// Package table is apart from the loops: the visible state of a server, off the Go heap,
// for readers in other loops and processes.
//
// The package refuses to know what the bytes mean.
package ring
