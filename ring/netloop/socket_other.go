//go:build unix && !linux

package netloop

import (
	"syscall"
	"time"
)

// setUserTimeout has no portable form: keep-alive alone finds dead peers here.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }

func credentials(syscall.RawConn) (uid, pid int) { return -1, -1 }
