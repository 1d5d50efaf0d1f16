package bpf

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrHost: this host cannot run the programs. The text has a line for each reason,
	// and what would help.
	ErrHost = errors.New("probes are not possible on this host")
	// ErrRings: the daemon's rings were not found.
	ErrRings = errors.New("the daemon's rings were not found")
	// ErrOn: the daemon is followed already.
	ErrOn = errors.New("probes are on already")
	// ErrTaken: another daemon, which runs, is followed under the node's name.
	ErrTaken = errors.New("another daemon has this name")
	// ErrStale: the pinned probes are those of a daemon that has ended.
	ErrStale = errors.New("the probes are those of a daemon that has ended")
	// ErrOff: there is no such folder.
	ErrOff = errors.New("probes are off")
	// ErrPins: what is in the folder is not what this version has pinned.
	ErrPins = errors.New("the pins are of another version, or damaged")
)
