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
	const timeout = 20 * time.Millisecond
	// What has to succeed has a deadline of its own: the timeout does not bound it.
	bounded, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := clientlib.Dial(bounded, cluster.Target(0), clientlib.WithTimeout(timeout))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	endless, end := context.WithCancel(t.Context())
	defer end()
	defer time.AfterFunc(patience, end).Stop() // if the timeout does not end it

	cluster.SetFault(withhold)
	s := client.Session()
	for range 2 { // the timer is used again
		began := time.Now()
		_, _, err := s.Read(endless, "a")
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < timeout {
			t.Errorf("after %v: %v", took, err)
		}
	}
	cluster.SetFault(nil)
	if _, found, err := s.Read(bounded, "a"); found || err != nil {
		t.Error(found, err)
	}

	cluster.SetRefusal(func(int) *wire.Refusal { return &wire.Refusal{Code: wire.RefusedNotReady} })
	_, err = clientlib.Dial(endless, cluster.Target(0), clientlib.WithTimeout(timeout))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("dial:", err)
	}
}

func TestNotReady(t *testing.T) {
	cluster := start(t, testcluster.Config{})
	var refused atomic.Int64 // and the first that is not
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
	if got := refused.Load(); got != 3 {
		t.Errorf("%d attempts after the connection was lost, want 3", got)
	}

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
		if _, err := clientlib.Dial(t.Context(), cluster.Target(0), clientlib.WithTimeout(patience)); !errors.Is(err, c.want) {
			t.Errorf("dial, refused with %v: %v, want %v", c.code, err, c.want)
		}
	}
	cluster.Disconnect(0)
	if _, _, err := s.Read(t.Context(), "a"); !errors.Is(err, clientlib.ErrRefused) {
		t.Error("refused for good:", err)
	}

	// The deadline passes in the second attempt: by then the first has been refused.
	ctx := expiresAtWait(t, 0)
	refused.Store(0)
	cluster.SetRefusal(func(int) *wire.Refusal {
		if refused.Add(1) == 2 {
			ctx.expire()
		}
		return &wire.Refusal{Code: wire.RefusedNotReady}
	})
	_, err := clientlib.Dial(ctx, cluster.Target(0))
	if !errors.Is(err, clientlib.ErrNotReady) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("dial:", err)
	}

	cluster.SetRefusal(nil)
	ctx = expiresAtWait(t, 0)
	var requests atomic.Int64
	cluster.SetFault(func(int, *causal.Request) testcluster.Action {
		if requests.Add(1) == 2 {
			ctx.expire()
		}
		return testcluster.RefuseNotReady
	})
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
	// The first wait may be for the reply on the lost connection. The others are for a new one.
	_, _, err := s.Read(expiresAtWait(t, 3), "a")
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
