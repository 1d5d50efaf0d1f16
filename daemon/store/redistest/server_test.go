package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// within is how long one command may take, a restart before it included.
const within = 30 * time.Second

func client(t *testing.T, s *Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Network: "unix", Addr: s.Socket, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialTimeout: within, ReadTimeout: within, WriteTimeout: within,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDataSurvivesRestart(t *testing.T) {
	s := Start(t)
	c := client(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	addr, socket := s.Addr, s.Socket
	s.Restart()
	if s.Addr != addr || s.Socket != socket {
		t.Fatalf("moved from %s, %s to %s, %s", addr, socket, s.Addr, s.Socket)
	}
	again := client(t, s)
	if got, err := again.Get(ctx, "k").Result(); got != "v" || err != nil {
		t.Fatalf("after the restart: %q, %v", got, err)
	}
}

func TestPausedServerAnswersAfterResume(t *testing.T) {
	s := Start(t)
	c := client(t, s)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.PID()))
	if err != nil || !strings.Contains(string(stat), ") T ") {
		t.Fatalf("not stopped: %s, %v", stat, err)
	}
	pong := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		pong <- c.Ping(ctx).Err()
	}()
	s.Resume()
	if err := <-pong; err != nil {
		t.Fatal(err)
	}
}

func TestStopEndsTheProcess(t *testing.T) {
	s := Start(t)
	pid := s.process.PID()
	s.Pause()
	s.Stop()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("pid %d after Stop: %v, want %v", pid, err, syscall.ESRCH)
	}
	if conn, err := net.Dial("tcp", s.Addr); err == nil {
		_ = conn.Close()
		t.Error("the port still answers")
	}
	if _, err := os.Stat(s.dir); err != nil {
		t.Errorf("the data is gone: %v", err)
	}
	s.Stop() // a second Stop does nothing
}

func TestOptionsReachTheServer(t *testing.T) {
	s := Start(t, "--maxmemory", "64mb")
	got, err := client(t, s).ConfigGet(t.Context(), "maxmemory").Result()
	if err != nil || got["maxmemory"] != "67108864" {
		t.Fatalf("maxmemory: %v, %v", got, err)
	}
}
