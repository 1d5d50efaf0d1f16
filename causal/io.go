package causal

// ClientID says to whom a reply goes. It is the caller's; the server only keeps
// and returns it.
type ClientID uint64

// Token is a caller's note about a request, of which the server knows nothing.
type Token [2]uint64

// InputKind says what an Input is.
type InputKind uint8

// The inputs of a server.
const (
	InputRequest     InputKind = 1 + iota // Client, Request, Token
	InputMessage                          // Peer, Message
	InputLinkUp                           // Peer, Received, Marks, Everywhere: an outgoing link is connected
	InputLinkDown                         // Peer: an outgoing link is lost
	InputPredecessor                      // WantsAcks: the predecessor has connected
	InputLoaded                           // Load
	InputFlushed                          // Flush
)

// Input is one thing that happens to a server. Now is the wall clock's reading; it
// should not go back, and counts as standing still if it does.
type Input struct {
	Now     Time
	Kind    InputKind
	Client  ClientID
	Request *Request
	Token   Token // comes back with the request's reply
	Peer    ReplicaID
	Message *Message
	// Received, Marks and Everywhere are what the peer stated when the link came
	// up: its R, its marks and its E.
	Received, Marks, Everywhere VectorClock
	WantsAcks                   bool
	Load                        *LoadResult
	Flush                       *FlushResult
}

// Output collects what a step asks its caller to do. The caller owns it, reuses
// it, and handles everything before the next step: first Drop, then Messages and
// Replies (their slices may refer to the table and are valid until then), then
// Loads and Flushes. Ring messages are not here: the caller pulls them with
// Server.Pull whenever the link to the successor can take more.
type Output struct {
	Replies  []ClientReply
	Messages []Envelope
	Loads    []LoadRequest
	Flushes  []FlushRequest
	// Drop lists peers whose links must be closed, both ways, and set up anew.
	Drop   []ReplicaID
	Events []Event
}

// Reset empties o for reuse.
func (o *Output) Reset() {
	clear(o.Replies)
	clear(o.Messages)
	clear(o.Loads)
	clear(o.Flushes)
	o.Replies, o.Messages, o.Loads = o.Replies[:0], o.Messages[:0], o.Loads[:0]
	o.Flushes, o.Drop, o.Events = o.Flushes[:0], o.Drop[:0], o.Events[:0]
}

// ClientReply is a reply and whom it is for.
type ClientReply struct {
	Client ClientID
	Token  Token // of the request's input
	Reply  Reply
}

// Envelope is a message and whom it is for. A message to a peer whose link is
// down may be dropped.
type Envelope struct {
	To      ReplicaID
	Message Message
}

// EventKind says what an Event tells.
type EventKind uint8

// The events that an operator wants to see.
const (
	// EventPeerLostState: a peer lacks what everyone had: it was restarted.
	EventPeerLostState EventKind = 1 + iota
	// EventFenced: a later epoch of the cluster owns the database.
	EventFenced
	// EventImported: a value that another program wrote was imported.
	EventImported
	// EventReissued: the database held a higher stamp than a new write's (a clock
	// went back); the write was made again above it.
	EventReissued
)

func (k EventKind) String() string {
	switch k {
	case EventPeerLostState:
		return "peer lost its state"
	case EventFenced:
		return "fenced by a later epoch"
	case EventImported:
		return "imported a foreign value"
	case EventReissued:
		return "reissued a write above the database's"
	}
	return "unknown"
}

// Event is something that happened and belongs in a log.
type Event struct {
	Kind EventKind
	Peer ReplicaID
	Key  []byte
}
