package causal

import (
	"errors"
	"fmt"
)

// Code is why a request has no answer. It travels in replies.
type Code uint8

// The codes of a reply. Each but CodeOK has an error of its name.
const (
	CodeOK Code = iota
	CodeOverloaded
	CodeFutureContext
	CodeEpoch
	CodeTooLarge
	CodeUnavailable
	CodeForged
	CodeClock
	CodeBadRequest
	CodeNotReady
)

// The errors that a server answers with, and that sessions return. Test for them
// with errors.Is.
var (
	// ErrOverloaded: a named limit is reached; the request was not carried out.
	// Try again later.
	ErrOverloaded = errors.New("overloaded")
	// ErrFutureContext: the context knows more than has arrived at this server,
	// which lost its state or is not of the cluster that the context is from.
	ErrFutureContext = errors.New("context is ahead of this server")
	// ErrEpoch: the context is from another life of the cluster. Its past is not
	// known any more; go on with a new session.
	ErrEpoch = errors.New("context is of another cluster epoch")
	// ErrTooLarge: a key, value, context or batch is over its limit.
	ErrTooLarge = errors.New("over a size limit")
	// ErrUnavailable: the value is not cached and the database could not be asked.
	ErrUnavailable = errors.New("store unavailable")
	// ErrForged: a vector or dot lacks the tag of this cluster's key.
	ErrForged = errors.New("not signed with the cluster key")
	// ErrClock: a time is too far ahead of the server's wall clock.
	ErrClock = errors.New("time is too far ahead")
	// ErrBadRequest: the request is invalid.
	ErrBadRequest = errors.New("bad request")
	// ErrNotReady: the server has not joined its ring yet.
	ErrNotReady = errors.New("server is not ready")
	// ErrPeer: another server broke the protocol; its link must be dropped.
	ErrPeer = errors.New("peer broke the protocol")
)

var codeErrors = [...]error{
	CodeOverloaded:    ErrOverloaded,
	CodeFutureContext: ErrFutureContext,
	CodeEpoch:         ErrEpoch,
	CodeTooLarge:      ErrTooLarge,
	CodeUnavailable:   ErrUnavailable,
	CodeForged:        ErrForged,
	CodeClock:         ErrClock,
	CodeBadRequest:    ErrBadRequest,
	CodeNotReady:      ErrNotReady,
}

// Err returns the error of a code with its detail, nil for CodeOK.
func (c Code) Err(detail string) error {
	if c == CodeOK {
		return nil
	}
	if int(c) >= len(codeErrors) {
		return fmt.Errorf("unknown code %d: %s", c, detail)
	}
	if detail == "" {
		return codeErrors[c]
	}
	return fmt.Errorf("%w: %s", codeErrors[c], detail)
}

func (c Code) String() string {
	if c == CodeOK {
		return "ok"
	}
	return c.Err("").Error()
}
