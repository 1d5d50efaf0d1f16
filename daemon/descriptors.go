package daemon

import (
	"log/slog"
	"math"

	"golang.org/x/sys/unix"
)

// reservedFiles are descriptors that connections must leave: for the links and
// connections that the node opens, the database, the admin endpoint, logs.
const reservedFiles = 128

// maxConns is how many connections each listener may have: the setting, or what the
// process's limit of open files leaves for the two listeners of clients and for peers.
func maxConns(setting int, log *slog.Logger) int {
	files, room := connsRoom()
	if setting <= room {
		return setting
	}
	log.Warn("fewer connections than max-conns: raise the limit of open files (ulimit -n), or lower max-conns",
		"max-conns", setting, "in_force", room, "open_files", files)
	return room
}

// connsRoom is how many files may be open, and how many connections that leaves to each listener.
func connsRoom() (files, room int) {
	files = math.MaxInt32
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		files = int(min(limit.Cur, math.MaxInt32))
	}
	return files, max(1, (files-reservedFiles)/2)
}
