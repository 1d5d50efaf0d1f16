package netloop

import "causalmesh/ring/internal/socket"

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
)
