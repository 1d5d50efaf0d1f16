package causal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"causalmesh/causal/internal/defect"
)

// ErrProtocol: a server answered what no server of this protocol answers.
var ErrProtocol = errors.New("server broke the protocol")

// Session is the client's half of the protocol: one workflow, which roams from
// server to server with its context. It turns operations into requests and
// replies into results. It has one request under way at a time and is used by one
// goroutine.
type Session struct {
	id     uint64
	number uint32
	ctx    Context
	limits Limits
	// request is the one under way; its slices are the session's own.
	request Request
	// memory of the request's key and value, if it is a write, and of writes that are not
	// in flight any more.
	memory []byte
	spare  [][]byte
	key    [1][]byte

	experiment Experiment
}

const (
	// spareWrites is how many pieces of memory are kept for further writes.
	spareWrites = 64
	// spareWriteBytes is the largest of them.
	spareWriteBytes = 64 << 10
)

// NewSession returns a session without a past. The id must be random: servers
// recognise retries by it.
func NewSession(id uint64, limits Limits) *Session {
	return &Session{id: id, limits: limits.fill()}
}

// Experiment alters the session for the simulator.
func (s *Session) Experiment(e Experiment) { s.experiment = e }

// Context is what the session knows. It is valid until the next call.
func (s *Session) Context() *Context { return &s.ctx }

// Begin makes the request of an operation. The request and its slices are valid
// until Finish; to retry, send the same request again. Keys and value are copied
// where the session has to keep them.
func (s *Session) Begin(op Op, keys [][]byte, value []byte, ttl time.Duration) (*Request, error) {
	if err := s.check(op, keys, value, ttl); err != nil {
		return nil, err
	}
	s.number++
	s.request = Request{
		ID: RequestID{Session: s.id, Number: s.number}, Op: op, Epoch: s.ctx.Epoch, Known: s.ctx.Known,
		Time: s.ctx.Time, Own: s.request.Own[:0], Keys: keys, Value: value, TTL: ttl,
	}
	if op == OpWrite || op == OpDelete {
		s.request.Own = s.frontier(s.request.Own)
		s.takeOver(keys[0], value)
		if s.experiment.Carrying {
			s.request.Carried = s.carried()
		}
	}
	return &s.request, nil
}

// takeOver copies the key and the value of a write: it is kept while it is in flight.
func (s *Session) takeOver(key, value []byte) {
	if n := len(s.spare) - 1; s.memory == nil && n >= 0 {
		s.memory, s.spare = s.spare[n], s.spare[:n]
	}
	s.memory = append(append(s.memory[:0], key...), value...)
	k := len(key)
	s.key[0] = s.memory[:k:k]
	s.request.Keys, s.request.Value = s.key[:], nil
	if value != nil {
		s.request.Value = s.memory[k:len(s.memory):len(s.memory)]
	}
}

func (s *Session) check(op Op, keys [][]byte, value []byte, ttl time.Duration) error {
	l := &s.limits
	if code, detail := checkShape(op, keys, value, ttl, l); code != CodeOK {
		return code.Err(detail)
	}
	if op != OpWrite && op != OpDelete {
		return nil
	}
	if len(s.ctx.Own) >= l.OwnWrites {
		return fmt.Errorf("%w: %d own writes in flight, the limit is %d", ErrOverloaded, len(s.ctx.Own), l.OwnWrites)
	}
	if size := s.ctx.ownBytes() + len(keys[0]) + len(value); size > l.ContextBytes {
		return fmt.Errorf("%w: %d bytes of own writes in flight, the limit is %d", ErrOverloaded, size, l.ContextBytes)
	}
	return nil
}

// frontier lists the writes in flight, the highest of each origin: stability
// covers a prefix of each origin, so the highest stands for all.
func (s *Session) frontier(dots []SignedDot) []SignedDot {
next:
	for i := range s.ctx.Own {
		w := &s.ctx.Own[i]
		for j := range dots {
			if dots[j].Dot.Origin == w.Version.Dot.Origin {
				if dots[j].Dot.Counter < w.Version.Dot.Counter {
					dots[j] = SignedDot{w.Version.Dot, w.Tag}
				}
				continue next
			}
		}
		dots = append(dots, SignedDot{w.Version.Dot, w.Tag})
	}
	return dots
}

