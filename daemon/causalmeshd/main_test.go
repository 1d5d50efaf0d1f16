package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/child"
	"causalmesh/daemon/store/redistest"
)

// within is how long tests wait for what must happen.
const within = time.Minute

// program is the path of causalmeshd, built as users build it: a test binary has
// another size and, under the race detector, another memory.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "causalmeshd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "causalmeshd")
	code := 1
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func TestCommandLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node.toml")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-version"}, 0, "wire protocol"},
		{[]string{"-help"}, 0, "-node-id place"},
		{[]string{"-listen-tcp", ":0", "-check-config"}, 0, "good"},
		{[]string{"-check-config"}, exitConfig, "listen-unix"},
		{[]string{"-io", "magic", "-listen-tcp", ":0"}, exitConfig, "use auto, uring or net"},
		{[]string{"-ack", "never"}, exitConfig, "local or replicated"},
		{[]string{"-listen-tcp", "256.0.0.1:1"}, exitFailed, "listen for clients (listen-tcp)"},
		{[]string{"-listen-tcp", ":0", "-print-config"}, 0, "listen-tcp = \":0\""},
		{[]string{"-config", file, "-check-config"}, 0, "good"}, // what the last one printed
	} {
		out, err := exec.Command(program, c.args...).CombinedOutput()
		if exitCode(err) != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: exit code %d, want %d\n%s", c.args, exitCode(err), c.code, out)
		}
		if err := os.WriteFile(file, out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// daemonProcess is a running causalmeshd, a ring of one.
type daemonProcess struct {
	*child.Process
	t      *testing.T
	socket string
	log    string
}

// start starts it without probes: those of other tests' daemons would have the same name.
func start(t *testing.T, args ...string) *daemonProcess {
	t.Helper()
	return startAs(t, t.TempDir(), nil, append([]string{"-bpf", "off"}, args...)...)
}

// startAs starts it in a folder, as somebody.
func startAs(t *testing.T, dir string, as *syscall.SysProcAttr, args ...string) *daemonProcess {
	t.Helper()
	d := &daemonProcess{t: t, socket: filepath.Join(dir, "clients.sock"), log: filepath.Join(dir, "log")}
	log, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(program, append([]string{"-listen-unix", d.socket}, args...)...)
	command.Stderr, command.SysProcAttr = log, as
	if d.Process, err = child.Start(command); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Kill)
	return d
}

func (d *daemonProcess) logged() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

func (d *daemonProcess) eventually(what string, condition func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("never: %s\n%s", what, d.logged())
		}
	}
}

// connect opens a connection and shakes hands.
func (d *daemonProcess) connect() net.Conn {
	d.t.Helper()
	var c net.Conn
	d.eventually("it listens", func() bool {
		var err error
		c, err = net.Dial("unix", d.socket)
		return err == nil
	})
	d.t.Cleanup(func() { _ = c.Close() })
	hello, err := wire.AppendHandshake(nil, &wire.Hello{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.say(c, hello)
	d.skipFrames(c, 1)
	return c
}

func (d *daemonProcess) say(c net.Conn, b []byte) {
	d.t.Helper()
	if _, err := c.Write(b); err != nil {
		d.t.Fatalf("%v\n%s", err, d.logged())
	}
}

// skipFrames reads n frames.
func (d *daemonProcess) skipFrames(c net.Conn, n int) {
	d.t.Helper()
	for range n {
		d.frame(c)
	}
}

// frame reads a frame, and returns its body.
func (d *daemonProcess) frame(c net.Conn) []byte {
	d.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(within))
	var length [wire.FrameHeaderBytes]byte
	var body []byte
	_, err := io.ReadFull(c, length[:])
	if err == nil {
		body = make([]byte, binary.BigEndian.Uint32(length[:]))
		_, err = io.ReadFull(c, body)
	}
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.logged())
	}
	return body
}

// accepted reads the replies to n writes, and returns how many were carried out. Others are
// refused for the moment.
func (d *daemonProcess) accepted(c net.Conn, n int) (accepted int) {
	d.t.Helper()
	for range n {
		var r causal.Reply
		if err := wire.DecodeReply(d.frame(c), &r, nil); err != nil {
			d.t.Fatal(err)
		}
		switch r.Code {
		case causal.CodeOK:
			accepted++
		case causal.CodeOverloaded:
		default:
			d.t.Fatalf("a write is refused with %v: %s", r.Code, r.Detail)
		}
	}
	return accepted
}

func write(b []byte, number int, key string, value []byte) []byte {
	return wire.AppendRequest(b, &causal.Request{
		ID: causal.RequestID{Session: uint64(number) + 1, Number: 1}, Op: causal.OpWrite,
		Keys: [][]byte{[]byte(key)}, Value: value,
	})
}

