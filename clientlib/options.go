package clientlib

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// DefaultTimeout bounds operations whose context has no deadline.
const DefaultTimeout = 5 * time.Second

// maxNameBytes bounds the name that a client gives itself.
const maxNameBytes = 256

// Option alters how a client behaves. See Dial.
type Option func(*options)

type options struct {
	timeout time.Duration
	name    string
	logger  *slog.Logger
}

// WithTimeout bounds every operation whose context has no deadline, Dial included.
// It does not shorten or extend the deadlines of contexts. The default is
// DefaultTimeout; zero or less means that only the context ends an operation.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithName gives the client a name, of at most 256 bytes, for the server's logs.
func WithName(name string) Option { return func(o *options) { o.name = name } }

// WithLogger makes the client log when a connection is lost and when there is one
// again. Operations are not logged. By default nothing is.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

func newOptions(list []Option) (options, error) {
	o := options{timeout: DefaultTimeout, logger: slog.New(slog.DiscardHandler)}
	for _, set := range list {
		set(&o)
	}
	if len(o.name) > maxNameBytes {
		return o, fmt.Errorf("%w: client name of %d bytes, the limit is %d", ErrTooLarge, len(o.name), maxNameBytes)
	}
	if o.logger == nil {
		return o, fmt.Errorf("%w: WithLogger(nil)", ErrBadRequest)
	}
	return o, nil
}

// WriteOption alters one write. See Session.Write.
type WriteOption func(*writeOptions)

type writeOptions struct {
	ttl time.Duration
	err error
}

// writeOptionsOf allocates, but not for a write without options.
func writeOptionsOf(list []WriteOption) writeOptions {
	if len(list) == 0 {
		return writeOptions{}
	}
	o := new(writeOptions)
	for _, set := range list {
		set(o)
	}
	return *o
}

// TTL makes a write expire: from d after the server took it, reads find nothing
// under the key. d must be positive and at most what the server allows.
func TTL(d time.Duration) WriteOption {
	return func(o *writeOptions) {
		o.ttl = d
		if d <= 0 {
			o.err = fmt.Errorf("%w: time to live of %v, want more than 0", ErrBadRequest, d)
		}
	}
}

var errTarget = errors.New(`want "unix:/path/to/socket", "shm:/path/to/socket", "direct:/path/to/socket" or "tcp:host:port"`)

// target is where a server is, and how to talk to it.
type target struct {
	network, address string
	// rings: through shared memory; table: and read the table directly.
	rings, table bool
}

func parseTarget(text string) (t target, err error) {
	way, address, _ := strings.Cut(text, ":")
	t = target{network: way, address: address}
	switch way {
	case "unix", "tcp":
	case "shm":
		t.network, t.rings = "unix", true
	case "direct":
		t.network, t.rings, t.table = "unix", true, true
	default:
		address = ""
	}
	if address == "" {
		return t, fmt.Errorf("%w: target %q: %w", ErrBadRequest, text, errTarget)
	}
	return t, nil
}
