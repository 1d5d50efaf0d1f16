package faultlog

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestLog: one record per message and interval, which says how many came between.
func TestLog(t *testing.T) {
	var out strings.Builder
	l := New(slog.New(slog.NewTextHandler(&out, nil)))
	now := time.Now()
	for i := range 10 {
		l.Add(now.Add(time.Duration(i)*Every/10), "a")
	}
	l.Add(now, "b")
	l.Add(now.Add(Every), "a", "key", "k")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[2], "key=k not_logged_since_last=9") {
		t.Errorf("%d records:\n%s", len(lines), out.String())
	}
}