func TestSignalFlushesAndEndsWell(t *testing.T) {
	redisServer := redistest.Start(t)
	d := start(t, "-store", redisServer.SocketURL(), "-drain-timeout", "10m")
	c := d.connect()
	redisServer.Pause()
	d.say(c, write(nil, 1, "k", []byte("v")))
	d.skipFrames(c, 1)
	if err := d.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.eventually("it drains", func() bool { return strings.Contains(d.logged(), "draining") })
	redisServer.Resume()
	<-d.Ended()
	if err := d.Err(); err != nil {
		t.Fatalf("%v\n%s", err, d.logged())
	}
	other := redis.NewClient(&redis.Options{Network: "unix", Addr: redisServer.Socket, Protocol: 2})
	defer other.Close()
	if got, err := other.Get(context.Background(), "k").Result(); got != "v" {
		t.Fatalf("k: %q, %v", got, err)
	}
}

func TestSignalsThatLeaveSomethingBehind(t *testing.T) {
	for name, args := range map[string][]string{"time is over": {"-drain-timeout", "300ms"}, "second signal": {"-drain-timeout", "10m"}} {
		t.Run(name, func(t *testing.T) {
			redisServer := redistest.Start(t)
			d := start(t, append([]string{"-store", redisServer.SocketURL()}, args...)...)
			c := d.connect()
			redisServer.Pause()
			defer redisServer.Resume()
			d.say(c, write(nil, 1, "k", []byte("v")))
			d.skipFrames(c, 1)
			_ = d.Signal(syscall.SIGINT)
			if name == "second signal" {
				// A signal ends the drain when it is no duplicate any more.
				d.eventually("a second signal ends it", func() bool {
					_ = d.Signal(syscall.SIGTERM)
					return strings.Contains(d.logged(), "without draining")
				})
			}
			<-d.Ended()
			if code := exitCode(d.Err()); code != exitLeftBehind {
				t.Fatalf("exit code %d\n%s", code, d.logged())
			}
		})
	}
}

// TestDuplicateSignal: one signal that comes several times at once is one.
func TestDuplicateSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 2)
		drains, ended := 0, false
		go func() {
			awaitSignals(signals, func() { drains++ }, slog.New(slog.DiscardHandler))
			ended = true
		}()
		for _, after := range []time.Duration{0, 0, sameSignal - 1} {
			time.Sleep(after) // on synctest's clock
			signals <- syscall.SIGTERM
			synctest.Wait()
			if drains != 1 || ended {
				t.Fatalf("%d drains, ended at once: %v", drains, ended)
			}
		}
		time.Sleep(time.Nanosecond)
		signals <- syscall.SIGTERM
		synctest.Wait()
		if drains != 1 || !ended {
			t.Fatalf("after a second: %d drains, ended at once: %v", drains, ended)
		}
	})
}

// peakBytes is the most memory that the process has ever had in use.
func (d *daemonProcess) peakBytes() int {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		d.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		d.t.Skip("NOT TESTED: the kernel does not tell the peak of the memory")
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		d.t.Fatal(err)
	}
	return n << 10
}

// The process stays below max-memory while several times as much is written. It
// prints what was measured: cacheShare rests on it.
func TestMemoryStaysBelowTheLimit(t *testing.T) {
	for _, m := range []struct{ limitMiB, valueBytes int }{{40, 100}, {64, 16 << 10}} {
		t.Run(fmt.Sprintf("%d MiB, values of %d bytes", m.limitMiB, m.valueBytes), func(t *testing.T) {
			redisServer := redistest.Start(t, "--appendonly", "no")
			d := start(t, "-store", redisServer.SocketURL(), "-max-memory", fmt.Sprint(m.limitMiB, "MiB"))
			c := d.connect()
			limit := m.limitMiB << 20
			value := bytes.Repeat([]byte("v"), m.valueBytes)
			const batch = 200
			var requests []byte
			n, written := 0, 0
			begin := time.Now()
			for written < 2*limit {
				if time.Since(begin) > 5*within {
					t.Fatalf("%d bytes were written, of %d", written, 2*limit)
				}
				requests = requests[:0]
				for range batch {
					n++
					requests = write(requests, n, fmt.Sprint("key", n), value)
				}
				d.say(c, requests)
				// Some are refused: it may be at its limit. Each entry costs some hundred bytes
				// beside its value.
				written += d.accepted(c, batch) * (m.valueBytes + 300)
			}
			peak := d.peakBytes()
			t.Logf("%d writes in %v, peak %.1f MiB: %d %%", n, time.Since(begin).Round(time.Millisecond),
				float64(peak)/(1<<20), 100*peak/limit)
			if peak > limit {
				t.Errorf("the peak is %d bytes, the limit %d", peak, limit)
			}
		})
	}
}
