// Package ring moves bytes: it defines the event loop that the daemon runs on.
//
// A Loop owns listeners and connections and calls a Handler, always from the same
// goroutine, so the handler needs no locks. One turn of the loop looks like this:
//
//	       ┌──────────────────────── turn ────────────────────────┐
//	wait ─▶ Accepted* Connected* Received* Closed* Woken? Tick? ─▶ EndOfTurn ─▶ send
//	  ▲                                                                          │
//	  └──────────────────────────────────────────────────────────────────────────┘
//
// During a turn the handler appends what it has to say to Out of any connection;
// after EndOfTurn the loop sends each connection's bytes at once. Pipelined
// requests that arrive together are therefore answered together.
//
// Package netloop implements Loop over the standard net package. The package
// refuses to know what the bytes mean.
package ring
