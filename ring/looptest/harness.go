package looptest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causalmesh/ring"
)

// Patience bounds every wait of a test; only a failing test takes so long.
const Patience = 60 * time.Second

// Handler echoes frames (a 4-byte length, then that many bytes) unless a test gives it
// something else to do.
type Handler struct {
	Loop        ring.Loop
	OnAccepted  func(c ring.ConnID, l ring.ListenerID, p ring.Peer) error
	OnConnected func(token uint64, c ring.ConnID, err error)
	OnReceived  func(c ring.ConnID, data []byte) (int, error)
	OnClosed    func(c ring.ConnID, err error)
	OnWoken     func()
	OnEndOfTurn func()

	mu    sync.Mutex
	jobs  []func()
	conns []ring.ConnID // accepted, in order
}

func (s *Handler) Accepted(c ring.ConnID, l ring.ListenerID, p ring.Peer) error {
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	if s.OnAccepted != nil {
		return s.OnAccepted(c, l, p)
	}
	return nil
}

func (s *Handler) Connected(token uint64, c ring.ConnID, err error) {
	if s.OnConnected != nil {
		s.OnConnected(token, c, err)
	}
}

func (s *Handler) Received(c ring.ConnID, data []byte) (int, error) {
	if s.OnReceived != nil {
		return s.OnReceived(c, data)
	}
	return s.Echo(c, data)
}

// Echo appends the whole frames of data to Out.
func (s *Handler) Echo(c ring.ConnID, data []byte) (int, error) {
	used := 0
	for {
		rest := data[used:]
		if len(rest) < 4 {
			return used, nil
		}
		size := 4 + int(binary.LittleEndian.Uint32(rest))
		if len(rest) < size {
			return used, nil
		}
		out := s.Loop.Out(c)
		if out == nil { // Closed by this call.
			return used, nil
		}
		out.Bytes = append(out.Bytes, rest[:size]...)
		used += size
	}
}

func (s *Handler) Closed(c ring.ConnID, err error) {
	if s.OnClosed != nil {
		s.OnClosed(c, err)
	}
}

func (s *Handler) Woken() {
	s.mu.Lock()
	jobs := s.jobs
	s.jobs = nil
	s.mu.Unlock()
	for _, job := range jobs {
		job()
	}
	if s.OnWoken != nil {
		s.OnWoken()
	}
}

func (s *Handler) Tick(time.Time) {}

func (s *Handler) EndOfTurn(time.Time) {
	if s.OnEndOfTurn != nil {
		s.OnEndOfTurn()
	}
}

// Do runs job on the loop's goroutine and waits for it.
func (s *Handler) Do(t testing.TB, job func()) {
	t.Helper()
	done := make(chan struct{})
	s.mu.Lock()
	s.jobs = append(s.jobs, func() { job(); close(done) })
	s.mu.Unlock()
	s.Loop.Wake()
	Receive(t, done, "a job on the loop")
}

// First is the connection that was accepted first; it is waited for.
func (s *Handler) First(t testing.TB) (c ring.ConnID) {
	t.Helper()
	Eventually(t, "a connection", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.conns) == 0 {
			return false
		}
		c = s.conns[0]
		return true
	})
	return c
}

// Stats asks the running loop.
func (s *Handler) Stats(t testing.TB) (stats ring.Stats) {
	t.Helper()
	s.Do(t, func() { stats = s.Loop.Stats() })
	return stats
}

// Serve runs s.Loop with one listener, number 1, until the test ends.
func Serve(t testing.TB, network string, s *Handler) (address string) {
	t.Helper()
	address = Listen(t, s.Loop, network)
	Start(t, s)
	return address
}

// Listen opens listener 1 of a loop.
func Listen(t testing.TB, l ring.Loop, network string) string {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	address, err := l.Listen(1, network, address)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Start runs s.Loop until the test ends. It returns a channel that is closed when Run has returned.
func Start(t testing.TB, s *Handler) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Loop.Run(s); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		s.Loop.Stop(0)
		Receive(t, done, "Run to return")
	})
	return done
}

// Dial connects. The connection gives up after Patience; Extend begins that anew.
func Dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	nc, err := net.DialTimeout(network, address, Patience)
	if err != nil {
		t.Fatal(err)
	}
	Extend(nc)
	t.Cleanup(func() { nc.Close() })
	return nc
}

// Extend gives what a test does next on a connection Patience, so that the length of the
// whole test does not matter. What has no deadline is left as it is.
func Extend(connection any) {
	if d, ok := connection.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Now().Add(Patience))
	}
}

// Frame is what Handler echoes.
func Frame(payload []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// RoundTrip sends a frame and expects it back.
func RoundTrip(t testing.TB, nc net.Conn, payload string) {
	t.Helper()
	Extend(nc)
	if _, err := nc.Write(Frame([]byte(payload))); err != nil {
		t.Fatal(err)
	}
	Expect(t, nc, Frame([]byte(payload)))
}

// Expect reads what it wants, and no more.
func Expect(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	Extend(r)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("got %d of %d bytes: %v", n, len(want), err)
	}
	if string(got) != string(want) {
		t.Fatalf("got %.40q, want %.40q", got, want)
	}
}

// ExpectEOF wants an orderly end.
func ExpectEOF(t testing.TB, r io.Reader) {
	t.Helper()
	Extend(r)
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read %d bytes, %v; want EOF", n, err)
	}
}

// ExpectEnd wants an end, orderly or not, and no bytes.
func ExpectEnd(t testing.TB, nc net.Conn) {
	t.Helper()
	Extend(nc)
	if n, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want an end", n, err)
	}
}

// Receive waits for a channel.
func Receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		panic("waited in vain for " + what) // With all goroutines' stacks.
	}
}

// Eventually polls until the condition holds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

// Rests waits until the loop takes no turns of its own: many times in succession, a job
// is done in the turn that follows the one of the job before.
func Rests(t testing.TB, s *Handler) {
	t.Helper()
	const jobs = 20
	quiet, last := 0, uint64(0)
	Eventually(t, "the loop rests", func() bool {
		turn := s.Stats(t).Turns
		if quiet++; turn != last+1 {
			quiet = 0
		}
		last = turn
		return quiet == jobs
	})
}

// Clock is for ring.Options.Now: it stands still until a test moves it.
type Clock struct {
	began time.Time
	moved atomic.Int64
}

// NewClock begins now.
func NewClock() *Clock { return &Clock{began: time.Now()} }

// Now is for ring.Options.
func (c *Clock) Now() time.Time { return c.began.Add(time.Duration(c.moved.Load())) }

// Advance moves the clock, and returns after s.Loop has taken a turn that began later.
func (c *Clock) Advance(t testing.TB, s *Handler, d time.Duration) {
	t.Helper()
	c.moved.Add(int64(d))
	for range 3 { // One may be under way, one may have seen the old time; the third ends the second.
		s.Do(t, func() {})
	}
}

// LeakCheck compares goroutines and file descriptors with those of now.
func LeakCheck(t testing.TB) (check func()) {
	t.Helper()
	time.AfterFunc(time.Hour, func() {}).Stop() // The runtime's own files are opened with the first timer.
	routines, files := runtime.NumGoroutine(), openFiles(t)
	return func() {
		t.Helper()
		Eventually(t, "goroutines and files as before", func() bool {
			return runtime.NumGoroutine() <= routines && openFiles(t) <= files
		})
	}
}

func openFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("NOT TESTED: open files cannot be counted without /proc: %v", err)
	}
	return len(entries)
}

// Networks are those that the tests run over.
var Networks = []string{"unix", "tcp"}
