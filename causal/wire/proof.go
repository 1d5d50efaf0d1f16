package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"causalmesh/causal"
)

// Role is which end of a link between servers proves that it holds the cluster
// key. It is part of the proof, so that neither end can send the other's back.
type Role uint8

// The two ends of a link.
const (
	RoleCalled  Role = 1 + iota // sent PeerWelcome; its proof is in there
	RoleCalling                 // sent PeerHello; its proof is in PeerProof
)

// proofLabel keeps proofs apart from everything else that is signed with the
// cluster key.
const proofLabel = "causalmesh peer proof 1\x00"

// Prove returns the proof that the given end holds key: an HMAC-SHA256 over both
// messages but for the proof in welcome. Both ends draw a fresh nonce per link, so
// a proof that was overheard is of no use on another.
//
// It proves who opened the link. It does not protect what is sent on it.
func Prove(key []byte, role Role, hello *PeerHello, welcome *PeerWelcome) (p Proof) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(proofLabel))
	acks := byte(0)
	if hello.Acks {
		acks = 1
	}
	mac.Write([]byte{byte(role), byte(hello.From), byte(hello.To), hello.RingSize, acks})
	writeUint64s(mac, uint64(ProtocolVersion))
	mac.Write(hello.Digest[:])
	mac.Write(hello.Nonce[:])
	writeUint64s(mac, uint64(hello.Epoch), uint64(hello.Incarnation), uint64(hello.Boot), uint64(hello.Expected))
	mac.Write(welcome.Nonce[:])
	writeUint64s(mac, uint64(welcome.Epoch), uint64(welcome.Incarnation), uint64(welcome.Boot))
	for _, v := range [][]causal.Counter{welcome.Received, welcome.Marks, welcome.Everywhere} {
		writeUint64s(mac, uint64(len(v)))
		for _, n := range v {
			writeUint64s(mac, uint64(n))
		}
	}
	mac.Sum(p[:0])
	return p
}

// Verify reports whether p is the proof of the given end. It takes the same time
// whatever p is. A nonce of zero is never good: its sender has no key.
func (p Proof) Verify(key []byte, role Role, hello *PeerHello, welcome *PeerWelcome) bool {
	if len(key) == 0 || hello.Nonce == (Nonce{}) || welcome.Nonce == (Nonce{}) {
		return false
	}
	want := Prove(key, role, hello, welcome)
	return hmac.Equal(p[:], want[:])
}

func writeUint64s(mac hash.Hash, numbers ...uint64) {
	var b [8]byte
	for _, n := range numbers {
		binary.BigEndian.PutUint64(b[:], n)
		mac.Write(b[:])
	}
}