// carried is what a write of the carrying variant takes along.
func (s *Session) carried() []*Version {
	var list []*Version
	for i := range s.ctx.Own {
		v := s.ctx.Own[i].Version.Clone() // it is on its way for longer than it is in flight here
		if s.experiment.Defects.Has(defect.CarryLatest) {
			list = slices.DeleteFunc(list, func(w *Version) bool { return w.Dot.Origin == v.Dot.Origin })
		}
		list = append(list, v)
	}
	return list
}

// Finish takes the reply to the request under way. For reads it returns one
// version per key: the server's, or the session's own where that is higher. Their
// slices are the reply's or the session's. An error means that the operation was
// not carried out and the context is as it was.
func (s *Session) Finish(r *Reply) ([]Version, error) {
	q := &s.request
	if r.ID != q.ID || r.Op != q.Op {
		return nil, fmt.Errorf("%w: reply to %v %v, sent was %v %v", ErrProtocol, r.Op, r.ID, q.Op, q.ID)
	}
	if r.Code != CodeOK {
		return nil, r.Code.Err(r.Detail)
	}
	if s.ctx.Epoch != 0 && r.Epoch != s.ctx.Epoch {
		return nil, fmt.Errorf("%w: reply of epoch %d, session of epoch %d", ErrEpoch, r.Epoch, s.ctx.Epoch)
	}
	if read := q.Op == OpRead || q.Op == OpReadMany; read && len(r.Versions) != len(q.Keys) {
		return nil, fmt.Errorf("%w: %d values for %d keys", ErrProtocol, len(r.Versions), len(q.Keys))
	}
	for _, k := range s.ctx.Known {
		if !k.Vector.AtMost(r.Stability.Vector) {
			return nil, fmt.Errorf("%w: S=%v after %v", ErrProtocol, r.Stability.Vector, k.Vector)
		}
	}
	s.ctx.Epoch = r.Epoch
	if !s.experiment.Defects.Has(defect.TimeOnIntegration) {
		s.ctx.Time = max(s.ctx.Time, r.Time, r.Written.Stamp.Time)
	}
	// The server adopted what the session knew before it answered, so its S is all
	// that the session knows now. What S covers is no write in flight any more, but
	// it must be this S, that came with the values, and no later one.
	s.learn(r.Stability)
	op := q.Op
	q.Op = 0 // done; a second reply is none to this request
	switch op {
	case OpRead, OpReadMany:
		for i := range r.Versions {
			s.overlay(q.Keys[i], &r.Versions[i])
		}
		return r.Versions, nil
	case OpWrite, OpDelete:
		if !r.Stability.Vector.Covers(r.Written.Dot) {
			w := OwnWrite{Version: r.Written, Tag: r.WrittenTag, memory: s.memory}
			w.Version.Key, w.Version.Value = q.Keys[0], q.Value
			s.ctx.Own = append(s.ctx.Own, w)
			s.memory = nil
		}
	}
	return nil, nil
}

// ReadDirect reads d.Keys beside the writer, as Begin, the steps of d against the view and
// Finish would: the same, without a request. d says the table's epoch and how often to try.
// The versions are d's or the session's. It is false, and nothing has changed, if only the
// server can answer. Model: DirectLoadS, DirectReadSlot.
func (s *Session) ReadDirect(d *DirectRead, view View) ([]Version, bool) {
	if s.ctx.Epoch != 0 && s.ctx.Epoch != d.Epoch {
		return nil, false
	}
	for _, k := range d.Keys {
		if len(k) == 0 || len(k) > s.limits.KeyBytes {
			return nil, false
		}
	}
	if len(d.Keys) > s.limits.BatchKeys {
		return nil, false
	}
	d.Known = s.ctx.Known
	d.Begin()
	for outcome := DirectAgain; outcome != DirectDone; {
		if outcome = d.Step(view); outcome == DirectFallback {
			return nil, false
		}
	}
	s.ctx.Epoch = d.Epoch
	// Mostly S is what the session knows already, and nothing of its own is in flight.
	k := s.ctx.Known
	if len(s.ctx.Own) > 0 || len(k) != 1 || k[0].Tag != d.Stability.Tag || !k[0].Vector.Equal(d.Stability.Vector) {
		s.learn(d.Stability)
		for i := range d.Versions {
			s.overlay(d.Keys[i], &d.Versions[i])
		}
	}
	return d.Versions, true
}

