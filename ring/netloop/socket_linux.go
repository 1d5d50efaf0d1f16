package netloop

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	if err == nil {
		err = os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", failed)
	}
	return err
}

// credentials are those of the process at connect time; -1 if the kernel says none.
func credentials(raw syscall.RawConn) (uid, pid int) {
	uid, pid = -1, -1
	_ = raw.Control(func(fd uintptr) {
		if u, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid, pid = int(u.Uid), int(u.Pid)
		}
	})
	return uid, pid
}
