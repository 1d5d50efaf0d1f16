package ring

import "errors"

// The reasons that a loop closes a connection for.
var (
	ErrStalled   = errors.New("connection does not read what it is sent")
	ErrUnused    = errors.New("connection sends no complete frame")
	ErrLoopEnded = errors.New("loop has ended")
)
