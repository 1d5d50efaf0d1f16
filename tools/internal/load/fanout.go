package load

import (
	"fmt"

	"causalmesh/causal"
)

// Own writes in flight come about here: a session that is to read has branches, which
// go on from its context as parallel functions of a workflow would, write a key each,
// all of them in one send, and are joined. What none of their replies knows to be
// stable is then in flight as far as the session can know. With Options.Unjoined they
// are joined into one of their own number: all is the same but for what the session
// knows when it reads.

// fanOut appends the writes of a session's branches. Before that it asks until those of
// the last time are stable, so that as many are in flight as there are branches.
func (m *mesh) fanOut(b []byte, s *session) (_ []byte, err error) {
	f := s.flow
	if len(f.joint.core.Context().Own) > 0 {
		return m.sync(b, f.joint)
	}
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
		if branch := &f.branches[i]; f.failed == nil && branch != f.joint {
			f.failed = f.joint.core.Merge(branch.core.Context())
		}
	}
	if f.failed != nil {
		return answer{session: s, err: f.failed}
	}
	f.joined = true
	return answer{session: s, step: stepPrepared}
}
