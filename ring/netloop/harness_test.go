package netloop

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"causalmesh/ring"
)

// patience bounds every wait of a test; only a failing test takes so long.
const patience = 30 * time.Second

// scripted is a handler that echoes frames (a 4-byte length, then that many bytes)
// unless a test gives it something else to do.
type scripted struct {
	loop      *Loop
	accepted  func(c ring.ConnID, l ring.ListenerID, p ring.Peer) error
	connected func(token uint64, c ring.ConnID, err error)
	received  func(c ring.ConnID, data []byte) (int, error)
	closed    func(c ring.ConnID, err error)
	woken     func()
	endOfTurn func()

	mu   sync.Mutex
	jobs []func()
}

func (s *scripted) Accepted(c ring.ConnID, l ring.ListenerID, p ring.Peer) error {
	if s.accepted != nil {
		return s.accepted(c, l, p)
	}
	return nil
}

func (s *scripted) Connected(token uint64, c ring.ConnID, err error) {
	if s.connected != nil {
		s.connected(token, c, err)
	}
}

func (s *scripted) Received(c ring.ConnID, data []byte) (int, error) {
	if s.received != nil {
		return s.received(c, data)
	}
	return s.echo(c, data)
}

func (s *scripted) echo(c ring.ConnID, data []byte) (int, error) {
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
		out := s.loop.Out(c)
		out.Bytes = append(out.Bytes, rest[:size]...)
		used += size
	}
}

func (s *scripted) Closed(c ring.ConnID, err error) {
	if s.closed != nil {
		s.closed(c, err)
	}
}

func (s *scripted) Woken() {
	s.mu.Lock()
	jobs := s.jobs
	s.jobs = nil
	s.mu.Unlock()
	for _, job := range jobs {
		job()
	}
	if s.woken != nil {
		s.woken()
	}
}

func (s *scripted) Tick(time.Time) {}

func (s *scripted) EndOfTurn(time.Time) {
	if s.endOfTurn != nil {
		s.endOfTurn()
	}
}

// do runs job on the loop's goroutine and waits for it.
func (s *scripted) do(t testing.TB, job func()) {
	t.Helper()
	done := make(chan struct{})
	s.mu.Lock()
	s.jobs = append(s.jobs, func() { job(); close(done) })
	s.mu.Unlock()
	s.loop.Wake()
	receive(t, done, "a job on the loop")
}

func (s *scripted) stats(t testing.TB) (stats ring.Stats) {
	t.Helper()
	s.do(t, func() { stats = s.loop.Stats() })
	return stats
}

// serve runs a loop with one listener until the test ends.
func serve(t testing.TB, network string, opts ring.Options, s *scripted) (address string) {
	t.Helper()
	s.loop = New(opts)
	address = listen(t, s.loop, network)
	run(t, s)
	return address
}

func listen(t testing.TB, l *Loop, network string) string {
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

// run returns a channel that is closed when Run has returned.
func run(t testing.TB, s *scripted) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.loop.Run(s); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		s.loop.Stop(0)
		receive(t, done, "Run to return")
	})
	return done
}

func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	nc, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return nc
}

func frame(payload []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// roundTrip sends a frame and expects it back.
func roundTrip(t testing.TB, nc net.Conn, payload string) {
	t.Helper()
	if _, err := nc.Write(frame([]byte(payload))); err != nil {
		t.Fatal(err)
	}
	expect(t, nc, frame([]byte(payload)))
}

func expect(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("got %d of %d bytes: %v", n, len(want), err)
	}
	if string(got) != string(want) {
		t.Fatalf("got %.40q, want %.40q", got, want)
	}
}

func expectEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read %d bytes, %v; want EOF", n, err)
	}
}

func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		panic("waited in vain for " + what) // With all goroutines' stacks.
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// leakCheck compares goroutines and file descriptors with those of now.
func leakCheck(t testing.TB) (check func()) {
	t.Helper()
	routines, files := runtime.NumGoroutine(), openFiles(t)
	return func() {
		t.Helper()
		eventually(t, "goroutines and files as before", func() bool {
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

var networks = []string{"unix", "tcp"}
