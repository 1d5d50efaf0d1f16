package daemon

import "errors"

// The errors of this package. Test for them with errors.Is.
var (
	// ErrConfig: a setting is missing, invalid, or does not go with another.
	// The text names the setting and says what to do.
	ErrConfig = errors.New("configuration")
	// ErrLeftBehind: the daemon had to end before everything that it had
	// acknowledged was stable and, with a store, flushed.
	ErrLeftBehind = errors.New("acknowledged writes were left behind")
	// ErrStopped: the daemon has ended, or ends now.
	ErrStopped = errors.New("daemon has stopped")
	// ErrBusy: the event loop did not answer in time.
	ErrBusy = errors.New("event loop does not answer")
)

// Why a connection is closed. They are counted, and logged for links between
// servers.
var (
	errSilent       = errors.New("silent for longer than link-timeout")
	errNoHandshake  = errors.New("no handshake in time")
	errDropped      = errors.New("dropped: the peer broke the protocol or lost its state")
	errReplaced     = errors.New("replaced by a newer connection")
	errOutdated     = errors.New("more has come over the old connection since: call again")
	errRefused      = errors.New("refused")
	errUnexpected   = errors.New("unexpected frame")
	errRestarted    = errors.New("was restarted and has lost its state: restart all nodes of the cluster")
	errProof        = errors.New("no proof of the cluster key: give all nodes the same --cluster-key")
	errNotEpoch     = errors.New("answers for another epoch")
	errShuttingDown = errors.New("shutting down")
	errElsewhere    = errors.New("shared memory is for clients on this machine: connect to listen-unix")
	errNotDirect    = errors.New("may not read the table")
	errNoBell       = errors.New("a client in shared memory rings its bell, and says nothing else on its socket")
)
