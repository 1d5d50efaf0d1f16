package bench

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrUsage: the command line is invalid. The text says what to write instead.
	ErrUsage = errors.New("usage")
	// ErrMissing: a program that is to be compared with is not there. The text says how
	// to get it.
	ErrMissing = errors.New("missing")
	// ErrServer: a server did not start, or did not go on.
	ErrServer = errors.New("server")
	// ErrLoad: loadgen made no result that could be used.
	ErrLoad = errors.New("loadgen")
	// ErrProbes: probes in the kernel have not seen what they should have.
	ErrProbes = errors.New("probes")
	// ErrData: the file with the samples cannot be used. The text says what to run.
	ErrData = errors.New("performance data")
	// ErrStale: the figures are older than the code, or the document is not that of the
	// data. The text says what to run.
	ErrStale = errors.New("figures are stale")
)
