package clientlib

import (
	"errors"
	"fmt"
	"time"

	"causalmesh/causal"
)

// doubt remembers that the session's request, a write, was sent and may have been
// carried out.
type doubt struct {
	exists bool
	// at is the only server that can tell.
	at server
}

// begin makes the request of an operation. It gives up a write in doubt.
func (s *Session) begin(op causal.Op, keys [][]byte, value []byte, ttl time.Duration) error {
	s.doubt = doubt{}
	r, err := s.core.Begin(op, keys, value, ttl)
	if err == nil {
		s.request = r
	}
	return err
}

// beginWrite is begin for a write or delete. If the session has too many writes in
// flight it asks the server, again and again, which of them are stable: mostly
// that is a matter of a millisecond.
func (s *Session) beginWrite(p *patience, op causal.Op, key string, value []byte, ttl time.Duration) error {
	var b backoff
	for {
		s.takeKeys(key)
		err := s.begin(op, s.keys, value, ttl)
		if !errors.Is(err, ErrOverloaded) {
			s.lastWrite = Version{}
			return err
		}
		if len(s.core.Context().Own) == 0 {
			return err // nothing will change
		}
		end := p.pause(b.next())
		if end == nil {
			end = s.sync(p)
		}
		if end != nil {
			return fmt.Errorf("%w: %w", err, end)
		}
	}
}

// exchange sends the session's request and takes in the reply. It repeats the
// request, always under the same ID, while connections are lost or the server is
// not ready, until p ends; but a write that may have been carried out goes to no
// other server than the one that may have done it, since that alone recognises it.
func (s *Session) exchange(p *patience) ([]causal.Version, error) {
	op := s.request.Op
	write := op == causal.OpWrite || op == causal.OpDelete
	var b backoff
	var last error // why the request is being repeated
	for {
		c, err := s.client.connection(p, temporary)
		if err != nil {
			return nil, s.doubtful(err)
		}
		if s.doubt.exists && c.identity() != s.doubt.at {
			return nil, s.doubtful(fmt.Errorf(
				"%w that took it: it was restarted, or another one is in its place", ErrDisconnected))
		}
		sent, err := c.roundTrip(p, &s.call, s.request)
		if err == nil {
			var versions []causal.Version
			if versions, err = s.finish(c); err == nil || !errors.Is(err, ErrNotReady) {
				return versions, err
			}
		} else {
			if sent && write {
				s.doubt = doubt{exists: true, at: c.identity()}
			}
			if last != nil && p.end() != nil {
				return nil, s.doubtful(fmt.Errorf("%w: %w", last, err))
			}
			if !errors.Is(err, ErrDisconnected) {
				return nil, s.doubtful(err)
			}
		}
		last = err
		if end := p.pause(b.next()); end != nil {
			return nil, s.doubtful(fmt.Errorf("%w: %w", err, end))
		}
	}
}

// doubtful adds to err that the outcome is unknown, if it is.
func (s *Session) doubtful(err error) error {
	if !s.doubt.exists || errors.Is(err, ErrUnknownOutcome) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// finish takes in the reply in s.call.
func (s *Session) finish(c link) ([]causal.Version, error) {
	r := &s.call.reply
	write := s.request.Op == causal.OpWrite || s.request.Op == causal.OpDelete
	err := checkReply(r, write)
	var versions []causal.Version
	if err == nil {
		versions, err = s.core.Finish(r)
	}
	if errors.Is(err, ErrProtocol) {
		c.fail(err)
	}
	switch {
	case err == nil:
		s.doubt = doubt{}
		if write {
			s.lastWrite = newVersion(&r.Written)
		}
		return versions, nil
	case write && (r.Code == causal.CodeOK || errors.Is(err, ErrProtocol)):
		// Something was done, but nothing that the session could rely on.
		s.doubt = doubt{exists: true, at: c.identity()}
	}
	// A refusal of a repetition says nothing about the first time.
	return nil, s.doubtful(err)
}

// checkReply refuses what the core does not look at.
func checkReply(r *causal.Reply, write bool) error {
	switch {
	case r.Code > causal.CodeNotReady: // a newer server may have more reasons
		return fmt.Errorf("%w: code %d: %s", ErrRefused, r.Code, r.Detail)
	case r.Code != causal.CodeOK:
		return nil
	case r.Epoch == 0:
		return fmt.Errorf("%w: reply without an epoch", ErrProtocol)
	case write && (r.Written.Absent() || r.Written.Dot.IsZero()):
		return fmt.Errorf("%w: a write that became nothing", ErrProtocol)
	}
	return nil
}
