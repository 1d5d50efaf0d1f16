package clientlib

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// Client is a connection to one cache server, which is made again when it is lost.
// Any number of sessions share it: their requests are pipelined. All methods may be
// called from any goroutine.
type Client struct {
	name    string // of the target, as Dial was given it
	target  target
	options options
	// life ends with Close. It bounds attempts to connect, which serve whoever waits
	// and so are not bound to one operation's context.
	life context.Context
	end  context.CancelFunc
	// running counts the goroutines of connections and attempts.
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	current link     // the last connection, maybe lost
	dialing *dialing // the attempt under way, if any
	backoff backoff  // over failed attempts
	welcome *wire.Welcome
	// view is the table of the last connection, nil if it is not read directly.
	view atomic.Pointer[view]
}

// Dial connects to the cache server at target, which is one of
//
//	unix:/path/to/socket    the server on this machine
//	tcp:host:port           one on another machine
//	shm:/path/to/socket     the one on this machine, through shared memory: requests and
//	                        replies are passed without system calls while both sides are busy
//	direct:/path/to/socket  the same, and what is cached is read from the server's own
//	                        table, without asking it: reads at memory speed. The server must
//	                        allow this user to (its setting direct-uids), else ErrRefused
//
// The path is that of the server's Unix socket each time, and so are all guarantees. Dial
// waits for a server that is there and not ready yet until ctx
// ends; any other failure is returned at once: ErrDisconnected (also if the server
// has too many connections: it closes this one), ErrVersion, ErrRefused, ErrProtocol,
// or ErrBadRequest for the target or an option. Later, when the connection has been
// lost, operations connect again by themselves.
func Dial(ctx context.Context, target string, opts ...Option) (*Client, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	where, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	c := &Client{name: target, target: where, options: o}
	c.life, c.end = context.WithCancel(context.Background())
	p := newPatience(ctx, o.timeout, nil)
	defer p.stop()
	_, err = c.connection(&p, func(err error) bool { return errors.Is(err, ErrNotReady) })
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return c, nil
}

// Close ends the connection. Operations under way end with ErrClosed, writes that
// were sent with ErrUnknownOutcome as well. Sessions are not lost: their contexts
// can be exported and they can Move. Close always returns nil; it exists in this
// form for io.Closer.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	current := c.current
	c.mu.Unlock()
	c.end()
	if current != nil {
		current.fail(ErrClosed)
	}
	c.running.Wait()
	return nil
}

// Session starts a workflow without a past.
func (c *Client) Session() *Session {
	return &Session{client: c, core: c.newCore()}
}

// Resume goes on with a workflow from the context that Session.Context exported,
// here or at any other server of the cluster. It makes no request: that the context
// is of this cluster and epoch is found by the first operation. Bytes that are no
// context give ErrContext, those of another version of this package ErrVersion.
func (c *Client) Resume(context []byte) (*Session, error) {
	x, err := decodeContext(context)
	if err != nil {
		return nil, err
	}
	s := c.Session()
	s.core.Resume(&x)
	return s, nil
}

// Info tells what the server said about itself when the last connection was made.
func (c *Client) Info() Info {
	c.mu.Lock()
	w := c.welcome
	c.mu.Unlock()
	l := causalLimits(w)
	return Info{
		Target: c.name, Node: w.Node, RingSize: int(w.RingSize), Epoch: w.Epoch,
		Incarnation: w.Incarnation, Signed: w.Signed, Daemon: w.Daemon,
		Limits: Limits{
			KeyBytes: l.KeyBytes, ValueBytes: l.ValueBytes, ContextBytes: l.ContextBytes,
			BatchKeys: l.BatchKeys, OwnWrites: l.OwnWrites, Branches: l.Branches,
		},
	}
}

// Info describes the server that a client is connected to.
type Info struct {
	// Target is what Dial was given.
	Target string
	// Node is the server's place in the ring, from 0 to RingSize-1.
	Node        ReplicaID
	RingSize    int
	Epoch       Epoch
	Incarnation Incarnation
	// Signed: the cluster has a key, so contexts cannot be forged.
	Signed bool
	// Daemon is the version of the server's program.
	Daemon string
	Limits Limits
}

// Limits are the server's bounds for clients. What is over them gives ErrTooLarge,
// or ErrOverloaded where it passes by itself.
type Limits struct {
	KeyBytes   int // of one key
	ValueBytes int // of one value
	// ContextBytes bounds the keys and values of a session's writes in flight, all
	// together.
	ContextBytes int
	BatchKeys    int // keys of one ReadMany
	OwnWrites    int // writes of one session in flight
	Branches     int // contexts of one join, where the cluster has a key
}

// newCore returns the protocol's half of a session.
func (c *Client) newCore() *causal.Session {
	c.mu.Lock()
	limits := causalLimits(c.welcome)
	c.mu.Unlock()
	// Servers recognise retries by the session's ID. The kernel's generator is asked
	// each time: two copies of one process snapshot, as serverless platforms make
	// them, would draw the same numbers from a generator in the process, and the
	// server would take the writes of one for retries of the other's.
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: see crypto/rand
	return causal.NewSession(binary.NativeEndian.Uint64(id[:]), limits)
}

// causalLimits returns the limits of a session at the server that said w, with the
// defaults where the server named none.
func causalLimits(w *wire.Welcome) causal.Limits {
	l, d := w.Limits.Limits(causal.DefaultLimits), causal.DefaultLimits
	l.KeyBytes = cmp.Or(l.KeyBytes, d.KeyBytes)
	l.ValueBytes = cmp.Or(l.ValueBytes, d.ValueBytes)
	l.ContextBytes = cmp.Or(l.ContextBytes, d.ContextBytes)
	l.BatchKeys = cmp.Or(l.BatchKeys, d.BatchKeys)
	l.OwnWrites = cmp.Or(l.OwnWrites, d.OwnWrites)
	l.Branches = cmp.Or(l.Branches, d.Branches)
	return l
}

func decodeContext(b []byte) (causal.Context, error) {
	x, err := wire.DecodeContext(b)
	if err != nil && !errors.Is(err, ErrVersion) {
		err = fmt.Errorf("%w: %w", ErrContext, err)
	}
	return x, err
}
