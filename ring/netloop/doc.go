// Package netloop implements ring.Loop over the standard net package, for
// kernels and containers that forbid io_uring.
//
// The goroutine that calls Run is the loop: it alone calls the handler and owns
// everything about a connection that is not listed here. The other goroutines do
// one thing each and tell the loop through its mailbox:
//
//	acceptor (one per listener) ─┐
//	reader (one per connection) ─┤             ┌─ Received, Closed, … ─▶ handler
//	writer (one per flight)     ─┼─▶ mailbox ─▶ loop ─ EndOfTurn ─────▶ handler
//	dialer (one per Dial)       ─┘             └─ a flight per connection with Out
//
// A reader hands its filled buffer to the loop and waits until the loop releases
// it. So each connection has at most one chunk under way: memory is bounded, the
// bytes are not copied, connections take turns, and back-pressure is to release
// later. A reader that waits with nothing unused holds no buffer.
//
// After EndOfTurn each connection's Out becomes a flight: a writer goroutine gives
// it to the kernel in one write, or in as many as the kernel's buffer forces.
// Meanwhile Out collects in a second buffer, which is the next flight.
//
// Close is orderly: when Out is sent, the loop ends its own direction and
// discards what still arrives until the other side closes too (at most
// Options.LingerTimeout), since closing a socket with unread bytes would make the kernel
// throw away what it has not delivered.
//
// A connection that another loop's acceptor deals out comes through the mailbox as
// well, wrapped for the loop that it goes to. A mailbox whose loop has ended
// refuses, and the acceptor closes what it has.
//
// The package refuses to look into the bytes, and to log.
package netloop
