package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/tools/internal/cluster"
)

const patience = time.Minute

// What a terminal gets first and last.
const (
	alternateScreen = "\x1b[?1049h"
	usualScreen     = "\x1b[?1049l"
)

// probedShell has a node whose requests are measured, and the flags that name it.
func probedShell(t *testing.T) (*shell, *cluster.State, []string) {
	t.Helper()
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	s := newShell(t)
	state := s.up("-n", "1", "--store", "mem", "--", "--io", "uring")
	flags := []string{"--admin", state.Nodes[0].Admin, "--pins", fmt.Sprintf("%s-top-%d", bpf.Root, os.Getpid())}
	s.meshctl(append([]string{"probe", "on"}, flags...)...)
	t.Cleanup(func() { s.run("meshctl", append([]string{"probe", "off"}, flags...)...) })
	return s, state, flags
}

// watched is a program and what it has written so far.
type watched struct {
	t       *testing.T
	command *exec.Cmd
	ended   chan struct{}
	read    chan struct{} // closed when there is no more to read

	mu    sync.Mutex
	text  []byte
	looks int // how much of it was looked at
}

// watch starts a program whose output can be read.
func watch(t *testing.T, command *exec.Cmd, output io.Reader) *watched {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t, command: command, ended: make(chan struct{}), read: make(chan struct{})}
	go func() {
		defer close(w.read)
		b := make([]byte, 4096)
		for {
			n, err := output.Read(b)
			if err != nil {
				return
			}
			w.mu.Lock()
			w.text = append(w.text, b[:n]...)
			w.mu.Unlock()
		}
	}()
	go func() {
		_ = command.Wait()
		close(w.ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-w.ended
	})
	return w
}

// await waits until what was written after the last match has one again, and meanwhile
// does something over and over.
func (w *watched) await(pattern string, meanwhile func()) {
	w.t.Helper()
	wanted := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		rest := bytes.Clone(w.text[w.looks:])
		at := wanted.FindIndex(rest)
		if at != nil {
			w.looks += at[1]
		}
		w.mu.Unlock()
		if at != nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no %s in %q", pattern, rest)
		}
		if meanwhile != nil {
			meanwhile()
		}
	}
}

// ends waits for the program, which must have gone well.
func (w *watched) ends() {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.t.Fatal("it does not end")
	}
	if code := w.command.ProcessState.ExitCode(); code != 0 {
		w.t.Errorf("exit code %d", code)
	}
}

// TestTopOnTerminal watches a node on a pseudo terminal, and finds the terminal as it was
// after each way to end.
func TestTopOnTerminal(t *testing.T) {
	s, state, flags := probedShell(t)
	put := func() { s.meshctl("--target", "unix:"+state.Nodes[0].Unix, "put", "key", "value") }
	for name, end := range map[string]func(w *watched, master *os.File){
		"quit": func(_ *watched, master *os.File) { _, _ = master.WriteString("q") },
		"a signal": func(w *watched, _ *os.File) {
			_ = w.command.Process.Signal(syscall.SIGTERM)
		},
	} {
		t.Run(name, func(t *testing.T) {
			master, tty, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = master.Close() }()
			defer func() { _ = tty.Close() }()
			if err := pty.Setsize(master, &pty.Winsize{Cols: 100, Rows: 30}); err != nil {
				t.Fatal(err)
			}
			before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			command := exec.Command(filepath.Join(s.bin, "meshctl"), append([]string{"top", "--interval", "200ms"}, flags...)...)
			command.Env = append(os.Environ(), "NO_COLOR=1", "LC_ALL=C.UTF-8", "TERM=xterm")
			command.Stdin, command.Stdout, command.Stderr = tty, tty, tty
			command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^Z is for it alone
			w := watch(t, command, master)
			w.await(regexp.QuoteMeta(alternateScreen), nil)
			w.await(fmt.Sprintf(`node 0  ready  .* requests/s  pid %d  %s`, state.Nodes[0].Process.PID, state.Nodes[0].Admin), nil)
			w.await(`write +[1-9][.0-9]* +[0-9.]+[mµ]s .*█`, put)
			w.await(`write +0 +- +- +-`, nil) // It changes.
			_, _ = master.WriteString("s")
			w.await("sort: rate", nil)
			suspend(w, master)
			end(w, master)
			w.await(regexp.QuoteMeta(usualScreen), nil)
			w.ends()
			after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is not as it was: %+v, %v, before %+v", after, err, before)
			}
		})
	}
}

// suspend stops the program with ^Z and has it go on.
func suspend(w *watched, master *os.File) {
	w.t.Helper()
	_, _ = master.WriteString("\x1a")
	w.await(regexp.QuoteMeta(usualScreen), nil)
	pid := w.command.Process.Pid
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.Contains(string(stat), ") T ") {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("it is not stopped: %s", stat)
		}
	}
	_ = w.command.Process.Signal(syscall.SIGCONT)
	w.await(regexp.QuoteMeta(alternateScreen), nil)
	w.await("node 0", nil)
}

// TestTopThroughPipe: without a terminal it is text, which comes as it is written.
func TestTopThroughPipe(t *testing.T) {
	s, state, flags := probedShell(t)
	put := func() { s.meshctl("--target", "unix:"+state.Nodes[0].Unix, "put", "key", "value") }
	command := exec.Command(filepath.Join(s.bin, "meshctl"), append([]string{"top", "--interval", "200ms"}, flags...)...)
	// Not StdoutPipe: at the end of the program it would be closed with something in it.
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	command.Stdout = in
	w := watch(t, command, out)
	_ = in.Close()
	w.await(`\n +0 +write +[1-9][0-9]* +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ *\n`, put)
	w.await(`OPERATION`, nil)
	_ = command.Process.Signal(syscall.SIGINT)
	w.ends()
	<-w.read
	w.mu.Lock()
	if strings.Contains(string(w.text), "\x1b") {
		t.Errorf("sequences for a terminal: %q", w.text)
	}
	w.mu.Unlock()

	if got := s.meshctl(append([]string{"top", "--count", "2", "--interval", "100ms"}, flags...)...); strings.Count(got, "OPERATION") != 2 {
		t.Errorf("got\n%s", got)
	}
	s.meshctl(append([]string{"probe", "off"}, flags...)...)
	s.refused(1, "meshctl probe on --admin "+state.Nodes[0].Admin, append([]string{"top", "--once"}, flags...)...)
	s.refused(2, "--interval", append([]string{"top", "--interval", "1ms"}, flags...)...)
	s.refused(2, "--count", append([]string{"top", "--once", "--count", "3"}, flags...)...)
	s.refused(2, "--admin", "top")
	if got := s.meshctl("top", "--help"); !strings.Contains(got, "quit") || got != s.meshctl("help", "top") {
		t.Errorf("got\n%s", got)
	}
}
