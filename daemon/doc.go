// Package daemon wires one node of a ring: the causal state machine, the event
// loop that moves bytes, the links to other nodes, the database below, and the
// admin endpoint. Command causalmeshd is a thin main around [Run].
//
// # Threading
//
// One goroutine, the loop's, owns everything that changes: the causal.Server, the
// connections, the links. Others only hand over and wake it:
//
//	             ┌───────────── event loop: one goroutine ──────────────┐
//	clients ────▶│ Received ─▶ decode in place ─▶ Server.Step           │
//	(unix, tcp)  │                                   │ drop links       │
//	peers ──────▶│ Tick ─▶ Server.Tick, dial,        │ messages ────────┼──▶ peers
//	             │         silence, drain ───────────┤ replies ─────────┼──▶ clients
//	             │                                   │ loads, flushes ──┼──┐
//	             │ Woken ─▶ results, questions ──────┘                  │  │
//	             │ EndOfTurn ─▶ Server.Pull ────────────────────────────┼──┼▶ successor
//	             └────▲─────────────▲───────────────────────────────────┘  │
//	                  │ Wake        │ Wake                                 │ Submit
//	            admin (HTTP)        └── results ◀── store's workers ◀──────┘
//	                                                   │     ▲
//	                                                   ▼     │
//	                                                    Redis
//
// What one step puts out is carried out completely before the next step. Results
// that the store has at once (it refuses when its queue is full) are further
// inputs, taken one after the other and never from within a step.
//
// # Links
//
// Each node keeps one connection to every other node, and what it says to that
// node goes out there. The called end answers with nothing but signs of life, so
// that both ends notice a link on which nothing arrives any more; both close it
// after link-timeout and the caller sets it up again.
//
// # Epoch
//
// Node 0 founds the cluster: it takes a new epoch, from the database if there is
// one, and calls the others. A node without an epoch takes it from the hello of
// its predecessor, and from nobody else: so it is certain that its predecessor
// has it on record. Until then it serves nobody. Each node draws a boot id when it
// starts, and remembers, per epoch, the boot ids of the others: who comes back
// with another one has lost its state, is told so, and stays out. The members of a
// ring are fixed: all nodes must then be restarted, and meanwhile the survivors
// serve reads, and writes until the pending bytes are used up.
//
// # What it refuses
//
// It repairs no lost state, it changes no member of the ring, and it encrypts
// nothing. Foreign bytes close the connection that they came on, and are counted;
// they never end the process. Nothing is logged per request.
package daemon
