package causal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// signer makes and checks tags under the cluster key. A nil signer stands for a
// cluster without a key: tags are zero and all are believed.
type signer struct {
	mac   hash.Hash
	epoch Epoch
	// memory of sum and words: a tag makes no garbage.
	text  []byte
	tag   []byte
	words []uint64
	// The last vector that was signed: the tag is made once per change of S.
	last    VectorClock
	lastTag Tag
}

func newSigner(key []byte, epoch Epoch) *signer {
	if len(key) == 0 {
		return nil
	}
	return &signer{mac: hmac.New(sha256.New, key), epoch: epoch}
}

// The first byte of what is signed keeps vectors and dots apart.
const (
	signsVector = 'S'
	signsDot    = 'd'
)

func (s *signer) sum(kind byte, words ...uint64) (tag Tag) {
	s.text = binary.BigEndian.AppendUint64(append(s.text[:0], kind), uint64(s.epoch))
	for _, w := range words {
		s.text = binary.BigEndian.AppendUint64(s.text, w)
	}
	s.mac.Reset()
	s.mac.Write(s.text)
	s.tag = s.mac.Sum(s.tag[:0])
	copy(tag[:], s.tag)
	return tag
}

// vector signs the server's own v, once per change.
func (s *signer) vector(v VectorClock) Tag {
	if s == nil {
		return Tag{}
	}
	if !s.isLast(v) {
		s.last, s.lastTag = append(s.last[:0], v...), s.sumVector(v)
	}
	return s.lastTag
}

func (s *signer) isLast(v VectorClock) bool { return len(s.last) == len(v) && s.last.Equal(v) }

func (s *signer) sumVector(v VectorClock) Tag {
	s.words = s.words[:0]
	for _, c := range v {
		s.words = append(s.words, uint64(c))
	}
	return s.sum(signsVector, s.words...)
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
