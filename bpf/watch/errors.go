package watch

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrNone: the process has no such page, or it is another life's, or may not be opened.
	ErrNone = errors.New("watch: the process has no page to say that requests in shared memory are to be timed")
	// ErrLoops: not all loops go by the page.
	ErrLoops = errors.New("watch: the daemon's loops do not begin to time requests; is it stopped?")
)
