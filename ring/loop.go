package ring

import (
	"cmp"
	"time"
)

// ConnID names a connection of a loop. IDs are never used again, and are below 2^56;
// zero names none.
type ConnID uint64

// ListenerID names a listener of a loop; the caller chooses it.
type ListenerID int

// Peer is what is known of the other end of an accepted connection.
type Peer struct {
	Addr string
	// UID and PID are the credentials of a Unix socket's other end; -1 if unknown.
	UID, PID int
}

// Handler is what a loop drives. All calls come from one goroutine.
type Handler interface {
	// Accepted tells of a new connection. An error closes it at once, counts as
	// refused, and is the last call about c.
	Accepted(c ConnID, l ListenerID, p Peer) error
	// Connected tells what Dial came to: a connection, or the error.
	Connected(token uint64, c ConnID, err error)
	// Received hands over bytes. The handler says how many it has used up; the rest
	// comes again, with more behind it. data is valid during the call only. An error
	// closes the connection after what is in Out has been sent. So does the end of
	// the other side's sending: a half-closed peer gets the answers that are in Out
	// by then, and no later ones.
	Received(c ConnID, data []byte) (used int, err error)
	// Closed tells that a connection is gone, whoever closed it; it is the last
	// call about c. err is nil after an orderly end by the other side or after
	// Loop.Close.
	Closed(c ConnID, err error)
	// Woken follows one or more calls of Loop.Wake.
	Woken()
	// Tick is called every Options.Tick.
	Tick(now time.Time)
	// EndOfTurn is called once after the events of a turn, before sending.
	EndOfTurn(now time.Time)
}

// Poller is a Handler that has other sources than the loop's connections: memory that it
// shares with other processes. A loop asks its handler once, in Run, whether it is one.
//
//	turn ─▶ Ready? ─▶ Poll                        while the loop spins: Ready? Ready? …
//	before the loop sleeps ─▶ Spin ─▶ Sleep
type Poller interface {
	Handler
	// Ready reports whether there is something to do. It has to be cheap.
	Ready() bool
	// Poll does it. It is called in a turn, before Woken.
	Poll()
	// Spin is how long the loop may look out for something before it sleeps. A loop that
	// cannot do so without holding up others ignores it.
	Spin() time.Duration
	// Sleep is the last call before the loop sleeps: from now on whatever arrives has to
	// wake it, over a connection or by Wake. It is false if something has arrived already;
	// the loop then takes a turn.
	Sleep() bool
}

// Kinds is how many kinds of requests a handler may tell apart.
const Kinds = 8

// Loop moves bytes between connections and its handler.
type Loop interface {
	// Listen opens a listener ("unix" or "tcp") before Run. It returns the address
	// that was bound.
	Listen(l ListenerID, network, address string) (string, error)
	// Deal makes the loop hand the connections that listener l accepts to loops, one
	// after the other in turn; it may be among them. From then on a connection is
	// that loop's, whose handler hears of it as accepted by l; MaxConns counts those
	// of all. The loops are of the same implementation and run before this one does;
	// this one stops before they do. Before Run.
	Deal(l ListenerID, loops []Loop) error
	// Run serves until Stop. It returns after all connections are closed, each Dial
	// is answered and all goroutines of the loop have ended. A loop runs once.
	Run(h Handler) error
	// Stop ends Run from any goroutine and does not wait for it: nothing new is
	// accepted or received, what is in the connections' Out is sent within the grace
	// period, then all are closed. A second call may shorten the grace period.
	Stop(grace time.Duration)
	// Wake makes the loop call Woken, from any goroutine.
	Wake()

	// The following are for the handler, during its calls only.

	// Dial connects in the background; Connected tells the outcome under token,
	// exactly once. A timeout of zero is 5 s.
	Dial(token uint64, network, address string, timeout time.Duration)
	// Out is what the turn has to say on a connection, to append to, or nil if the
	// connection is gone or closing. It is sent after EndOfTurn; the pointer is valid
	// until then.
	Out(c ConnID) *Outgoing
	// Queued is how many bytes of a connection the kernel has not taken yet,
	// Out included.
	Queued(c ConnID) int
	// Close closes a connection after sending what is in Out. Nothing more is
	// received from it.
	Close(c ConnID)
	// TurnWithin has the loop take a turn, with its EndOfTurn, at most that much later,
	// whether or not anything happens until then.
	TurnWithin(d time.Duration)
	// SendFiles sends b together with open files over a connection of a Unix socket, at
	// once, in a system call of its own. It is for a connection on which nothing was
	// said yet; where the kernel does not take all of b it fails. The files stay the
	// caller's, who may close them.
	SendFiles(c ConnID, b []byte, files []int) error
	// Timed tells those who measure from outside what the handler has measured itself, of
	// requests that come some other way than over connections. It may take some ms.
	Timed(t Timing)
	// Stats counts.
	Stats() Stats
}

