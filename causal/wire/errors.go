package wire

import (
	"errors"
	"fmt"
)

// The errors of this package; test for them with errors.Is. After any of them the
// bytes that follow on the connection mean nothing: close it.
var (
	// ErrFrameTooLarge: a frame claims to be longer than the maximum.
	ErrFrameTooLarge = errors.New("frame is too large")
	// ErrMalformed: the bytes are not what the format prescribes. It also wraps
	// causal.ErrTooLarge if they would be, but for a ceiling.
	ErrMalformed = errors.New("malformed message")
	// ErrMagic: the other end does not speak this protocol at all.
	ErrMagic = errors.New("not a causalmesh peer")
	// ErrVersion: the other end speaks another version; see VersionError.
	ErrVersion = errors.New("protocol versions differ")
	// ErrRefused: the other end refused the connection; see RefusedError.
	ErrRefused = errors.New("connection refused by the server")
	// ErrLimits: configured limits do not fit the wire format.
	ErrLimits = errors.New("limits do not fit the wire format")
)

var (
	errTrailing  = errors.New("bytes after the end")
	errLength    = errors.New("wrong number of elements")
	errUnknown   = errors.New("unknown value")
	errNoRequest = errors.New("stability is left out as unchanged, but no request is given")
	errZeroTag   = errors.New("tag of zeros")
	errNoStamp   = errors.New("version without a time")
)

// VersionError names both versions of a handshake that failed. It wraps
// ErrVersion.
type VersionError struct {
	Ours, Theirs uint16
}

func (e *VersionError) Error() string {
	older := "other side"
	if e.Ours < e.Theirs {
		older = "side that reports this"
	}
	return fmt.Sprintf("%v: ours is %d, theirs is %d; upgrade the %s", ErrVersion, e.Ours, e.Theirs, older)
}

func (e *VersionError) Unwrap() error { return ErrVersion }

// RefusedError is a Refusal as an error. It wraps ErrRefused.
type RefusedError struct {
	Code RefusalCode
	Text string
}

func (e *RefusedError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%v: %v", ErrRefused, e.Code)
	}
	return fmt.Sprintf("%v: %v: %s", ErrRefused, e.Code, e.Text)
}

func (e *RefusedError) Unwrap() error { return ErrRefused }
