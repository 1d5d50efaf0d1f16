package clientlib

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// Session is one workflow, or one branch of one. It reads its own writes, and
// whatever it has read stays read: no later read, at any server, returns anything
// older than what the session's past contains.
//
// A session does one operation at a time. An operation that is started while
// another goroutine is using the session fails with ErrBusy and does nothing;
// Context and LastWrite wait instead. Branches that run in parallel are sessions of
// their own: Resume the same context for each and Merge theirs at the end.
type Session struct {
	mu     sync.Mutex // held while an operation is under way
	client *Client
	core   *causal.Session
	call   call
	// patience is that of the operation under way, if it asks the server.
	patience patience
	timer    *time.Timer
	// request is the core's, from Begin on.
	request   *causal.Request
	doubt     doubt
	lastWrite Version
	direct    direct

	// The memory of a read's keys, and of the values of ReadManyInto.
	keys     [][]byte
	keyBytes []byte
	values   []byte
}

// enter starts an operation; the end of it unlocks s.mu.
func (s *Session) enter(ctx context.Context) error {
	if !s.mu.TryLock() {
		return ErrBusy
	}
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return err
	}
	return nil
}

// begins starts the time of an operation that asks the server. The caller stops it.
func (s *Session) begins(ctx context.Context) *patience {
	s.patience = newPatience(ctx, s.client.options.timeout, s.timer)
	if s.patience.timer != nil {
		s.timer = s.patience.timer
	}
	if s.call.done == nil {
		s.call.done = make(chan struct{}, 1)
	}
	return &s.patience
}

// Read returns the value of a key: a copy that belongs to the caller. found is
// false if there is none, because it was never written, was deleted or has expired;
// an error says that it could not be found out.
func (s *Session) Read(ctx context.Context, key string) (value []byte, found bool, err error) {
	item, err := s.ReadItem(ctx, key)
	return item.Value, item.Found, err
}

// ReadInto is Read into memory of the caller's: value begins where buf does if its
// capacity suffices, and then nothing is allocated.
func (s *Session) ReadInto(ctx context.Context, key string, buf []byte) (value []byte, found bool, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, false, describe(causal.OpRead, key, err)
	}
	s.forgetKeys()
	s.takeKey(key)
	if versions, ok := s.readDirect(); ok { // the shortest way, and the most common
		if v := &versions[0]; !v.Absent() && !v.Tombstone {
			value, found = append(buf[:0], v.Value...), true
		}
		s.mu.Unlock()
		return value, found, nil
	}
	defer s.mu.Unlock()
	item, err := s.readItem(ctx, key, buf[:0])
	return item.Value, item.Found, err
}

// ReadItem is Read with the version of what was found.
func (s *Session) ReadItem(ctx context.Context, key string) (Item, error) {
	if err := s.enter(ctx); err != nil {
		return Item{}, describe(causal.OpRead, key, err)
	}
	defer s.mu.Unlock()
	s.takeKeys(key)
	return s.readItem(ctx, key, nil)
}

// readItem reads the key that was taken. s.mu is held.
func (s *Session) readItem(ctx context.Context, key string, buf []byte) (Item, error) {
	s.call.values = buf
	versions, err := s.read(ctx, causal.OpRead)
	buf, s.call.values = s.call.values, nil // the caller's from now on
	if err != nil {
		return Item{}, describe(causal.OpRead, key, err)
	}
	defer clear(versions)
	return s.item(key, &versions[0], buf), nil
}

// ReadMany reads several keys as one moment of the session's past and future: no
// value is older than what another one depends on. It returns one Item per key, in
// the order of the keys, and never a part of them. For no keys it returns nil.
func (s *Session) ReadMany(ctx context.Context, keys ...string) ([]Item, error) {
	if err := s.enter(ctx); err != nil {
		return nil, describe(causal.OpReadMany, "", err)
	}
	defer s.mu.Unlock()
	if len(keys) == 0 {
		return nil, nil
	}
	s.takeKeys(keys...)
	versions, err := s.read(ctx, causal.OpReadMany)
	s.call.values = nil // the items have it
	if err != nil {
		return nil, describe(causal.OpReadMany, "", err)
	}
	defer clear(versions)
	items := make([]Item, len(keys))
	for i, key := range keys {
		items[i] = s.item(key, &versions[i], nil)
	}
	return items, nil
}

