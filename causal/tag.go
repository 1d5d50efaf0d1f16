package causal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// signer makes and checks tags under the cluster key. A nil signer stands for a
// cluster without a key: tags are zero and all are believed.
type signer struct {
	key   []byte
	epoch Epoch
	// The last vector that was signed: the tag is made once per change of S.
	last    VectorClock
	lastTag Tag
}

func newSigner(key []byte, epoch Epoch) *signer {
	if len(key) == 0 {
		return nil
	}
	return &signer{key: key, epoch: epoch}
}

// The first byte of what is signed keeps vectors and dots apart.
const (
	signsVector = 'S'
	signsDot    = 'd'
)

func (s *signer) sum(kind byte, words ...uint64) (tag Tag) {
	mac := hmac.New(sha256.New, s.key)
	buf := binary.BigEndian.AppendUint64([]byte{kind}, uint64(s.epoch))
	for _, w := range words {
		buf = binary.BigEndian.AppendUint64(buf, w)
	}
	mac.Write(buf)
	copy(tag[:], mac.Sum(nil))
	return tag
}

// vector signs the server's own v, once per change.
func (s *signer) vector(v VectorClock) Tag {
	if s == nil {
		return Tag{}
	}
	if !s.isLast(v) {
		s.last, s.lastTag = v.Clone(), s.sumVector(v)
	}
	return s.lastTag
}

func (s *signer) isLast(v VectorClock) bool { return len(s.last) == len(v) && s.last.Equal(v) }

func (s *signer) sumVector(v VectorClock) Tag {
	words := make([]uint64, len(v))
	for i, c := range v {
		words[i] = uint64(c)
	}
	return s.sum(signsVector, words...)
}

// goodVector reports whether a server of this cluster has stated v.
func (s *signer) goodVector(v SignedVector) bool {
	if s == nil {
		return true
	}
	tag := s.lastTag
	if !s.isLast(v.Vector) {
		tag = s.sumVector(v.Vector)
	}
	return hmac.Equal(tag[:], v.Tag[:])
}

func (s *signer) dot(d Dot) Tag {
	if s == nil {
		return Tag{}
	}
	return s.sum(signsDot, uint64(d.Origin), uint64(d.Incarnation), uint64(d.Counter))
}

// goodDot reports whether a server of this cluster has given d to a write.
func (s *signer) goodDot(d SignedDot) bool {
	if s == nil {
		return true
	}
	tag := s.dot(d.Dot)
	return hmac.Equal(tag[:], d.Tag[:])
}
