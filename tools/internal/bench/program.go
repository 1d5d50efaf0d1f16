package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"causalmesh/daemon/child"
)

const (
	redisConfig     = "/etc/redis/redis.conf"
	memcachedConfig = "/etc/memcached.conf"
	builtIn         = "built-in defaults"

	// readyWithin is how long a server may take until it answers.
	readyWithin = time.Minute
	// endWithin is how long a server may take to end when asked to: Redis saves first.
	endWithin = time.Minute
	pollEvery = 5 * time.Millisecond
)

// program is a server that is run as its distribution ships it.
type program struct {
	Program
	socket  string
	log     string
	hello   string // what it is asked to find out whether it is ready
	answer  string // how its answer begins
	process *child.Process
}

// startRedis starts a redis-server with the settings of its package. It listens on a
// socket in dir alone and keeps its data there; anything else is as shipped,
// persistence too.
func startRedis(ctx context.Context, dir string, more ...string) (*program, error) {
	binary, err := find("redis-server")
	if err != nil {
		return nil, err
	}
	p := &program{socket: filepath.Join(dir, "redis.sock"), log: filepath.Join(dir, "redis.log"), hello: "PING\r\n", answer: "+PONG"}
	p.Program = Program{Name: "Redis", Version: version(binary), Config: builtIn}
	var args []string
	if readable(redisConfig) {
		args, p.Config = append(args, redisConfig), redisConfig
	}
	args = append(args, "--port", "0", "--unixsocket", p.socket, "--dir", dir, "--daemonize", "no",
		"--logfile", p.log, "--pidfile", filepath.Join(dir, "redis.pid"))
	return p, p.start(ctx, dir, binary, append(args, more...))
}

// startMemcached starts a memcached with the settings of its package, but for where it
// listens, whose user it is, and that it is a child.
func startMemcached(ctx context.Context, dir string, more ...string) (*program, error) {
	binary, err := find("memcached")
	if err != nil {
		return nil, err
	}
	p := &program{socket: filepath.Join(dir, "memcached.sock"), log: filepath.Join(dir, "memcached.log"), hello: "version\r\n", answer: "VERSION "}
	p.Program = Program{Name: "memcached", Version: version(binary), Config: builtIn}
	var args []string
	if readable(memcachedConfig) {
		p.Config = memcachedConfig
		if args, err = memcachedArgs(memcachedConfig); err != nil {
			return nil, err
		}
	}
	args = append(args, "-s", p.socket)
	args = append(args, more...) // the last one of a kind counts
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root") // it will not run as root without being told to
	}
	return p, p.start(ctx, dir, binary, args)
}

// memcachedArgs reads the package's file of flags, less those that are overridden.
func memcachedArgs(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var args []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		// Other lines are for the script that starts it.
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "-") {
			continue
		}
		switch fields[0] {
		case "-d", "-p", "-l", "-u", "-P", "-U", "-s":
		default:
			args = append(args, fields...)
		}
	}
	return args, nil
}

func (p *program) start(ctx context.Context, dir, binary string, args []string) error {
	p.Command = strings.ReplaceAll(strings.Join(append([]string{filepath.Base(binary)}, args...), " "), dir, "DIR")
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	command := exec.Command(binary, args...)
	command.Stdout, command.Stderr = log, log
	if p.process, err = child.Start(command); err != nil {
		return fmt.Errorf("%w: %w", ErrServer, err)
	}
	return p.awaitReady(ctx)
}

func (p *program) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := p.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.process.Ended():
			return fmt.Errorf("%w: %s ended (%v): %s", ErrServer, p.Name, p.process.Err(), p.logEnd())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%w: %s is not ready: %w", ErrServer, p.Name, err), p.stop())
		case <-time.After(pollEvery):
		}
	}
}

// ask finds out whether the server answers.
func (p *program) ask(ctx context.Context) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	if _, err := c.Write([]byte(p.hello)); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, p.answer) {
		err = fmt.Errorf("answer %q", line)
	}
	return err
}

func (p *program) stop() error {
	if p.process == nil {
		return nil
	}
	return p.process.Stop(endWithin)
}

func (p *program) logEnd() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 1000
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// find looks for a program of the system's packages.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %s: there is no comparison without it; apt-get install %s", ErrMissing, name, name)
	}
	return path, nil
}

// readable reports whether this user may read a file: a package may keep its settings
// from others.
func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// version is the number in the first line that the program prints of itself.
func version(binary string) string {
	text, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for _, word := range strings.Fields(line) {
		word = strings.TrimPrefix(word, "v=")
		if first, _, dotted := strings.Cut(word, "."); dotted {
			if _, err := strconv.Atoi(first); err == nil {
				return word
			}
		}
	}
	return line
}
