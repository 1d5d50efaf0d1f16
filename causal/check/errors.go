package check

import "errors"

var (
	// ErrSyntax: the text is no recorded history of a form known here, or was cut
	// short. Record it again, or use the release that wrote it.
	ErrSyntax = errors.New("not a recorded history")
	// ErrViolation: the history breaks a promise of causal consistency.
	ErrViolation = errors.New("history is not causally consistent")
)
