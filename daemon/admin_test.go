package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"causalmesh/ring"
	"causalmesh/ring/netloop"
)

func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestAdmin(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.start(1)
	admin := c.nodes[1].Addresses().Admin
	if code, body := get(t, admin, "/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Fatalf("/healthz before joining: %d %s", code, body)
	}
	if code, body := get(t, admin, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no epoch yet") {
		t.Fatalf("/readyz before joining: %d %s", code, body)
	}
	c.start(0)
	c.start(2)
	c.waitReady()
	c.waitLinks()
	if code, body := get(t, admin, "/readyz"); code != http.StatusOK || body != "ready\n" {
		t.Fatalf("/readyz: %d %s", code, body)
	}
	c.session(1).write("k", "v")
	var s Status
	var body string
	eventually(t, "the request is counted", func() bool {
		var code int
		if code, body = get(t, admin, "/status"); code != http.StatusOK {
			t.Fatalf("/status: %d %s", code, body)
		}
		s = Status{}
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		return s.Daemon.Requests == 1 && s.Daemon.Clients == 1
	})
	if s.Server == nil || s.Server.Self != 1 || s.Server.Counters.Writes != 1 || s.Epoch == 0 || len(s.Peers) != 2 ||
		s.Process.RSSBytes < 1<<20 || s.Loop.OpenConns == 0 || len(s.Config.Digest) != 32 {
		t.Fatalf("/status: %s", body)
	}
	for _, p := range s.Peers {
		if want := map[int]string{0: "predecessor", 2: "successor"}[int(p.Node)]; p.Role != want || !p.To || !p.From || p.LastBoot == "" {
			t.Fatalf("peer %+v", p)
		}
	}
	if code, _ := get(t, admin, "/secret"); code != http.StatusNotFound {
		t.Fatalf("an unknown path: %d", code)
	}
	r, err := http.Post("http://"+admin+"/status", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Fatalf("POST /status: %d", r.StatusCode)
	}
	c.proxies[2].Cut()
	eventually(t, "not ready without the link to the successor", func() bool {
		code, body := get(t, admin, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "no link to node 2")
	})
}

// Whoever gives up a question has no part in its answer, which the loop may work out
// all the same; the race detector tells if they share anything.
func TestStatusGivenUp(t *testing.T) {
	c := startCluster(t, 1, nil)
	for range 500 {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if s, err := c.nodes[0].Status(ctx); err == nil && !s.Joined || err != nil && !errors.Is(err, ErrBusy) {
			t.Fatalf("%+v, %v", s, err)
		}
	}
}

// A loop that does not answer is not given questions without end.
func TestTooManyQuestions(t *testing.T) {
	n := newNode(DefaultConfig(), nil, slog.New(slog.DiscardHandler), []ring.Loop{netloop.New(ring.Options{})}) // its loop does not run
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for range 2 * maxPosted {
		if _, err := ask(gone, n, n.status); !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	if len(n.posted) != maxPosted {
		t.Fatalf("%d questions wait, want %d", len(n.posted), maxPosted)
	}
}

// A loop that is slow to answer is a fault for monitors; the status comes once it answers.
func TestStatusOfASlowLoop(t *testing.T) {
	c := startCluster(t, 1, nil)
	n := c.nodes[0].n
	n.askTimeout = time.Millisecond
	stands, goOn := make(chan struct{}), make(chan struct{})
	if !n.offer(func() { close(stands); <-goOn }) {
		t.Fatal("the loop has too many questions")
	}
	<-stands
	if code, body := get(t, c.nodes[0].Addresses().Admin, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "within 1ms") {
		t.Errorf("/healthz: %d %s", code, body)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if code, body := get(t, c.nodes[0].Addresses().Admin, "/status"); code != http.StatusOK || !strings.Contains(body, `"io"`) {
			t.Errorf("/status: %d %s", code, body)
		}
	}()
	eventually(t, "both questions wait", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.posted) == 2
	})
	close(goOn)
	<-answered
}
