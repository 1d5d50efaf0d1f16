package cluster

import "errors"

// The errors of this package. Test for them with errors.Is; the texts say what to
// do.
var (
	// ErrExists: there is a cluster in the folder already.
	ErrExists = errors.New("there is a cluster already")
	// ErrNone: there is no cluster in the folder.
	ErrNone = errors.New("there is no cluster")
	// ErrOptions: what was asked for is not possible.
	ErrOptions = errors.New("cluster cannot be set up")
	// ErrNotUp: the cluster did not become ready; nothing is left of it.
	ErrNotUp = errors.New("cluster did not become ready")
	// ErrUnclean: a process of the cluster did not end well.
	ErrUnclean = errors.New("cluster did not end in order")
	// ErrState: the state file cannot be understood.
	ErrState = errors.New("state file is damaged")
)
