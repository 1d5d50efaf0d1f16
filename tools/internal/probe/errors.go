package probe

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrNode: the node cannot be probed now. The text says why, and what would help.
	ErrNode = errors.New("cannot be probed")
	// ErrStale: the pinned probes are those of a daemon that has ended.
	ErrStale = errors.New("the probes are those of a daemon that has ended")
)
