package clientlib_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/clientlib"
	"causalmesh/clientlib/internal/testcluster"
)

func TestTimeoutWithoutDeadline(t *testing.T) {
	cluster := start(t, testcluster.Config{})
	client := dial(t, cluster, 0, clientlib.WithTimeout(20*time.Millisecond))
	cluster.SetFault(withhold)
	s := client.Session()
	for range 2 { // the timer is used again
		if _, _, err := s.Read(context.Background(), "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	cluster.SetFault(nil)
	expect(t, s, "a", "")
}

func TestNotReady(t *testing.T) {
	cluster := start(t, testcluster.Config{})
	var refused atomic.Int64
	refuse := func(code wire.RefusalCode, n int64) {
		refused.Store(0)
		cluster.SetRefusal(func(int) *wire.Refusal {
			if refused.Add(1) > n {
				return nil
			}
			return &wire.Refusal{Code: code, Text: "says the test"}
		})
	}
	refuse(wire.RefusedNotReady, 3)
	client := dial(t, cluster, 0)
	if got := cluster.Accepted(0); got != 4 {
		t.Errorf("%d attempts, want 4", got)
	}

	refuse(wire.RefusedOverloaded, 2) // passes by itself, once there was a connection
	cluster.Disconnect(0)
	s := client.Session()
	write(t, s, "a", "1")

	const always = 1 << 60
	for _, c := range []struct {
		code wire.RefusalCode
		want error
	}{
		{wire.RefusedOverloaded, clientlib.ErrOverloaded},
		{wire.RefusedMalformed, clientlib.ErrRefused},
		{wire.RefusedConfig, clientlib.ErrRefused},
	} {
		refuse(c.code, always)
		if _, err := clientlib.Dial(t.Context(), cluster.Target(0)); !errors.Is(err, c.want) {
			t.Errorf("dial, refused with %v: %v, want %v", c.code, err, c.want)
		}
	}
	cluster.Disconnect(0)
	if _, _, err := s.Read(t.Context(), "a"); !errors.Is(err, clientlib.ErrRefused) {
		t.Error("refused for good:", err)
	}

	refuse(wire.RefusedNotReady, always)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := clientlib.Dial(ctx, cluster.Target(0))
	if !errors.Is(err, clientlib.ErrNotReady) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("dial:", err)
	}

	refuse(0, 0)
	cluster.SetFault(func(int, *causal.Request) testcluster.Action { return testcluster.RefuseNotReady })
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = s.Write(ctx, "a", nil)
	if !errors.Is(err, clientlib.ErrNotReady) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("write:", err)
	}
}

func TestDialErrors(t *testing.T) {
	for target, want := range map[string]error{
		"":                          clientlib.ErrBadRequest,
		"unix:":                     clientlib.ErrBadRequest,
		"http://localhost":          clientlib.ErrBadRequest,
		"/run/node.sock":            clientlib.ErrBadRequest,
		"unix:" + t.TempDir() + "/": clientlib.ErrDisconnected,
		"tcp:127.0.0.1":             clientlib.ErrDisconnected, // no port
	} {
		if _, err := clientlib.Dial(t.Context(), target); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", target, err, want)
		}
	}
	cluster := start(t, testcluster.Config{})
	if _, err := clientlib.Dial(t.Context(), cluster.Target(0), clientlib.WithLogger(nil)); !errors.Is(err, clientlib.ErrBadRequest) {
		t.Error(err)
	}
	name := clientlib.WithName(string(make([]byte, 1000)))
	if _, err := clientlib.Dial(t.Context(), cluster.Target(0), name); !errors.Is(err, clientlib.ErrTooLarge) {
		t.Error(err)
	}
}

// Without a server, operations wait until their context ends.
func TestDisconnected(t *testing.T) {
	cluster, client := one(t)
	s := client.Session()
	write(t, s, "a", "1")
	if err := cluster.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err := s.Read(ctx, "a")
	if !errors.Is(err, clientlib.ErrDisconnected) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	cluster, client := one(t)
	reader, writer := client.Session(), client.Session()
	cluster.SetFault(withhold)
	read, written := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := reader.Read(t.Context(), "a"); read <- err }()
	go func() { written <- writer.Write(t.Context(), "a", []byte("1")) }()
	cluster.WaitWithheld(2)
	cluster.SetFault(nil)
	for range 2 {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := receive(t, read); !errors.Is(err, clientlib.ErrClosed) || errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error("read:", err)
	}
	if err := receive(t, written); !errors.Is(err, clientlib.ErrClosed) || !errors.Is(err, clientlib.ErrUnknownOutcome) {
		t.Error("write:", err)
	}
	if err := client.Session().Sync(t.Context()); !errors.Is(err, clientlib.ErrClosed) {
		t.Error("sync:", err)
	}
	if err := reader.Move(dial(t, cluster, 0)); err != nil {
		t.Error(err)
	}
	expect(t, reader, "a", "1")
}

func TestLog(t *testing.T) {
	cluster := start(t, testcluster.Config{})
	var text bytes.Buffer
	client := dial(t, cluster, 0, clientlib.WithLogger(slog.New(slog.NewTextHandler(&text, nil))))
	s := client.Session()
	cluster.SetFault(times(causal.OpRead, testcluster.CloseUnread))
	expect(t, s, "a", "")
	_ = client.Close() // whoever logs has ended
	got := text.String()
	if strings.Count(got, "msg=connected") != 2 || strings.Count(got, `msg="connection lost"`) != 1 {
		t.Error(got)
	}
}
