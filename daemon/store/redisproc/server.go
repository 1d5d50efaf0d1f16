package redisproc

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"causalmesh/daemon/child"
	"causalmesh/daemon/loopback"
)

var (
	// ErrMissing: there is no redis-server on this machine.
	ErrMissing = errors.New("redis-server is not installed; apt-get install redis-server")
	// ErrNotRunning: the server was stopped; Restart starts it again.
	ErrNotRunning = errors.New("redis-server does not run")
)

const (
	// readyWithin is how long a server may take until it answers.
	readyWithin = 30 * time.Second
	// endWithin is how long a server may take to end when asked to.
	endWithin = 30 * time.Second
	// pausedWithin is how long the kernel may take to stop a server.
	pausedWithin = 10 * time.Second
	// pollEvery is the pause between two looks at a server that is not ready.
	pollEvery = 5 * time.Millisecond
	// portTries bounds how often a port is chosen anew: between choosing it and
	// redis-server's binding it, another process may take it.
	portTries = 5
	// socketPathBytes is what the kernel allows for a Unix socket's path.
	socketPathBytes = 107
)

// Server is a redis-server process.
type Server struct {
	// Addr is the host and port on loopback.
	Addr string
	// Socket is the path of the Unix socket.
	Socket string

	program string
	dir     string
	options []string
	process *child.Process // nil while it does not run
	paused  bool
}

// Find returns the path of redis-server, or ErrMissing.
func Find() (string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", ErrMissing
	}
	return program, nil
}

// Start starts a server that keeps what is written to it in an append-only file in
// dir, which exists. The options are added to its command line, as in "--maxmemory",
// "1mb"; a later option replaces an earlier one.
func Start(dir string, options ...string) (*Server, error) {
	program, err := Find()
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, dir: dir, options: options, Socket: filepath.Join(dir, "redis.sock")}
	if len(s.Socket) > socketPathBytes {
		return nil, fmt.Errorf("socket path %s is longer than %d bytes: set TMPDIR to a shorter directory", s.Socket, socketPathBytes)
	}
	for range portTries {
		var free []string
		if free, err = loopback.Addresses(1); err != nil {
			continue
		}
		s.Addr = free[0]
		if err = s.launch(); err == nil {
			return s, nil
		}
		if s.process != nil {
			break // it runs: the port is not what is wrong
		}
	}
	return nil, fmt.Errorf("start redis-server: %w", errors.Join(err, s.Stop()))
}

// PID names the process; 0 while it does not run.
func (s *Server) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.PID()
}

// URL names the server by its port.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// SocketURL names the server by its Unix socket.
func (s *Server) SocketURL() string {
	u := url.URL{Scheme: "redis+unix", Path: s.Socket, RawQuery: "db=0"}
	return u.String()
}

// Pause stops the process without ending it: connections stay open, and nothing
// is answered until Resume.
func (s *Server) Pause() error {
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	s.paused = true
	return s.awaitPaused()
}

// awaitPaused waits until all threads have stopped: one that runs on another processor goes on
// for a moment.
func (s *Server) awaitPaused() error {
	for deadline := time.Now().Add(pausedWithin); ; time.Sleep(pollEvery) {
		stopped, err := s.stopped()
		if err != nil || stopped {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server, pid %d, does not stop within %s", s.PID(), pausedWithin)
		}
	}
}

// stopped reports whether no thread of the process runs, or can.
func (s *Server) stopped() (bool, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.PID()))
	if err != nil || len(files) == 0 {
		return false, ErrNotRunning
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return false, nil // it has ended: there are others, or none
		}
		_, state, found := strings.Cut(string(text), ") ") // behind the name of the program
		if !found || !strings.HasPrefix(state, "T") {
			return false, nil
		}
	}
	return true, nil
}

// Resume ends a Pause.
func (s *Server) Resume() error {
	s.paused = false
	return s.signal(syscall.SIGCONT)
}

// Restart stops the server, if it runs, and starts it again at the same addresses
// with the data that it had.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	if err := s.launch(); err != nil {
		return fmt.Errorf("restart redis-server: %w", err)
	}
	return nil
}

// Stop ends the server, if it runs, and waits for it. Its data stays for Restart.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if s.paused {
		if err := s.Resume(); err != nil && !errors.Is(err, child.ErrEnded) {
			return err
		}
	}
	err := s.process.Stop(endWithin)
	s.process = nil
	return err
}

func (s *Server) signal(signal syscall.Signal) error {
	if s.process == nil {
		return ErrNotRunning
	}
	return s.process.Signal(signal)
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	s.process, err = child.Start(exec.Command(s.program, append([]string{
		"--port", port, "--bind", "127.0.0.1", "--unixsocket", s.Socket,
		"--dir", s.dir, "--logfile", filepath.Join(s.dir, "redis.log"),
		"--daemonize", "no", "--save", "", "--appendonly", "yes",
	}, s.options...)...))
	if err != nil {
		return err
	}
	s.paused = false
	return s.awaitReady()
}

func (s *Server) awaitReady() error {
	deadline := time.Now().Add(readyWithin)
	for {
		err := s.ping(deadline)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Ended():
			end := s.process.Err()
			s.process = nil
			return fmt.Errorf("redis-server ended (%v): %s", end, s.log())
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server, pid %d, is not ready after %s: %w", s.PID(), readyWithin, err)
		}
	}
}

// ping asks over both ways in: the socket is there a little after the port.
func (s *Server) ping(deadline time.Time) error {
	for _, at := range [][2]string{{"tcp", s.Addr}, {"unix", s.Socket}} {
		conn, err := net.DialTimeout(at[0], at[1], time.Until(deadline))
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(deadline)
		_, err = conn.Write([]byte("PING\r\n"))
		var line string
		if err == nil {
			line, err = bufio.NewReader(conn).ReadString('\n')
		}
		_ = conn.Close()
		if err != nil {
			return err
		}
		// A server that wants a password is ready too. One that still reads its
		// append-only file answers -LOADING, and is not.
		if line != "+PONG\r\n" && !strings.HasPrefix(line, "-NOAUTH ") {
			return fmt.Errorf("answer to PING: %q", line)
		}
	}
	return nil
}

func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return string(text[max(0, len(text)-most):])
}
