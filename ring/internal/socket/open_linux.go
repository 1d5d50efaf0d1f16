package socket

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = setOption(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	return err
}

func setOption(fd, level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
}

// credentials are those of the process at connect time; -1 if the kernel says none.
func credentials(fd int) (uid, pid int) {
	if u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
		return int(u.Uid), int(u.Pid)
	}
	return -1, -1
}

// Detach takes a socket out of the net package: a descriptor of its own that blocks,
// as io_uring wants it (an operation on a non-blocking one fails instead of waiting).
// The other descriptor of the same socket must not be used any more.
func Detach(s syscall.Conn) (int, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var failed error
	err = raw.Control(func(old uintptr) {
		if fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); failed == nil {
			failed = unix.SetNonblock(fd, false)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return -1, fmt.Errorf("detach a socket: %w", err)
	}
	return fd, nil
}

// TuneListener sets what Tune and the net package set on each connection. On Linux a
// TCP connection inherits it from its listener, so that accepting costs no calls.
func TuneListener(fd int, opts ring.Options) error {
	seconds := func(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
	probes := keepAlive(opts)
	for _, o := range []struct{ level, option, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(probes.Idle)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(probes.Interval)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes.Count},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(DeadPeerTimeout(opts).Milliseconds())},
	} {
		if err := setOption(fd, o.level, o.option, o.value); err != nil {
			return err
		}
	}
	return nil
}

// PeerOfFD is PeerOf for a socket that the net package does not know.
func PeerOfFD(fd int) ring.Peer {
	p := ring.Peer{UID: -1, PID: -1}
	name, err := unix.Getpeername(fd)
	if err != nil {
		return p // It is gone already, as the first receive will tell.
	}
	switch name := name.(type) {
	case *unix.SockaddrUnix:
		p.Addr = name.Name
		p.UID, p.PID = credentials(fd)
	case *unix.SockaddrInet4:
		p.Addr = (&net.TCPAddr{IP: name.Addr[:], Port: name.Port}).String()
	case *unix.SockaddrInet6:
		p.Addr = (&net.TCPAddr{IP: name.Addr[:], Port: name.Port, Zone: zoneOf(name.ZoneId)}).String()
	}
	return p
}

func zoneOf(id uint32) string {
	if id == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return strconv.Itoa(int(id))
}
