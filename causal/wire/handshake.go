package wire

import (
	"causalmesh/causal"
	"cmp"
)

//go:generate go tool msgp -io=false -tests=false

// The messages of the handshake are maps with names, so that a field can be added
// without a new version: who does not know a field skips it, and a field that is
// not there is zero. That costs bytes, once per connection.

//msgp:limit arrays:64 maps:64 marshal:true
//msgp:noduplicates
//msgp:ignore Nonce Proof Digest
//msgp:replace causal.Epoch with:uint64
//msgp:replace causal.Incarnation with:uint16
//msgp:replace causal.ReplicaID with:uint8
//msgp:replace causal.Counter with:uint64
//msgp:replace BootID with:uint64
//msgp:replace RefusalCode with:uint8

// BootID is drawn at random when a daemon starts: a peer that sees another one
// knows that the server has lost its memory since.
type BootID uint64

// Nonce is drawn at random for each link between servers. It is zero where the
// sender has no cluster key.
type Nonce [16]byte

// Proof shows that its sender holds the cluster key. See Prove.
type Proof [32]byte

// Digest is the start of a hash over the configuration that all servers of a ring
// must agree on: the list of peers, the mode of propagation, whether there is a
// database, and how large keys and values may be.
type Digest [16]byte

// Hello is the first frame from a client.
type Hello struct {
	// Client names the client in the server's logs. It may be empty.
	Client string `msg:"client"`
	// Rings: the client wants to go on over shared memory, and Table: to read the table
	// by itself as well. For clients on the server's machine, over its Unix socket.
	Rings bool `msg:"rings,omitempty"`
	Table bool `msg:"table,omitempty"`
}

// Welcome is the server's answer to Hello.
type Welcome struct {
	Node        causal.ReplicaID   `msg:"node"`
	RingSize    uint8              `msg:"ring_size"`
	Epoch       causal.Epoch       `msg:"epoch"`
	Incarnation causal.Incarnation `msg:"incarnation"`
	// Signed: a cluster key is in force, contexts without tags are refused.
	Signed bool         `msg:"signed"`
	Limits ClientLimits `msg:"limits"`
	// Daemon is the version of the server's program, for people.
	Daemon string `msg:"daemon"`
	// Rings and Table: open files come with this frame, that of the rings first. From
	// here on requests and replies go through the rings, and each byte on the socket is
	// a Bell.
	Rings bool `msg:"rings,omitempty"`
	Table bool `msg:"table,omitempty"`
}

// Bell wakes whoever sleeps at the other end of the rings. No frame begins with it.
const Bell byte = 0xff

// ClientLimits are the server's limits that a client must keep.
type ClientLimits struct {
	KeyBytes     uint32 `msg:"key_bytes"`
	ValueBytes   uint32 `msg:"value_bytes"`
	ContextBytes uint32 `msg:"context_bytes"`
	BatchKeys    uint32 `msg:"batch_keys"`
	OwnWrites    uint32 `msg:"own_writes"`
	Branches     uint32 `msg:"branches"`
}

// ClientLimitsOf returns the part of l that clients must know, with defaults for
// zero fields. l must have passed CheckLimits.
func ClientLimitsOf(l causal.Limits) ClientLimits {
	d := causal.DefaultLimits
	return ClientLimits{
		KeyBytes:     uint32(cmp.Or(l.KeyBytes, d.KeyBytes)),
		ValueBytes:   uint32(cmp.Or(l.ValueBytes, d.ValueBytes)),
		ContextBytes: uint32(cmp.Or(l.ContextBytes, d.ContextBytes)),
		BatchKeys:    uint32(cmp.Or(l.BatchKeys, d.BatchKeys)),
		OwnWrites:    uint32(cmp.Or(l.OwnWrites, d.OwnWrites)),
		Branches:     uint32(cmp.Or(l.Branches, d.Branches)),
	}
}