// Options bound a loop.
type Options struct {
	// Tick is the period of Handler.Tick. Default 25 ms.
	Tick time.Duration
	// MaxConns bounds the accepted connections of each listener, so that the clients
	// of one cannot keep out those of another; more are closed at once. Default 16384.
	MaxConns int
	// HighWater is how many bytes may be queued for a connection before the loop
	// stops reading from it. Default 1 MiB.
	HighWater int
	// MaxQueued closes a connection when more than this is queued after a turn.
	// Default 64 MiB.
	MaxQueued int
	// StallTimeout closes a connection whose queued bytes have not moved for this
	// long. Default 10 s.
	StallTimeout time.Duration
	// LingerTimeout is how long a connection that the loop has closed waits for the
	// other side to close as well. Default 1 s.
	LingerTimeout time.Duration
	// MaxUnused is how many received bytes may stay unused (an incomplete frame);
	// a connection with more is closed. Default 9 MiB.
	MaxUnused int
	// Now is the clock that StallTimeout and the grace period of Stop are measured by;
	// over io_uring all other times of Options, too. Default time.Now. A test that moves its
	// own clock calls Wake: the loop waits in real time, and reads the clock in each turn.
	Now func() time.Time
}

// WithDefaults fills in what is zero.
func (o Options) WithDefaults() Options {
	o.Tick = cmp.Or(o.Tick, 25*time.Millisecond)
	o.MaxConns = cmp.Or(o.MaxConns, 16384)
	o.HighWater = cmp.Or(o.HighWater, 1<<20)
	o.MaxQueued = cmp.Or(o.MaxQueued, 64<<20)
	o.StallTimeout = cmp.Or(o.StallTimeout, 10*time.Second)
	o.LingerTimeout = cmp.Or(o.LingerTimeout, time.Second)
	o.MaxUnused = cmp.Or(o.MaxUnused, 9<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Stats count what a loop has done.
type Stats struct {
	Accepted uint64 `json:"accepted"`
	Refused  uint64 `json:"refused"` // over MaxConns, or by the handler
	// AcceptErrors are failed accepts (no file descriptors left, say); they are
	// tried again.
	AcceptErrors uint64 `json:"accept_errors"`
	Closed       uint64 `json:"closed"`
	Stalled      uint64 `json:"stalled"` // closed for not reading
	BytesIn      uint64 `json:"bytes_in"`
	BytesOut     uint64 `json:"bytes_out"`
	Turns        uint64 `json:"turns"`
	// Enters are calls of io_uring_enter, at most one a turn; 0 without io_uring.
	Enters uint64 `json:"enters"`
	// Starved are receives that found none of the loop's receive buffers free; they
	// are tried again. 0 without io_uring.
	Starved   uint64 `json:"starved"`
	OpenConns int    `json:"open_conns"`
}

// Add adds what another loop has counted.
func (s *Stats) Add(t Stats) {
	s.Accepted += t.Accepted
	s.Refused += t.Refused
	s.AcceptErrors += t.AcceptErrors
	s.Closed += t.Closed
	s.Stalled += t.Stalled
	s.BytesIn += t.BytesIn
	s.BytesOut += t.BytesOut
	s.Turns += t.Turns
	s.Enters += t.Enters
	s.Starved += t.Starved
	s.OpenConns += t.OpenConns
}
