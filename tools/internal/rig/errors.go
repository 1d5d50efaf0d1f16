package rig

import "errors"

var (
	// ErrBinary: there is no causalmeshd at the path. Build it: make build.
	ErrBinary = errors.New("no causalmeshd")
	// ErrStart: a node did not start or did not become ready. The text has the end
	// of the log.
	ErrStart = errors.New("the ring did not start")
	// ErrEnded: a node's process has ended while it was needed.
	ErrEnded = errors.New("a node has ended")
	// ErrStatus: a node does not tell its status.
	ErrStatus = errors.New("no status")
)
