package trial

import "errors"

var (
	// ErrOptions: an option is invalid.
	ErrOptions = errors.New("options")
	// ErrVerdict: a promise was broken. The text says which.
	ErrVerdict = errors.New("trial failed")
)
