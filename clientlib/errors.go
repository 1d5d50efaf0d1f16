package clientlib

import (
	"errors"
	"fmt"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// The errors of operations; test for them with errors.Is. An operation that ends
// because of its context also wraps context.Canceled or context.DeadlineExceeded.
// Whatever the error, the session's context is as it was, and the session can go
// on.
var (
	// ErrOverloaded: a limit of the server is reached, and the operation was not
	// carried out. Try again later. From Write, Delete and Merge also: the session
	// has too many writes in flight; Sync until there are fewer.
	ErrOverloaded = causal.ErrOverloaded
	// ErrFutureContext: the session knows more than has arrived at this server. The
	// server has lost its state or is of another cluster than the context.
	ErrFutureContext = causal.ErrFutureContext
	// ErrEpoch: the context is from another life of the cluster, and its past is not
	// known any more. Start the workflow again with a new session.
	ErrEpoch = causal.ErrEpoch
	// ErrTooLarge: a key, value, context, batch or join is over a limit: see
	// Info.Limits.
	ErrTooLarge = causal.ErrTooLarge
	// ErrUnavailable: the value is not cached and the database could not be asked.
	// It does not say that there is no value.
	ErrUnavailable = causal.ErrUnavailable
	// ErrForged: the context was not made by this cluster, or it was changed.
	ErrForged = causal.ErrForged
	// ErrClock: the context's time is too far ahead of the server's wall clock; the
	// clock of one of the servers is wrong.
	ErrClock = causal.ErrClock
	// ErrBadRequest: the operation is invalid (an empty key, a time to live that
	// is not positive, a Retry with nothing to retry).
	ErrBadRequest = causal.ErrBadRequest
	// ErrNotReady: the server had not joined its ring until the context ended.
	ErrNotReady = causal.ErrNotReady

	// ErrContext: the bytes are no exported context. A context of another version of
	// the format gives ErrVersion instead.
	ErrContext = errors.New("not an exported context")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client is closed")
	// ErrDisconnected: there was no connection to the server until the context ended.
	ErrDisconnected = errors.New("no connection to the server")
	// ErrUnknownOutcome: a write or delete was sent, and its reply did not come. It
	// may have been done, may still be done, or may never be done. Session.Retry
	// finds out. It also wraps the reason: the end of the context, ErrDisconnected
	// if the server is not the same any more, ErrClosed, ErrProtocol, or what the
	// server answered to a repetition.
	ErrUnknownOutcome = errors.New("outcome of the write is unknown")
	// ErrBusy: another goroutine is using the session.
	ErrBusy = errors.New("session is in use by another goroutine")
	// ErrVersion: client and server, or client and context, are of versions that do
	// not understand each other.
	ErrVersion = wire.ErrVersion
	// ErrRefused: the server refuses this client for good, or this operation for a
	// reason that this version of the package has no name for. The text says why.
	ErrRefused = wire.ErrRefused
	// ErrProtocol: the server, or what listens in its place, sent bytes that no
	// server of this protocol sends. The connection was closed.
	ErrProtocol = causal.ErrProtocol
)

// protocolError marks err as the server's fault.
func protocolError(err error) error {
	if errors.Is(err, ErrProtocol) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}

// temporary reports whether a failure to connect may pass by itself.
func temporary(err error) bool {
	return errors.Is(err, ErrDisconnected) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrOverloaded)
}

// describedKeyBytes is how much of a key an error repeats.
const describedKeyBytes = 64

// describe says which operation failed.
func describe(op causal.Op, key string, err error) error {
	if err == nil {
		return nil
	}
	if op != causal.OpRead && op != causal.OpWrite && op != causal.OpDelete {
		return fmt.Errorf("%v: %w", op, err)
	}
	dots := ""
	if len(key) > describedKeyBytes {
		key, dots = key[:describedKeyBytes], "…"
	}
	return fmt.Errorf("%v %q%s: %w", op, key, dots, err)
}