// ReadManyInto is ReadMany of the items' keys, into the items: the memory of their values
// is used again, and where it suffices nothing is allocated. After an error they are as
// they were.
func (s *Session) ReadManyInto(ctx context.Context, items []Item) error {
	if err := s.enter(ctx); err != nil {
		return describe(causal.OpReadMany, "", err)
	}
	defer s.mu.Unlock()
	if len(items) == 0 {
		return nil
	}
	s.forgetKeys()
	for i := range items {
		s.takeKey(items[i].Key)
	}
	s.call.values = s.values
	versions, err := s.read(ctx, causal.OpReadMany)
	s.values, s.call.values = s.call.values[:0], nil
	if cap(s.values) > keptBufferBytes {
		s.values = nil
	}
	if err != nil {
		return describe(causal.OpReadMany, "", err)
	}
	defer clear(versions)
	for i := range items {
		v, buf := &versions[i], items[i].Value[:0]
		items[i] = Item{Key: items[i].Key, Version: newVersion(v)}
		if !v.Absent() && !v.Tombstone {
			items[i].Found, items[i].Value = true, append(buf, v.Value...)
		}
	}
	return nil
}

// takeKeys puts keys where the core can have them during the operation.
func (s *Session) takeKeys(keys ...string) {
	s.forgetKeys()
	for _, k := range keys {
		s.takeKey(k)
	}
}

func (s *Session) forgetKeys() { s.keys, s.keyBytes = s.keys[:0], s.keyBytes[:0] }

func (s *Session) takeKey(key string) {
	start := len(s.keyBytes)
	s.keyBytes = append(s.keyBytes, key...)
	s.keys = append(s.keys, s.keyBytes[start:len(s.keyBytes):len(s.keyBytes)])
}

// read reads s.keys, from the server's table if that is mapped and covers what the session
// knows, else from the server. Values are in s.call.values, but for the session's own.
func (s *Session) read(ctx context.Context, op causal.Op) ([]causal.Version, error) {
	if versions, ok := s.readDirect(); ok {
		s.call.keep(versions)
		return versions, nil
	}
	if err := s.begin(op, s.keys, nil, 0); err != nil {
		return nil, err
	}
	p := s.begins(ctx)
	defer p.stop()
	return s.exchange(p)
}

// item returns what was read as the caller gets it. What came from the server was
// copied for the caller already; a write of the session's own must stay its own, and is
// copied to buf.
func (s *Session) item(key string, v *causal.Version, buf []byte) Item {
	i := Item{Key: key, Version: newVersion(v)}
	if v.Absent() || v.Tombstone {
		return i
	}
	i.Found, i.Value = true, v.Value
	own := s.core.Context().Own
	if len(own) > 0 && slices.ContainsFunc(own, func(w causal.OwnWrite) bool { return w.Version.Dot == v.Dot }) {
		i.Value = append(buf[:0], v.Value...)
	}
	if i.Value == nil {
		i.Value = []byte{}
	}
	return i
}

// Write puts value under key. The session sees it from now on; others see it when
// it and everything that it depends on has reached every server, a few
// milliseconds later as a rule. Key and value are copied.
//
// A session may have a limited number of writes in flight (Info.Limits): Write
// waits for earlier ones if need be, and returns ErrOverloaded if ctx ends first.
// If the reply does not come, the error is ErrUnknownOutcome: see Retry.
func (s *Session) Write(ctx context.Context, key string, value []byte, opts ...WriteOption) error {
	o := writeOptionsOf(opts)
	if o.err != nil {
		return describe(causal.OpWrite, key, o.err)
	}
	return s.write(ctx, causal.OpWrite, key, value, o.ttl)
}

// Delete removes the value of a key, whether there is one or not. It is a write,
// and everything that is said about Write is true of it.
func (s *Session) Delete(ctx context.Context, key string) error {
	return s.write(ctx, causal.OpDelete, key, nil, 0)
}

func (s *Session) write(ctx context.Context, op causal.Op, key string, value []byte, ttl time.Duration) error {
	if err := s.enter(ctx); err != nil {
		return describe(op, key, err)
	}
	defer s.mu.Unlock()
	p := s.begins(ctx)
	defer p.stop()
	if err := s.beginWrite(p, op, key, value, ttl); err != nil {
		return describe(op, key, err)
	}
	_, err := s.exchange(p)
	return describe(op, key, err)
}

