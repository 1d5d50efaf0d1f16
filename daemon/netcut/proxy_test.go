package netcut

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

const within = 30 * time.Second

// echo is a target that sends everything back.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func start(t *testing.T) *Proxy {
	p, err := Listen(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("heard %q, %v; want %q", b, err, text)
	}
}

// awaitHeld waits until the proxy holds something back.
func awaitHeld(t *testing.T, p *Proxy) {
	t.Helper()
	held := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.held > 0
	}
	for deadline := time.Now().Add(within); !held(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is held back")
		}
	}
}

// hearNothing checks that nothing comes; it can only ever wait for a while.
func hearNothing(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %d bytes, %v; want silence on an open connection", n, err)
	}
}

func hearEnd(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(within))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %d bytes, %v; want the end", n, err)
	}
}

func TestCutAndRestore(t *testing.T) {
	p := start(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c, "one")
	p.Cut()
	hearEnd(t, c)
	hearEnd(t, dial(t, p))
	p.Restore()
	c = dial(t, p)
	say(t, c, "two")
	hear(t, c, "two")
}

func TestFreeze(t *testing.T) {
	for _, d := range []Direction{ToTarget, FromTarget, Both} {
		p := start(t)
		c := dial(t, p)
		say(t, c, "one")
		hear(t, c, "one")
		p.Freeze(d)
		say(t, c, "two")
		awaitHeld(t, p)
		hearNothing(t, c)
		p.Restore()
		hear(t, c, "two")
	}
}

func TestFreezeHidesTheEnd(t *testing.T) {
	p := start(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c, "one")
	p.Freeze(ToTarget)
	_ = c.Close()
	awaitHeld(t, p)
	if n := p.Connections(); n != 1 {
		t.Fatalf("%d connections, want the half-open one", n)
	}
	p.Restore()
	for deadline := time.Now().Add(within); p.Connections() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the end never arrived")
		}
	}
}
