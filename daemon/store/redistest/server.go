package redistest

import (
	"errors"
	"testing"

	"causalmesh/daemon/store/redisproc"
)

// Server is a redis-server process that belongs to one test.
type Server struct {
	// Addr is the host and port on loopback.
	Addr string
	// Socket is the path of the Unix socket.
	Socket string

	t       testing.TB
	dir     string
	process *redisproc.Server
}

// Start starts a server that keeps what is written to it in an append-only file.
// The options are added to its command line, as in "--maxmemory", "1mb"; a later
// option replaces an earlier one.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir()}
	var err error
	s.process, err = redisproc.Start(s.dir, options...)
	if errors.Is(err, redisproc.ErrMissing) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Addr, s.Socket = s.process.Addr, s.process.Socket
	return s
}

// URL names the server by its port.
func (s *Server) URL() string { return s.process.URL() }

// SocketURL names the server by its Unix socket.
func (s *Server) SocketURL() string { return s.process.SocketURL() }

// Pause stops the process without ending it: connections stay open, and nothing
// is answered until Resume.
func (s *Server) Pause() { s.t.Helper(); s.must(s.process.Pause()) }

// Resume ends a Pause.
func (s *Server) Resume() { s.t.Helper(); s.must(s.process.Resume()) }

// Restart stops the server, if it runs, and starts it again at the same addresses
// with the data that it had.
func (s *Server) Restart() { s.t.Helper(); s.must(s.process.Restart()) }

// Stop ends the server and waits for it. Its data stays for Restart.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.process.Stop(); err != nil {
		s.t.Error(err)
	}
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
