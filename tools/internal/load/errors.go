package load

import (
	"errors"

	"causalmesh/causal"
)

// The errors of this package. Test for them with errors.Is.
var (
	// ErrUsage: the command line is invalid. The text says what to write instead.
	ErrUsage = errors.New("usage")
	// ErrRefused: the target refuses an operation for now, since it, or the database
	// below it, is overloaded; later it may take it.
	ErrRefused = errors.New("refused for now")
	// ErrNothingMeasured: there is no result to report.
	ErrNothingMeasured = errors.New("nothing was measured")
)

// isRefusal reports whether an error of causalmesh's means the same as ErrRefused.
func isRefusal(err error) bool {
	return errors.Is(err, causal.ErrOverloaded) || errors.Is(err, causal.ErrUnavailable)
}
