package redistest

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// readyWithin is how long a server may take until it answers.
	readyWithin = 10 * time.Second
	// endWithin is how long a server may take to end when asked to.
	endWithin = 10 * time.Second
	// pollEvery is the pause between two looks at a server that is not ready.
	pollEvery = 5 * time.Millisecond
	// portTries bounds how often a port is chosen anew: between choosing it and
	// redis-server's binding it, another process may take it.
	portTries = 5
	// socketPathBytes is what the kernel allows for a Unix socket's path.
	socketPathBytes = 107
)

// Server is a redis-server process that belongs to one test.
type Server struct {
	// Addr is the host and port on loopback.
	Addr string
	// Socket is the path of the Unix socket.
	Socket string

	t       testing.TB
	program string
	dir     string
	options []string
	process *os.Process
	ended   chan error // receives what the process ended with, once per process
	paused  bool
}

// Start starts a server that keeps what is written to it in an append-only file.
// The options are added to its command line, as in "--maxmemory", "1mb"; a later
// option replaces an earlier one.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := &Server{t: t, program: needRedis(t), dir: t.TempDir(), options: options}
	s.Socket = filepath.Join(s.dir, "redis.sock")
	if len(s.Socket) > socketPathBytes {
		t.Fatalf("socket path %s is longer than %d bytes: set TMPDIR to a shorter directory", s.Socket, socketPathBytes)
	}
	t.Cleanup(s.Stop)
	var err error
	for range portTries {
		if s.Addr, err = freeAddr(); err != nil {
			continue
		}
		if err = s.launch(); err == nil {
			return s
		}
		if s.process != nil {
			break // it runs: the port is not what is wrong
		}
	}
	t.Fatalf("start redis-server: %v", err)
	return nil
}

// needRedis returns the path of redis-server, or skips the test.
func needRedis(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOT TESTED: redis-server is not installed; apt-get install redis-server")
	}
	return program
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
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	s.paused = true
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
	s.paused = false
}

// Restart stops the server, if it runs, and starts it again at the same addresses
// with the data that it had.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.launch(); err != nil {
		s.t.Fatalf("restart redis-server: %v", err)
	}
}

// Stop ends the server and waits for it. Its data stays for Restart.
func (s *Server) Stop() {
	s.t.Helper()
	if s.process == nil {
		return
	}
	if s.paused {
		s.Resume()
	}
	s.signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(endWithin):
		s.signal(syscall.SIGKILL)
		<-s.ended
		s.t.Errorf("redis-server, pid %d, did not end within %s", s.process.Pid, endWithin)
	}
	s.process = nil
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if s.process == nil {
		s.t.Fatalf("redis-server does not run: call Restart first")
	}
	if err := s.process.Signal(signal); err != nil {
		s.t.Errorf("signal %s to redis-server, pid %d: %v", signal, s.process.Pid, err)
	}
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	command := exec.Command(s.program, append([]string{
		"--port", port, "--bind", "127.0.0.1", "--unixsocket", s.Socket,
		"--dir", s.dir, "--logfile", filepath.Join(s.dir, "redis.log"),
		"--daemonize", "no", "--save", "", "--appendonly", "yes",
	}, s.options...)...)
	// The kernel ends the server when the test's process dies in any way.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		// The parent that Pdeathsig watches is the thread: it has to live as long
		// as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			ended <- command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.ended, s.paused = command.Process, ended, false
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
		case end := <-s.ended:
			s.process = nil
			return fmt.Errorf("redis-server ended (%v): %s", end, s.log())
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server, pid %d, is not ready after %s: %w", s.process.Pid, readyWithin, err)
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
		// A server that wants a password is ready too.
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

func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}
