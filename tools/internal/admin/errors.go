package admin

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrNotReady: the node answers and is not ready; the text is its own reason.
	ErrNotReady = errors.New("not ready")
	// ErrUnreachable: nobody answers at the address.
	ErrUnreachable = errors.New("admin endpoint does not answer")
	// ErrAnswer: what answers is no causalmeshd.
	ErrAnswer = errors.New("not the answer of a causalmeshd")
)
