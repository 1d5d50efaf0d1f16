package causal

import (
	"fmt"
	"time"

	"causalmesh/causal/internal/defect"
)

// Requests of clients.

// request carries out a client's request, or refuses it.
func (s *Server) request(client ClientID, r *Request, out *Output) {
	if code, detail := s.checkRequest(r); code != CodeOK {
		s.refuse(client, r, code, detail, out)
		return
	}
	var stale []Version
	if s.defects.Has(defect.StaleValue) {
		stale = s.staleValues(r)
	}
	if code, detail := s.adopt(r.Known, out); code != CodeOK {
		s.refuse(client, r, code, detail, out)
		return
	}
	switch r.Op {
	case OpSync:
		s.counters.Syncs++
		s.took(Transition{Action: ActionSync, Client: client})
		s.reply(client, Reply{ID: r.ID, Op: r.Op}, out)
	case OpRead, OpReadMany:
		s.read(client, r, stale, out)
	case OpWrite, OpDelete:
		s.write(client, r, out)
	}
}

// checkRequest refuses what no honest client sends.
func (s *Server) checkRequest(r *Request) (Code, string) {
	l := &s.cfg.Limits
	if s.fenced {
		return CodeNotReady, "a later epoch of the cluster owns the database; restart this server"
	}
	if r.Epoch != 0 && r.Epoch != s.cfg.Epoch {
		return CodeEpoch, fmt.Sprintf("context of epoch %d, the cluster is in epoch %d; go on with a new session", r.Epoch, s.cfg.Epoch)
	}
	if code, detail := checkShape(r.Op, r.Keys, r.Value, r.TTL, l); code != CodeOK {
		return code, detail
	}
	if s.tooFarAhead(r.Time) {
		return CodeClock, fmt.Sprintf("the context's time is %v ahead of this server's clock", r.Time.Sub(s.now))
	}
	if len(r.Known) > l.Branches {
		return CodeTooLarge, fmt.Sprintf("a join of %d contexts, the limit is %d", len(r.Known), l.Branches)
	}
	return CodeOK, ""
}

// checkShape refuses an operation that no server could carry out under l. Sessions
// ask before they send, servers because they must.
func checkShape(op Op, keys [][]byte, value []byte, ttl time.Duration, l *Limits) (Code, string) {
	least, most := 1, 1
	switch op {
	case OpRead, OpWrite, OpDelete:
	case OpReadMany:
		most = l.BatchKeys
	case OpSync:
		least, most = 0, 0
	default:
		return CodeBadRequest, fmt.Sprintf("unknown operation %d", op)
	}
	if op == OpReadMany && len(keys) > most {
		return CodeTooLarge, fmt.Sprintf("%v of %d keys, the limit is %d", op, len(keys), most)
	}
	if len(keys) < least || len(keys) > most {
		return CodeBadRequest, fmt.Sprintf("%v of %d keys", op, len(keys))
	}
	for _, k := range keys {
		if len(k) == 0 {
			return CodeBadRequest, "empty key"
		}
		if len(k) > l.KeyBytes {
			return CodeTooLarge, fmt.Sprintf("key of %d bytes, the limit is %d", len(k), l.KeyBytes)
		}
	}
	if len(value) > l.ValueBytes {
		return CodeTooLarge, fmt.Sprintf("value of %d bytes, the limit is %d", len(value), l.ValueBytes)
	}
	if ttl < 0 || ttl > l.TTL {
		return CodeBadRequest, fmt.Sprintf("time to live of %v, the limit is %v", ttl, l.TTL)
	}
	return CodeOK, ""
}

// adopt learns what a context knows: a stability vector, so all of it is everywhere,
// and S comes to cover it, since it is closed. What is below S already needs no
// proof: it changes nothing.
func (s *Server) adopt(known []SignedVector, out *Output) (Code, string) {
	for _, k := range known {
		if k.Vector.AtMost(s.stable) {
			continue
		}
		if !s.signer.goodVector(k) {
			s.counters.Forged++
			return CodeForged, "the context's vector; take contexts only from replies of this cluster"
		}
		// Every server holds what S covers, so an honest context is never ahead of R
		// while the members are the same: there is nothing to wait for.
		if len(k.Vector) > s.cfg.Replicas || !k.Vector.AtMost(s.received) {
			s.counters.Future++
			return CodeFutureContext, fmt.Sprintf("context %v, received here %v", k.Vector, s.received)
		}
		s.learn(k.Vector, out)
	}
	return CodeOK, ""
}

