package uring

import (
	"errors"

	"causalmesh/ring/internal/socket"
)

// What Listen, Deal, Run and Dial fail with.
var (
	ErrNetwork      = socket.ErrNetwork
	ErrListenerID   = socket.ErrListenerID
	ErrNoListener   = socket.ErrNoListener
	ErrForeignLoop  = socket.ErrForeignLoop
	ErrNoLoops      = socket.ErrNoLoops
	ErrAddressTaken = socket.ErrAddressTaken
	ErrNotSocket    = socket.ErrNotSocket
	ErrPathLocked   = socket.ErrPathLocked
	ErrRunning      = socket.ErrRunning
	ErrTooManyDials = socket.ErrTooManyDials

	ErrTooManyListeners = errors.New("too many listeners; make another loop")
	ErrTooManyConns     = errors.New("too many connections; close some, or deal to more loops")
)

// ErrUnavailable is what Probe and New fail with: this host does not run the loop.
// The error around it says why and what to do.
var ErrUnavailable = errors.New("io_uring is not available")
