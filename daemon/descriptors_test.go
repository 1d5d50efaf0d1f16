package daemon

import (
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMaxConnsLeavesDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if got := maxConns(1, log); got != 1 {
		t.Errorf("%d connections, 1 is set", got)
	}
	if got := maxConns(1<<40, log); got < 1 || uint64(2*got+reservedFiles) > max(limit.Cur, 2+reservedFiles) {
		t.Errorf("%d connections for each of two listeners, with %d open files", got, limit.Cur)
	}
}
