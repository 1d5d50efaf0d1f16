// Package uring implements ring.Loop over io_uring (Linux 6.1 or later).
//
// Everything happens on the thread that Run is locked to; the kernel takes operations
// from no other. One turn:
//
//	         ┌───────────────── io_uring_enter: one a turn ─────────────────┐
//	         │ submit: sends ── are done at once, or say what they left     │
//	         │         rests, receives, accepts, cancels                    │
//	         │ wait:   for a completion, a wake-up, or the next time due    │
//	         └──────────────────────────────┬───────────────────────────────┘
//	                                        ▼
//	fetch    completions out of the queue; sends are settled first of all
//	resume   connections whose queue has drained ───────────▶ Received
//	arrivals dialed, and dealt by other loops ──────────────▶ Connected, Accepted
//	events   at most 256: accepts, receives ────────────────▶ Accepted, Received
//	ended    no operation is left on the socket: close it ──▶ Closed
//	         woken, times ──────────────────────────────────▶ Woken, Tick
//	                                                          EndOfTurn
//	settle   prepare the turn's operations: one send for each connection with Out,
//	         receives to arm or to cancel ──────────────────▶ the next enter
//
// A turn that has events left over and nothing to submit leaves the call out. A send
// is asked to complete within its submission, and to say nothing if the kernel has
// taken all: otherwise its own completion would end the wait, and each request would
// cost two calls. What the kernel did not take goes with a second operation (a rest),
// which waits for room and completes as usual.
//
// # Who owns what
//
//   - The sockets' descriptors are the loop's until no operation uses them; then they
//     are closed, and only then is the connection's slot used again.
//   - Receive buffers (pool) are the kernel's until a completion names one, then the
//     loop's while the handler looks at the bytes in place, then the kernel's again. What
//     the handler leaves, or must not be shown because of HighWater, is copied (carry).
//   - Outgoing buffers are the handler's until EndOfTurn, then the kernel's until they are
//     sent, while another one collects. They begin in memory off the Go heap; what
//     has outgrown it is pinned.
//   - A record is what an operation's user_data points to, for programs in the kernel:
//     type record is its layout, an ABI. There are two for each slot, one for its receive
//     and one for its send, and one for each operation of the loop's own, so none is ever
//     lent to two operations. Those of timings point on to a list, which stays in place until
//     the kernel has taken the operation. The loop itself goes by a record's place, which
//     names the slot, and trusts no pointer in a completion.
//
// # Other goroutines
//
// Wake writes an eventfd if the thread sleeps, and does nothing if it does not or has
// been woken already. Dialers (one goroutine per Dial, on the net package, which finds
// hosts) and dealing loops leave sockets in the inbox. Stop makes the listeners refuse
// at once and leaves the rest to the thread.
//
// # Closing
//
// Out is sent, our direction is shut down, what arrives is discarded until the other side
// closes too, for LingerTimeout at most. To end a connection at once its operations are
// cancelled and their completions waited for. Run returns when the kernel has
// nothing of the loop's any more, and leaves no mapping behind.
//
// The package refuses to look into the bytes, to log, and to run where Probe fails.
package uring
