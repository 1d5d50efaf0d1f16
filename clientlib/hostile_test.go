package clientlib

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// scripted is a connection to a server that says what it has to say, whatever it
// is asked, and then hangs up, unless it stays. The test goroutine is its only reader until a conn
// takes it over.
type scripted struct {
	net.Conn // nil: what is not defined here must not be called
	says     *bytes.Reader
	// asked is closed when the first request was written: a reply before the request
	// is nobody's.
	asked chan struct{}
	once  bool
	stays bool
	gone  chan struct{}
}

func newScripted(says []byte) *scripted {
	return &scripted{says: bytes.NewReader(says), asked: make(chan struct{}), gone: make(chan struct{})}
}

func (s *scripted) Write(b []byte) (int, error) {
	if !s.once {
		s.once = true
		close(s.asked)
	}
	return len(b), nil
}

func (s *scripted) Read(b []byte) (int, error) {
	select {
	case <-s.asked:
	case <-s.gone:
		return 0, io.EOF
	}
	if s.stays && s.says.Len() == 0 {
		<-s.gone
	}
	return s.says.Read(b)
}

func (s *scripted) Close() error                { close(s.gone); return nil }
func (s *scripted) SetDeadline(time.Time) error { return nil }

var testWelcome = wire.Welcome{RingSize: 3, Epoch: 1, Daemon: "test"}

// scriptedSession returns a session with a known ID whose only connection is to a
// server that says what it is told to.
func scriptedSession(says []byte, stays bool) (*Session, *conn) {
	life, end := context.WithCancel(context.Background())
	c := &Client{options: options{timeout: DefaultTimeout}, life: life, end: end, welcome: &testWelcome}
	server := newScripted(says)
	server.stays = stays
	k := newConn(server, c.welcome, nil)
	c.current = k
	c.running.Go(k.run)
	c.target.network = "none" // it cannot connect again
	return &Session{client: c, core: causal.NewSession(testSession, causal.Limits{})}, k
}

const testSession = 77

func okReply(op causal.Op, change func(*causal.Reply)) []byte {
	v := causal.Version{Dot: causal.Dot{Counter: 1}, Stamp: causal.Stamp{Time: 5}, Epoch: 1, Value: []byte("v")}
	r := &causal.Reply{
		ID: causal.RequestID{Session: testSession, Number: 1}, Op: op, Epoch: 1, Time: 9,
		Stability: causal.SignedVector{Vector: causal.VectorClock{1, 0, 0}},
	}
	switch op {
	case causal.OpRead, causal.OpReadMany:
		r.Versions = []causal.Version{v}
	case causal.OpWrite, causal.OpDelete:
		r.Written = v
	}
	if change != nil {
		change(r)
	}
	return wire.AppendReply(nil, r, nil)
}

// ask makes one operation and returns its error. The context ends with the
// connection, so that nothing is retried.
func ask(s *Session, c *conn, op causal.Op) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-c.lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	switch op {
	case causal.OpRead:
		_, _, err := s.Read(ctx, "k")
		return err
	case causal.OpReadMany:
		_, err := s.ReadMany(ctx, "k", "l")
		return err
	case causal.OpWrite:
		return s.Write(ctx, "k", []byte("v"))
	}
	return s.Sync(ctx)
}

// A reply that parses and still cannot be: each gives a typed error, changes
// nothing, and ends the connection.
func TestImpossibleReplies(t *testing.T) {
	for name, c := range map[string]struct {
		op     causal.Op
		change func(*causal.Reply)
	}{
		"no value":        {causal.OpRead, func(r *causal.Reply) { r.Versions = nil }},
		"two values":      {causal.OpRead, func(r *causal.Reply) { r.Versions = append(r.Versions, r.Versions[0]) }},
		"another op":      {causal.OpRead, func(r *causal.Reply) { r.Op = causal.OpReadMany }},
		"one of two":      {causal.OpReadMany, nil},
		"no epoch":        {causal.OpSync, func(r *causal.Reply) { r.Epoch = 0 }},
		"nothing written": {causal.OpWrite, func(r *causal.Reply) { r.Written = causal.Version{} }},
		"written, no dot": {causal.OpWrite, func(r *causal.Reply) { r.Written.Dot = causal.Dot{} }},
	} {
		t.Run(name, func(t *testing.T) {
			s, conn := scriptedSession(okReply(c.op, c.change), true)
			before := s.Context()
			err := ask(s, conn, c.op)
			if !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
			if got, want := errors.Is(err, ErrUnknownOutcome), c.op == causal.OpWrite; got != want {
				t.Errorf("unknown outcome: %v, want %v: %v", got, want, err)
			}
			if !bytes.Equal(s.Context(), before) {
				t.Error("the context has changed")
			}
			if !errors.Is(conn.cause(), ErrProtocol) {
				t.Error("the connection goes on:", conn.cause())
			}
			_ = s.client.Close()
		})
	}
}

