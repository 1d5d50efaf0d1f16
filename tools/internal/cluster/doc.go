// Package cluster runs a ring of causalmeshd processes on one machine, for trying
// it out and for tests: it starts them, tells how they are, and ends them.
//
// # Processes
//
//	meshctl cluster up ──creates──▶ DIR/cluster.json ◀──reads── meshctl cluster down, status
//	       │ starts                        ▲ writes
//	       ▼                               │
//	meshctl cluster keep ──────────────────┘
//	       ├─ starts, waits for ──▶ meshctl cluster store   (unless there is another database)
//	       └─ starts, waits for ──▶ causalmeshd, one per node
//
// Up and down are commands that end. What stays is the keeper: it is the parent of
// all other processes, so it knows how each of them ended, and the kernel ends them
// with it whatever becomes of it. Down asks the keeper to end, and the keeper asks
// the nodes, waits for them, and ends the database last, so that they can still
// flush.
//
// # Ownership
//
// Up creates the state file, which only one of two can do, and the keeper alone
// writes it from then on. Down removes it when all processes have ended. Processes
// are signalled only after it is certain that they are still the same: see package
// process.
//
// # What it refuses
//
// It restarts nothing: a node that ends stays so and is reported. It knows one
// machine, listens on loopback only, and is no way to run a cluster that matters.
package cluster