// learn makes v what the session knows, and drops own writes that it covers.
func (s *Session) learn(v SignedVector) {
	if len(s.ctx.Known) == 1 {
		s.ctx.Known[0].Vector = append(s.ctx.Known[0].Vector[:0], v.Vector...)
		s.ctx.Known[0].Tag = v.Tag
	} else {
		s.ctx.Known = []SignedVector{{Vector: v.Vector.Clone(), Tag: v.Tag}}
	}
	if s.experiment.Defects.Has(defect.HoardOwnWrites) {
		return
	}
	s.ctx.Own = slices.DeleteFunc(s.ctx.Own, func(w OwnWrite) bool {
		stable := v.Vector.Covers(w.Version.Dot)
		if stable {
			s.reclaim(w.memory)
		}
		return stable
	})
}

// reclaim keeps the memory of a write that is not in flight any more for another one.
func (s *Session) reclaim(memory []byte) {
	if invariants { // whoever reads on shall not get away with it
		for i := range memory {
			memory[i] = 0xdb
		}
	}
	if memory != nil && len(s.spare) < spareWrites && cap(memory) <= spareWriteBytes {
		s.spare = append(s.spare, memory[:0])
	}
}

// overlay replaces a value that was read by the session's own write of the key, if
// that is higher and still in flight.
func (s *Session) overlay(key []byte, v *Version) {
	for i := range s.ctx.Own {
		w := &s.ctx.Own[i].Version
		if string(w.Key) != string(key) || !v.Stamp.Less(w.Stamp) {
			continue
		}
		if *v = *w; v.Gone(s.ctx.Time) {
			v.Value, v.Tombstone = nil, true
		}
	}
}

// OwnRead answers a read from the session's own writes alone. Only the defect
// OwnWriteUnasked uses it: another session may have overwritten the value, and
// this one may have seen what followed.
func (s *Session) OwnRead(key []byte) (v Version, ok bool) {
	if s.experiment.Defects.Has(defect.OwnWriteUnasked) {
		v.Key = key
		s.overlay(key, &v)
	}
	return v, !v.Absent()
}

// Resume makes the session go on from a context, as the next function of a
// workflow does. It drops what the session knew.
func (s *Session) Resume(c *Context) { s.ctx = c.clone() }

// Merge joins the context of a parallel branch into the session's. Model: Merge.
func (s *Session) Merge(c *Context) error {
	if c.Epoch == 0 {
		return nil // a branch that did nothing
	}
	if s.ctx.Epoch == 0 {
		s.Resume(c)
		return nil
	}
	if c.Epoch != s.ctx.Epoch {
		return fmt.Errorf("%w: branches of epochs %d and %d", ErrEpoch, s.ctx.Epoch, c.Epoch)
	}
	m := s.ctx.clone()
	for _, k := range c.Known {
		m.know(k)
	}
	if len(m.Known) > s.limits.Branches {
		return fmt.Errorf("%w: a join of %d branches, the limit is %d; make a request in between",
			ErrTooLarge, len(m.Known), s.limits.Branches)
	}
	for _, w := range c.Own {
		if !slices.ContainsFunc(m.Own, func(x OwnWrite) bool { return x.Version.Dot == w.Version.Dot }) {
			m.Own = append(m.Own, w.clone())
		}
	}
	m.Own = slices.DeleteFunc(m.Own, func(w OwnWrite) bool { return m.covers(w.Version.Dot) })
	slices.SortStableFunc(m.Own, func(a, b OwnWrite) int { return a.Version.Stamp.Compare(b.Version.Stamp) })
	if len(m.Own) > s.limits.OwnWrites {
		return fmt.Errorf("%w: the branches have %d own writes in flight, the limit is %d; try again shortly",
			ErrOverloaded, len(m.Own), s.limits.OwnWrites)
	}
	if size := m.ownBytes(); size > s.limits.ContextBytes {
		return fmt.Errorf("%w: the branches have %d bytes of own writes in flight, the limit is %d; try again shortly",
			ErrOverloaded, size, s.limits.ContextBytes)
	}
	m.Time = max(m.Time, c.Time)
	s.ctx = m
	return nil
}