// read answers from the C-cache, or parks the request until it can.
func (s *Server) read(client ClientID, r *Request, stale []Version, out *Output) {
	s.counters.Reads++
	if !s.cfg.Store || s.allComplete(r.Keys) {
		s.answerRead(client, r.ID, r.Op, r.Time, r.Keys, stale, out)
		return
	}
	s.counters.ReadMisses++
	if s.defects.Has(defect.AssumePreloaded) {
		for _, k := range r.Keys {
			var v Version
			if s.table.Get(k, &v) == Missing {
				s.table.Put(&Version{Key: append([]byte(nil), k...)}, Complete)
			}
		}
	}
	s.park(client, r, out)
}

func (s *Server) allComplete(keys [][]byte) bool {
	for _, k := range keys {
		if s.table.Get(k, &s.old) != Complete {
			return false
		}
	}
	return true
}

// answerRead takes all values and S in the same step. Instead, a defect may give
// values that were taken earlier. Model: Read.
func (s *Server) answerRead(client ClientID, id RequestID, op Op, t Time, keys [][]byte, taken []Version, out *Output) {
	now := max(s.hybrid(), t)
	versions, bytes := s.lendVersions(len(keys)), 0
	for i, k := range keys {
		v := &versions[i]
		if taken != nil {
			*v = taken[i]
		} else {
			s.table.Get(k, v)
		}
		if v.Key = k; v.Gone(now) {
			v.Value, v.Tombstone = nil, !v.Absent()
		}
		v.Deps, v.Carried = nil, nil
		bytes += len(v.Key) + len(v.Value)
	}
	if op == OpReadMany && bytes > s.cfg.Limits.BatchBytes {
		s.reply(client, Reply{ID: id, Op: op, Code: CodeTooLarge, Detail: fmt.Sprintf(
			"the values have %d bytes, the limit is %d; read fewer keys at once", bytes, s.cfg.Limits.BatchBytes)}, out)
		return
	}
	for i := range versions {
		s.took(Transition{Action: ActionRead, Client: client, Version: &versions[i]})
	}
	s.reply(client, Reply{ID: id, Op: op, Time: now, Versions: versions}, out)
}

// staleValues is the defect StaleValue: values from before the context is adopted.
func (s *Server) staleValues(r *Request) []Version {
	if r.Op != OpRead && r.Op != OpReadMany || s.cfg.Store && !s.allComplete(r.Keys) {
		return nil
	}
	versions := make([]Version, len(r.Keys))
	for i, k := range r.Keys {
		s.table.Get(k, &versions[i])
	}
	return versions
}

// write takes a write or a delete: this server is its head. Model: Write.
func (s *Server) write(client ClientID, r *Request, out *Output) {
	if done, found, passed := s.remembered.find(r.ID); passed {
		s.refuse(client, r, CodeBadRequest, "the session has gone on since this write", out)
		return
	} else if found {
		s.counters.Retries++
		s.acknowledge(client, r, done, out)
		return
	}
	deps, code, detail := s.checkOwn(r.Own)
	if code != CodeOK {
		s.refuse(client, r, code, detail, out)
		return
	}
	if detail := s.overload(len(r.Keys[0]) + len(r.Value) + versionOverhead); detail != "" {
		s.counters.Overloaded++
		s.refuse(client, r, CodeOverloaded, detail, out)
		return
	}
	v := &Version{Key: r.Keys[0], Value: r.Value, Tombstone: r.Op == OpDelete, Deps: deps}
	if r.Op == OpDelete {
		v.Value = nil
	} else if r.TTL > 0 {
		v.Deadline = max(s.hybrid(), r.Time).Add(r.TTL) // the clock that will be asked
	}
	if s.cfg.Experiment.Carrying {
		v.Carried = r.Carried
	}
	if s.defects.Has(defect.MergedClockOrder) {
		v.Deps = withClock(v.Deps, s.stable)
	}
	s.stamp(v, r.Time)
	s.counters.Writes++
	s.remembered.add(r.ID, v.receipt())
	s.took(Transition{Action: ActionWrite, Client: client, Version: s.enqueue(v)})
	s.endTraversals(out)
	s.acknowledge(client, r, v.receipt(), out)
}

// stamp gives v its dot and its place in the conflict order: above all that this
// server and the session have met, and no lower than the wall clock, so that a
// restarted cluster is above what the database holds.
func (s *Server) stamp(v *Version, context Time) {
	if s.defects.Has(defect.TimeOnIntegration) {
		context = 0
	}
	s.clock = max(s.clock, context) + 1
	if !s.defects.Has(defect.ZeroClock) {
		s.clock = max(s.clock, s.now)
	}
	v.Epoch = s.cfg.Epoch
	v.Dot = Dot{Origin: s.cfg.Self, Incarnation: s.cfg.Incarnation, Counter: s.received[s.cfg.Self] + 1}
	v.Stamp = Stamp{Time: s.clock, Origin: s.cfg.Self}
}

