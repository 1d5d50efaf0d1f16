package store

import "errors"

// The errors of configuration and of Check. Test for them with errors.Is.
var (
	// ErrConfig: a setting is invalid.
	ErrConfig = errors.New("store: bad configuration")
	// ErrReservedKey: the key begins with ReservedPrefix.
	ErrReservedKey = errors.New("store: key begins with the prefix " + ReservedPrefix + " which is reserved")
	// ErrUnreachable: Redis did not answer.
	ErrUnreachable = errors.New("store: Redis does not answer")
	// ErrUnsuitable: this Redis cannot be used as it is set up.
	ErrUnsuitable = errors.New("store: Redis is not suitable")
	// ErrMalformed: what is under the reserved prefix was not written by a store.
	ErrMalformed = errors.New("store: malformed entry")
)

// Why requests fail without being asked. They are logged, but for errClosed.
var (
	errClosed  = errors.New("store: closed")
	errLate    = errors.New("store: waited for too long behind other requests")
	errNoEpoch = errors.New("store: the server has no epoch yet")
)