// A call whose reply cannot be decoded ends when its connection is lost, not before: the
// session's next operation would use the connection again.
func TestUndecodableReply(t *testing.T) {
	b := okReply(causal.OpRead, nil)
	b = b[:len(b)-1]
	binary.BigEndian.PutUint32(b, uint32(len(b)-wire.FrameHeaderBytes))
	c := newConn(newScripted(nil), &testWelcome, b)
	k := &call{done: make(chan struct{}, 1)}
	c.add(k, &causal.Request{ID: causal.RequestID{Session: testSession, Number: 1}})
	err := c.dispatch()
	if !errors.Is(err, ErrProtocol) || len(k.done) > 0 {
		t.Fatalf("%v; the call has ended: %v", err, len(k.done) > 0)
	}
	c.fail(err)
	if len(k.done) != 1 || !errors.Is(k.err, ErrProtocol) {
		t.Error("the call has not ended with the connection:", k.err)
	}
}

// The control of the test above: the same reply, unchanged, is taken.
func TestPossibleReplies(t *testing.T) {
	for _, op := range []causal.Op{causal.OpRead, causal.OpWrite, causal.OpSync} {
		s, conn := scriptedSession(okReply(op, nil), true)
		if err := ask(s, conn, op); err != nil {
			t.Error(op, err)
		}
		_ = s.client.Close()
	}
}

// A write that was done in another epoch than the session's was done all the same.
func TestWriteAnsweredFromAnotherEpoch(t *testing.T) {
	s, conn := scriptedSession(okReply(causal.OpWrite, nil), true)
	defer s.client.Close()
	s.core.Resume(&causal.Context{Epoch: 7})
	if err := ask(s, conn, causal.OpWrite); !errors.Is(err, ErrEpoch) || !errors.Is(err, ErrUnknownOutcome) {
		t.Error(err)
	}
}

// A newer server may refuse for reasons that this version has no name for.
func TestUnknownCode(t *testing.T) {
	s, conn := scriptedSession(okReply(causal.OpWrite, func(r *causal.Reply) { r.Code, r.Detail = 200, "full moon" }), true)
	defer s.client.Close()
	err := ask(s, conn, causal.OpWrite)
	if !errors.Is(err, ErrRefused) || errors.Is(err, ErrUnknownOutcome) || !strings.Contains(err.Error(), "full moon") {
		t.Error(err)
	}
	if conn.cause() != nil {
		t.Error("the connection was dropped:", conn.cause())
	}
}

