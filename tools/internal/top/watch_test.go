package top

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/tools/internal/probe"
)

// within is how long tests wait for what must happen, on a busy machine too.
const within = time.Minute

// desk is a pseudo terminal and what was written to it.
type desk struct {
	t           *testing.T
	master, tty *os.File
	before      unix.Termios

	mu    sync.Mutex
	text  bytes.Buffer
	looks int // how much of text was looked at
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	t.Setenv("NO_COLOR", "1")
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, master: master, tty: tty, before: termios(t, tty)}
	d.size(80, 24)
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			d.mu.Lock()
			d.text.Write(b[:n])
			d.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		// Who waits for a key still gets one: a file is closed when nobody reads it.
		_, _ = master.WriteString("\n")
		_ = tty.Close()
		<-read // It is told that the other side was closed.
		_ = master.Close()
	})
	return d
}

func termios(t *testing.T, f *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func (d *desk) size(columns, rows uint16) {
	d.t.Helper()
	if err := pty.Setsize(d.master, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) press(keys string) {
	d.t.Helper()
	if _, err := d.master.WriteString(keys); err != nil {
		d.t.Fatal(err)
	}
}

// await waits for a text that is written after the last one waited for.
func (d *desk) await(text string) {
	d.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		rest := d.text.Bytes()[d.looks:]
		i := bytes.Index(rest, []byte(text))
		if i >= 0 {
			d.looks += i + len(text)
		}
		d.mu.Unlock()
		if i >= 0 {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("no %q in %q", text, rest)
		}
	}
}

// ends waits for what watch returns, or its panic, and checks the terminal.
func (d *desk) ends(ended <-chan any) any {
	d.t.Helper()
	select {
	case result := <-ended:
		if now := termios(d.t, d.tty); now != d.before {
			d.t.Errorf("the terminal is not as it was: %+v, before %+v", now, d.before)
		}
		d.await(leaveScreen)
		return result
	case <-time.After(within):
		d.t.Fatal("it does not end")
		return nil
	}
}

// watch watches what read tells.
func (d *desk) watch(ctx context.Context, read reader) <-chan any {
	ended := make(chan any, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				ended <- r
			}
		}()
		ended <- watch(ctx, Options{Admins: []string{"a:1"}, Interval: MinInterval}, read, d.tty, d.tty)
	}()
	return ended
}

// ready is a node that has no probes.
func ready(context.Context, bool) []probe.Reading {
	return []probe.Reading{{Address: "a:1", Node: "5", PID: 77, State: probe.NodeReady, Rate: 12, Err: bpf.ErrOff}}
}

func TestScreen(t *testing.T) {
	d := newDesk(t)
	ended := d.watch(t.Context(), ready)
	d.await(enterScreen)
	d.await("node ?  is asked  a:1")
	d.await("node 5  ready  12 requests/s  pid 77")
	d.await("probes are off")
	d.press("s")
	d.await("sort: rate")
	d.press("p")
	d.await(" paused ")
	d.press("p")
	d.await("p pause")
	d.press("r")
	d.await("since now")
	d.await(" since ")
	d.press("i+")
	d.await("every 200ms")
	d.size(20, 5)
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	d.await("make the window larg")
	d.press("nothing\x1b[5~")
	d.press("q")
	if err := d.ends(ended); err != nil {
		t.Error(err)
	}
}

// However it ends, the terminal is given back.
func TestTerminalIsGivenBack(t *testing.T) {
	signal := func(s unix.Signal) func(*desk, context.CancelFunc) {
		return func(d *desk, _ context.CancelFunc) {
			if err := unix.Kill(os.Getpid(), s); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	for name, end := range map[string]func(*desk, context.CancelFunc){
		"q":        func(d *desk, _ context.CancelFunc) { d.press("q") },
		"^C":       func(d *desk, _ context.CancelFunc) { d.press("\x03") },
		"the end":  func(_ *desk, cancel context.CancelFunc) { cancel() },
		"hang-up":  signal(unix.SIGHUP),
		"a signal": signal(unix.SIGQUIT),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := d.watch(ctx, ready)
			d.await("node 5")
			end(d, cancel)
			if err := d.ends(ended); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a panic", func(t *testing.T) {
		d := newDesk(t)
		ended := d.watch(t.Context(), func(context.Context, bool) []probe.Reading { panic("on purpose") })
		if text, is := d.ends(ended).(string); !is || !strings.Contains(text, "on purpose") || !strings.Contains(text, "watch_test.go") {
			t.Errorf("%q", text)
		}
	})
}

// A node that hangs holds up neither keys nor the end.
func TestReadingHangs(t *testing.T) {
	d := newDesk(t)
	hangs := make(chan struct{})
	defer close(hangs)
	ended := d.watch(t.Context(), func(context.Context, bool) []probe.Reading { <-hangs; return nil })
	d.await("is asked")
	d.press("s")
	d.await("sort: rate")
	d.press("q")
	if err := d.ends(ended); err != nil {
		t.Error(err)
	}
}

// Only lines that have changed are written, all of them at once.
func TestDraw(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	screen := terminal{out: file}
	for _, c := range []struct{ lines, want string }{
		{"a b", clearScreen + "\x1b[1;1Ha\x1b[2;1Hb"},
		{"a b", ""},
		{"a c", "\x1b[2;1Hc"},
	} {
		before, err := file.Seek(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := screen.draw(strings.Fields(c.lines)); err != nil {
			t.Fatal(err)
		}
		all, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(all[before:]), beginUpdate+c.want+endUpdate; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What is no terminal gets a table for each interval.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Options{Root: "/none", Admins: []string{"127.0.0.1:1"}, Interval: MinInterval, Count: 2}, os.Stdin, &out)
	if n := strings.Count(out.String(), "OPERATION"); n != 2 || !errors.Is(err, ErrUnmeasured) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%d tables, %v:\n%s", n, err, &out)
	}
	s := State{Nodes: []Node{measured("0", 128_402), silent()}, At: noon}
	out.Reset()
	if err := s.write(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "plain.txt", strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Options{Interval: MinInterval}, os.Stdin, &out); err != nil {
		t.Errorf("after the end: %v", err)
	}
}
