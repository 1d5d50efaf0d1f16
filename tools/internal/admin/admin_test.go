package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func serve(t *testing.T, code int, body string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// dead returns an address that refuses connections: it is bound, so that no other program
// can listen there, and nobody listens.
func dead(t *testing.T) (address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
}

func TestReady(t *testing.T) {
	for _, c := range []struct {
		name, address string
		want          error
		says          string
	}{
		{"ready", serve(t, http.StatusOK, "ready\n"), nil, ""},
		{"not ready", serve(t, http.StatusServiceUnavailable, "no epoch yet\n"), ErrNotReady, "no epoch yet"},
		{"another program", serve(t, http.StatusNotFound, "who?"), ErrAnswer, "404"},
		{"nobody", dead(t), ErrUnreachable, "refused"},
		{"no address", "a b", nil, "host:port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Ready(context.Background(), c.address)
			if c.want != nil && !errors.Is(err, c.want) || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v with %q", err, c.want, c.says)
			}
		})
	}
}

func TestTable(t *testing.T) {
	good := serve(t, http.StatusOK, `{"ready":true,"epoch":7,"process":{"rss_bytes":10485760},
		"server":{"node":0,"received":[3,0],"stable":[2,0],"pending":1,"dirty":4,"entries":5,"new_field":1},
		"peers":[{"node":1,"link_to":true,"link_from":false}]}`)
	young := serve(t, http.StatusOK, `{"ready":false,"not_ready":"no epoch yet","peers":[]}`)
	other := serve(t, http.StatusOK, `<html>`)
	long := serve(t, http.StatusOK, strings.Repeat(" ", maxAnswerBytes+1))
	answers := Ask(context.Background(), []string{good, young, other, long, dead(t)})
	var b strings.Builder
	if err := WriteTable(&b, answers); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{
		"NODE READY EPOCH RECEIVED (R) STABLE (S) PENDING DIRTY ENTRIES MEMORY LINKS",
		"0 yes 7 3,0 2,0 1 4 5 10.0 MiB 1/2 no ←1",
		"? no 0 - - - - - 0.0 MiB 0/0",
		"? no - - - - - - - -",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
	for _, want := range []string{young + ": not ready: no epoch yet", other + ": not the answer", long + ": ", ErrUnreachable.Error()} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}
