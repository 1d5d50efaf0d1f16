//go:build unix && !linux

package socket

import (
	"syscall"
	"time"
)

// setUserTimeout has no portable form: keep-alive alone finds dead peers here.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }

func credentials(int) (uid, pid int) { return -1, -1 }
