package daemon

import "causalmesh/causal"

// What an operation of the loop carries is counted by kind (ring.Outgoing). Requests of
// clients are of the kind of their causal.Op.
const (
	kindHandshake = 0
	kindPeer      = int(causal.OpSync) + 1 // messages to other nodes
)

func kindOf(op causal.Op) int { return int(op) }