// writeOwn writes the content of v again as a write of this server's own.
func (s *Server) writeOwn(v *Version, out *Output) *Version {
	w := &Version{Key: v.Key, Value: v.Value, Tombstone: v.Tombstone, Deadline: v.Deadline}
	s.stamp(w, v.Stamp.Time)
	s.took(Transition{Action: ActionWrite, Own: true, Version: s.enqueue(w)})
	s.endTraversals(out)
	return w
}

// checkOwn turns the session's writes in flight into dependencies; what is stable
// is none any more.
func (s *Server) checkOwn(own []SignedDot) (deps []Dot, code Code, detail string) {
	if len(own) > s.cfg.Replicas {
		return nil, CodeTooLarge, fmt.Sprintf("%d own writes, at most one for each of %d servers", len(own), s.cfg.Replicas)
	}
	deps = s.deps[:0]
	defer func() { s.deps = deps[:0] }()
	for _, d := range own {
		switch {
		case int(d.Dot.Origin) >= s.cfg.Replicas || d.Dot.Incarnation != s.cfg.Incarnation:
			return nil, CodeBadRequest, fmt.Sprintf("own write %v of no server here", d.Dot)
		case s.stable.Covers(d.Dot):
			continue
		case !s.signer.goodDot(d):
			s.counters.Forged++
			return nil, CodeForged, "an own write's dot; take contexts only from replies of this cluster"
		case d.Dot.Origin == s.cfg.Self && d.Dot.Counter > s.received[s.cfg.Self]:
			s.counters.Future++
			return nil, CodeFutureContext, fmt.Sprintf("own write %v was never made here", d.Dot)
		}
		deps = append(deps, d.Dot)
	}
	return deps, CodeOK, ""
}

// overload names the limit that a write of that size would break, if any. A
// server bounds only its own writes: each head has an equal share of the pending
// bytes, and others hold no more of them than the head does.
func (s *Server) overload(size int) string {
	self := s.cfg.Self
	switch {
	case s.draining:
		return "this server is shutting down"
	case s.pendingBytes[self]+size > s.cfg.Limits.PendingBytes/s.cfg.Replicas:
		return fmt.Sprintf("pending bytes: %d of %d wait for the ring", s.pendingBytes[self], s.cfg.Limits.PendingBytes/s.cfg.Replicas)
	case s.overBudget():
		return fmt.Sprintf("memory: %d bytes are cached and none can be evicted", s.table.Bytes())
	case s.held.len() >= s.cfg.Limits.Waiters:
		return "too many writes wait for the successor"
	}
	return ""
}

// acknowledge replies to a write, now or when its successor has it.
func (s *Server) acknowledge(client ClientID, r *Request, done receipt, out *Output) {
	w := heldWrite{client: client, token: s.token, id: r.ID, op: r.Op, receipt: done}
	if s.cfg.Ack == AckReplicated && !s.replicated(done.dot) {
		if s.held.len() >= s.cfg.Limits.Waiters { // retries, too
			s.refuse(client, r, CodeOverloaded, "too many writes wait for the successor", out)
			return
		}
		s.held.push(w)
		return
	}
	s.replyWrite(w, out)
}

func (s *Server) replicated(d Dot) bool { return s.everywhere.Covers(d) || s.log.has.Covers(d) }

func (s *Server) releaseHeld(out *Output) {
	for s.held.len() > 0 && s.replicated(s.held.at(0).receipt.dot) {
		s.replyWrite(s.held.pop(), out)
	}
}

// replyWrite acknowledges a write with the S of this moment. Model: Sync.
func (s *Server) replyWrite(w heldWrite, out *Output) {
	s.took(Transition{Action: ActionSync, Client: w.client})
	s.token = w.token
	s.reply(w.client, Reply{ID: w.id, Op: w.op, Written: w.receipt.version(), WrittenTag: s.signer.dot(w.receipt.dot)}, out)
}

// lendVersions returns n versions that are the caller's until the next step.
func (s *Server) lendVersions(n int) []Version {
	if cap(s.versions)-len(s.versions) < n { // those lent before stay where they are
		s.versions = make([]Version, 0, max(n, 2*cap(s.versions), 16))
	}
	at := len(s.versions)
	s.versions = s.versions[:at+n]
	lent := s.versions[at : at+n : at+n]
	clear(lent)
	return lent
}

func (s *Server) refuse(client ClientID, r *Request, code Code, detail string, out *Output) {
	s.counters.Refused++
	s.reply(client, Reply{ID: r.ID, Op: r.Op, Code: code, Detail: detail}, out)
}

// reply completes a reply with what every one carries: the S of this very moment.
func (s *Server) reply(client ClientID, r Reply, out *Output) {
	r.Epoch = s.cfg.Epoch
	r.Stability = s.SignedStability()
	r.Time = max(r.Time, s.hybrid())
	out.Replies = append(out.Replies, ClientReply{Client: client, Token: s.token, Reply: r})
}
