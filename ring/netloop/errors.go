package netloop

import "errors"

// What Listen, Run and Dial fail with.
var (
	ErrNetwork      = errors.New("unknown network; use unix or tcp")
	ErrListenerID   = errors.New("listener id is in use; choose another")
	ErrAddressTaken = errors.New("another process serves this socket; stop it or choose another path")
	ErrNotSocket    = errors.New("path exists and is not a socket; remove it or choose another path")
	ErrPathLocked   = errors.New("another process holds the lock on the socket's folder; try again")
	ErrRunning      = errors.New("loop has been run before; make a new one")
	ErrTooManyDials = errors.New("too many dials at once; dial again after Connected")
)
