package process

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrGone: there is no such process any more. Its ID may be another one's now.
	ErrGone = errors.New("process has ended")
	// ErrProc: /proc does not look as it does on Linux.
	ErrProc = errors.New("cannot understand /proc")
)
