package load

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrUsage: the command line makes no sense. The text says what to write instead.
	ErrUsage = errors.New("usage")
	// ErrOverloaded: the target refuses an operation for now; later it may take it.
	ErrOverloaded = errors.New("target is overloaded")
	// ErrNothingMeasured: there is no result to report.
	ErrNothingMeasured = errors.New("nothing was measured")
)
