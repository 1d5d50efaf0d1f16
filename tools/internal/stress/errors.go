package stress

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrUsage means that the command line is invalid.
	ErrUsage = errors.New("usage")
	// ErrFailed means that a test failed, was skipped, or ran less often than was asked for.
	ErrFailed = errors.New("tests failed")
)