// Limits returns base with the server's limits in place of its own.
func (c ClientLimits) Limits(base causal.Limits) causal.Limits {
	base.KeyBytes = int(c.KeyBytes)
	base.ValueBytes = int(c.ValueBytes)
	base.ContextBytes = int(c.ContextBytes)
	base.BatchKeys = int(c.BatchKeys)
	base.OwnWrites = int(c.OwnWrites)
	base.Branches = int(c.Branches)
	return base
}

// RefusalCode is why a server refuses a connection.
type RefusalCode uint8

// The reasons. A client may try again after RefusedOverloaded and RefusedNotReady;
// the others need a person.
const (
	RefusedVersion    RefusalCode = 1 + iota // another protocol version
	RefusedMalformed                         // the hello is invalid
	RefusedOverloaded                        // reserved: this version closes without a word
	RefusedNotReady                          // the server has not joined its ring yet
	RefusedConfig                            // ring size, server number or digest differ
	RefusedEpoch                             // of another epoch
	RefusedProof                             // without the cluster key, or with another one
	RefusedSharing                           // no shared memory for this client
)

var refusalTexts = [...]string{
	RefusedVersion:    "protocol versions differ",
	RefusedMalformed:  "malformed hello",
	RefusedOverloaded: "too many connections",
	RefusedNotReady:   "not ready",
	RefusedConfig:     "configurations differ",
	RefusedEpoch:      "epochs differ",
	RefusedProof:      "no proof of the cluster key",
	RefusedSharing:    "no shared memory",
}

func (c RefusalCode) String() string {
	if c == 0 || int(c) >= len(refusalTexts) {
		return "unknown reason"
	}
	return refusalTexts[c]
}

// Refusal is the answer to a hello that is not accepted; the connection ends with
// it. It is the only message that is read whatever version it is from.
type Refusal struct {
	Code RefusalCode `msg:"code"`
	// Text completes the reason for a person.
	Text string `msg:"text"`
	// Version of the sender; it is not among the fields, but in the envelope, and
	// DecodeHandshake fills it in.
	Version uint16 `msg:"-"`
}

// Err returns the refusal as an error: a VersionError if versions differ, a
// RefusedError otherwise.
func (z *Refusal) Err() error {
	if z.Code == RefusedVersion && z.Version != ProtocolVersion {
		return &VersionError{Ours: ProtocolVersion, Theirs: z.Version}
	}
	return &RefusedError{Code: z.Code, Text: z.Text}
}

// PeerHello is the first frame from a server that connects to another.
type PeerHello struct {
	From     causal.ReplicaID `msg:"from"`
	To       causal.ReplicaID `msg:"to"`
	RingSize uint8            `msg:"ring_size"`
	Digest   Digest           `msg:"digest"`
	// Epoch is 0 while the sender has none yet.
	Epoch       causal.Epoch       `msg:"epoch"`
	Incarnation causal.Incarnation `msg:"incarnation"`
	Boot        BootID             `msg:"boot"`
	// Expected is the boot id that the called server had when the two last met in
	// this epoch, 0 if they never did. A server with another one was restarted since:
	// it must not join the epoch again, which counts on what it has lost.
	Expected BootID `msg:"expected"`
	// Acks: the sender wants acknowledgements on this link.
	Acks  bool  `msg:"acks"`
	Nonce Nonce `msg:"nonce"`
}

// PeerWelcome is the answer to PeerHello. The vectors tell the sender where to go
// on: what has arrived (R), how far second traversals have come (M), and what every
// server holds (E).
type PeerWelcome struct {
	Epoch       causal.Epoch       `msg:"epoch"`
	Incarnation causal.Incarnation `msg:"incarnation"`
	Boot        BootID             `msg:"boot"`
	Received    []causal.Counter   `msg:"received"`
	Marks       []causal.Counter   `msg:"marks"`
	Everywhere  []causal.Counter   `msg:"everywhere"`
	Nonce       Nonce              `msg:"nonce"`
	Proof       Proof              `msg:"proof"`
}

// PeerProof follows PeerWelcome where there is a cluster key. Until it has come the
// server that was called believes nothing of the hello.
type PeerProof struct {
	Proof Proof `msg:"proof"`
}
