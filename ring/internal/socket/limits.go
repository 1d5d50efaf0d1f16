package socket

import "time"

const (
	// MaxDials is how many dials of a loop may be under way.
	MaxDials = 128
	// DefaultDialTimeout stands in for a timeout that is not positive.
	DefaultDialTimeout = 5 * time.Second
	// SweepsPerStall is how often connections are looked at per StallTimeout: a
	// stalled one is closed after at most 1+1/SweepsPerStall of it.
	SweepsPerStall = 8
	// TurnEvents is how many events one turn handles before it sends.
	TurnEvents = 256
	// A failed accept (no file descriptors left, say) is tried again after a
	// pause that doubles between these.
	MinAcceptPause = 5 * time.Millisecond
	MaxAcceptPause = time.Second
	// minDeadPeerTimeout is how long a TCP peer may be silent to the kernel's probes
	// before it counts as dead.
	minDeadPeerTimeout = 20 * time.Second
	keepAliveProbes    = 3
)
