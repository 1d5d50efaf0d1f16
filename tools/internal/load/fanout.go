package load

import (
	"fmt"

	"causalmesh/causal"
)

// Own writes in flight come about here: a session that is to read has branches, which
// go on from its context as parallel functions of a workflow would, write a key each,
// all of them in one send, and are joined. What none of their replies knows to be
// stable is then in flight as far as the session can know.

// fanOut appends the writes of a session's branches.
func (m *mesh) fanOut(b []byte, s *session) (_ []byte, err error) {
	f := s.flow
	f.left, f.failed = len(f.branches), nil
	for i := range f.branches {
		branch := &f.branches[i]
		branch.core.Resume(f.main.core.Context())
		rank := s.rank()
		if rank == s.op.rank { // another key, so that the read is the server's to answer
			rank = (rank + 1) % m.run.o.Keys
		}
		if b, err = m.begin(b, branch, s.conn, causal.OpWrite, rank, s.nextValue()); err != nil {
			return b, err
		}
	}
	s.flight.prepared += int64(len(f.branches))
	return b, nil
}

// written takes the end of a branch's write. After the last one the branches are
// joined, and the read can begin.
func (m *mesh) written(s *session, failure error) answer {
	f := s.flow
	if f.left--; failure != nil && f.failed == nil {
		f.failed = fmt.Errorf("own write before a read: %w", failure)
	}
	if f.left > 0 {
		return answer{}
	}
	for i := range f.branches {
		if f.failed == nil {
			f.failed = f.main.core.Merge(f.branches[i].core.Context())
		}
	}
	if f.failed != nil {
		return answer{session: s, err: f.failed}
	}
	f.joined = true
	return answer{session: s, step: stepPrepared}
}
