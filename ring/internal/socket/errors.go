package socket

import "errors"

// What the loops' Listen, Deal, Run and Dial fail with.
var (
	ErrNetwork      = errors.New("unknown network; use unix or tcp")
	ErrListenerID   = errors.New("listener id is in use; choose another")
	ErrNoListener   = errors.New("no listener has this id; call Listen first")
	ErrForeignLoop  = errors.New("not a loop of this implementation; deal among loops of one kind")
	ErrNoLoops      = errors.New("no loops to deal to; name at least one")
	ErrAddressTaken = errors.New("another process serves this socket; stop it or choose another path")
	ErrNotSocket    = errors.New("path exists and is not a socket; remove it or choose another path")
	ErrPathLocked   = errors.New("another process holds the lock on the socket's folder; try again")
	ErrRunning      = errors.New("loop has been run before; make a new one")
	ErrNotUnix      = errors.New("files go over Unix sockets only; connect to listen-unix")
	ErrTooManyDials = errors.New("too many dials at once; dial again after Connected")
)
