package control

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrUsage: the command line is invalid. The text says what to write instead.
	ErrUsage = errors.New("usage")
	// ErrAbsent: there is no value under a key.
	ErrAbsent = errors.New("no value")
	// ErrNotReady: not all nodes are as they should be.
	ErrNotReady = errors.New("not all nodes are ready")
)