func TestHandshakeBytes(t *testing.T) {
	frame := func(m wire.Handshake) []byte {
		b, err := wire.AppendHandshake(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	welcome := frame(&testWelcome)
	version := bytes.Clone(welcome)
	version[bytes.Index(version, []byte(wire.Magic))+len(wire.Magic)]++
	huge := testWelcome
	huge.Limits.ValueBytes = 1 << 31
	for name, c := range map[string]struct {
		says []byte
		want error
	}{
		"welcome":          {welcome, nil},
		"nothing":          {nil, ErrDisconnected},
		"half":             {welcome[:len(welcome)/2], ErrDisconnected},
		"http":             {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrProtocol},
		"zeros":            {make([]byte, 100), ErrProtocol},
		"another version":  {version, ErrVersion},
		"a hello":          {frame(&wire.Hello{}), ErrProtocol},
		"a peer's welcome": {frame(&wire.PeerWelcome{}), ErrProtocol},
		"no epoch":         {frame(&wire.Welcome{RingSize: 1}), ErrProtocol},
		"huge limits":      {frame(&huge), ErrProtocol},
		"a reply":          {okReply(causal.OpSync, nil), ErrProtocol},
	} {
		k, w, err := new(Client).handshake(t.Context(), newScripted(append(bytes.Clone(c.says), 1, 2, 3)[:len(c.says)]))
		if !errors.Is(err, c.want) || (err == nil) != (w != nil) || err == nil && len(k.(*conn).in) > 0 {
			t.Errorf("%s: %v, %v; want %v", name, w, err, c.want)
		}
	}
	k, _, err := new(Client).handshake(t.Context(), newScripted(append(welcome, 1, 2, 3)))
	if err != nil || !bytes.Equal(k.(*conn).in, []byte{1, 2, 3}) {
		t.Error("what follows the welcome was lost:", k, err)
	}
}

// A frame's length is a claim: memory is taken for bytes that have come.
func TestBufferGrowsWithBytes(t *testing.T) {
	c := newConn(newScripted(nil), &testWelcome, []byte{0, 0x7f, 0xff, 0xff, 1, 2, 3})
	if err := c.dispatch(); err != nil || cap(c.in) > firstBufferBytes {
		t.Errorf("%d bytes for 7 received: %v", cap(c.in), err)
	}
	c.in = append(c.in[:0], 0xff, 0xff, 0xff, 0xff)
	if err := c.dispatch(); !errors.Is(err, wire.ErrFrameTooLarge) {
		t.Error(err)
	}
	// And it is given back after a large frame.
	value := make([]byte, wire.MaxValueBytes)
	c.in = okReply(causal.OpRead, func(r *causal.Reply) { r.Versions[0].Value = value })
	if err := c.dispatch(); err != nil || cap(c.in) != firstBufferBytes {
		t.Errorf("%d bytes are kept: %v", cap(c.in), err)
	}
}

// FuzzServerBytes lets a server say anything: every operation ends, with a typed
// error if it fails, and a session whose operation failed knows what it knew.
func FuzzServerBytes(f *testing.F) {
	for op := causal.OpRead; op <= causal.OpSync; op++ {
		f.Add(uint8(op), okReply(op, nil))
		f.Add(uint8(op), okReply(op, func(r *causal.Reply) { r.Code, r.Detail = causal.CodeOverloaded, "test" }))
		f.Add(uint8(op), append(okReply(op, func(r *causal.Reply) { r.ID.Number = 9 }), okReply(op, nil)...))
	}
	f.Add(uint8(causal.OpRead), []byte{0, 0x7f, 0xff, 0xff, 1})
	f.Add(uint8(causal.OpSync), []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	typed := []error{
		ErrOverloaded, ErrFutureContext, ErrEpoch, ErrTooLarge, ErrUnavailable, ErrForged, ErrClock, ErrBadRequest,
		ErrNotReady, ErrRefused, ErrProtocol, ErrDisconnected, ErrUnknownOutcome, context.Canceled,
	}
	f.Fuzz(func(t *testing.T, op uint8, says []byte) {
		s, conn := scriptedSession(says, false)
		before := s.Context()
		err := ask(s, conn, causal.OpRead+causal.Op(op)%causal.OpSync)
		_ = s.client.Close()
		if err == nil {
			if _, err := s.client.Resume(s.Context()); err != nil {
				t.Error("an exported context cannot be resumed:", err)
			}
			return
		}
		if !bytes.Equal(s.Context(), before) {
			t.Error("a failed operation changed the context")
		}
		for _, e := range typed {
			if errors.Is(err, e) {
				return
			}
		}
		t.Errorf("untyped: %v", err)
	})
}

// Nothing is queued without bound for a server that does not read; whoever gives up
// while waiting for room has not sent anything.
func TestServerThatDoesNotRead(t *testing.T) {
	server := newScripted(nil)
	server.stays = true
	c := newConn(server, &testWelcome, nil) // nobody writes yet
	send := func(ctx context.Context, number uint32) error {
		p := newPatience(ctx, 0, nil)
		return c.send(&p, &call{done: make(chan struct{}, 1)}, &causal.Request{
			ID: causal.RequestID{Session: testSession, Number: number}, Op: causal.OpWrite,
			Keys: [][]byte{[]byte("k")}, Value: make([]byte, maxQueuedBytes),
		})
	}
	if err := send(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := send(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if len(c.waiting) != 1 || len(c.out) > maxQueuedBytes+1000 {
		t.Errorf("%d requests, %d bytes are queued", len(c.waiting), len(c.out))
	}
	// Room comes with the writer, or with the end of the connection.
	c.room = nil // what was given up has left it behind
	sent := make(chan error)
	go func() { sent <- send(t.Context(), 3) }()
	waitForWaiter(t, c)
	go c.write()
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c.fail(ErrClosed)

	server = newScripted(nil)
	c = newConn(server, &testWelcome, nil)
	if err := send(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	go func() { sent <- send(t.Context(), 2) }()
	waitForWaiter(t, c)
	c.fail(ErrClosed)
	if err := <-sent; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// waitForWaiter waits until somebody waits for room in c.
func waitForWaiter(t *testing.T, c *conn) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		c.mu.Lock()
		waits := c.room != nil
		c.mu.Unlock()
		if waits {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits for room")
		}
	}
}