// Retry repeats the write or delete that has just ended with ErrUnknownOutcome,
// under the same request ID: the server that may have done it answers with what it
// did, and does it only if it has not. It returns nil if it is done now, or
// ErrUnknownOutcome if that still cannot be known: it may then be called again, but
// the server that took the write may have been restarted, and then the outcome
// stays unknown.
//
// Retry is possible only until the session begins another operation, moves or
// merges. From then on the write is like that of another session: it may show or
// not, and even come into force later than the session's next write. Servers
// remember a limited number of writes, the latest ones of all sessions together
// (65,536 by default): Retry soon.
func (s *Session) Retry(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	defer s.mu.Unlock()
	if !s.doubt.exists {
		return fmt.Errorf("retry: %w: no write of this session has an unknown outcome", ErrBadRequest)
	}
	p := s.begins(ctx)
	defer p.stop()
	_, err := s.exchange(p)
	return describe(s.request.Op, string(s.request.Keys[0]), err)
}

// Sync learns what has become stable at the server, and nothing else: it shortens
// the context by writes that are not in flight any more.
func (s *Session) Sync(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return describe(causal.OpSync, "", err)
	}
	defer s.mu.Unlock()
	p := s.begins(ctx)
	defer p.stop()
	return describe(causal.OpSync, "", s.sync(p))
}

func (s *Session) sync(p *patience) error {
	if err := s.begin(causal.OpSync, nil, nil, 0); err != nil {
		return err
	}
	_, err := s.exchange(p)
	return err
}

// Context exports what the session knows, for Client.Resume or Session.Merge in
// another function, at any server of the cluster. It holds a few integers and the
// session's writes that are still in flight, with their values; it does not grow
// with the workflow. Where the cluster has no key, whoever can change the bytes can
// make the session see too little or disturb others: hand them on like the
// functions' own data.
//
// A write whose outcome is unknown is not in the context: the sessions that resume
// it may or may not see that write.
//
// While an operation is under way, Context waits for its end.
func (s *Session) Context() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.AppendContext(nil, s.core.Context())
}

// LastWrite tells what the session's last write or delete through this Session
// value became. ok is false if there was none, or if it failed or is in doubt.
func (s *Session) LastWrite() (v Version, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastWrite, !s.lastWrite.Absent()
}

// Merge joins contexts of parallel branches into the session's: from then on it
// has seen what any of them has. It makes no request. All are joined or none:
// ErrContext and ErrVersion for bytes that are none, ErrEpoch if they are not of
// the same epoch, ErrTooLarge for too many at once under a cluster key (Sync in
// between), ErrOverloaded if the branches have too many writes in flight, together
// (Sync the branches first).
func (s *Session) Merge(contexts ...[]byte) error {
	if !s.mu.TryLock() {
		return fmt.Errorf("merge: %w", ErrBusy)
	}
	defer s.mu.Unlock()
	branches := make([]causal.Context, len(contexts))
	for i, b := range contexts {
		var err error
		if branches[i], err = decodeContext(b); err != nil {
			return fmt.Errorf("merge: context %d of %d: %w", i+1, len(contexts), err)
		}
	}
	return s.merge(branches)
}

// Move makes the session go on at another server, as Resume with its context would.
func (s *Session) Move(to *Client) error {
	if !s.mu.TryLock() {
		return fmt.Errorf("move: %w", ErrBusy)
	}
	defer s.mu.Unlock()
	if to == s.client {
		return nil
	}
	core := to.newCore()
	core.Resume(s.core.Context())
	s.client, s.core, s.doubt = to, core, doubt{}
	return nil
}

// Client returns the client that the session is at.
func (s *Session) Client() *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

func (s *Session) merge(branches []causal.Context) error {
	// Neither Merge nor Resume changes what the old context refers to.
	before := *s.core.Context()
	for i := range branches {
		if err := s.core.Merge(&branches[i]); err != nil {
			s.core.Resume(&before)
			return fmt.Errorf("merge: context %d of %d: %w", i+1, len(branches), err)
		}
	}
	s.doubt = doubt{}
	return nil
}
