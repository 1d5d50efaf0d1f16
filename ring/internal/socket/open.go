package socket

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"causalmesh/ring"
)

// DeadPeerTimeout is well above StallTimeout, because the kernel's timer also runs
// for a live peer that does not read; that one is to be called stalled.
func DeadPeerTimeout(opts ring.Options) time.Duration {
	return max(minDeadPeerTimeout, 2*opts.StallTimeout)
}

// keepAlive finds dead peers of idle connections within DeadPeerTimeout.
func keepAlive(opts ring.Options) net.KeepAliveConfig {
	timeout := DeadPeerTimeout(opts)
	return net.KeepAliveConfig{
		Enable:   true,
		Idle:     timeout / 2,
		Interval: timeout / 2 / keepAliveProbes,
		Count:    keepAliveProbes,
	}
}

// Listen binds a listener. A Unix socket's file that no process serves any more is
// removed first. What a net.Listener accepts from it is to be given to Tune.
func Listen(network, address string, opts ring.Options) (net.Listener, error) {
	var nl net.Listener
	var err error
	switch network {
	case "unix":
		nl, err = listenUnix(address)
	case "tcp":
		config := net.ListenConfig{KeepAliveConfig: keepAlive(opts)}
		config.SetMultipathTCP(false) // The net package's default; it knows no TCP_USER_TIMEOUT.
		nl, err = config.Listen(context.Background(), network, address)
	default:
		err = fmt.Errorf("%q: %w", network, ErrNetwork)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return nl, nil
}

// CheckNetwork refuses what Dial does not know.
func CheckNetwork(network string) error {
	if network != "unix" && network != "tcp" {
		return fmt.Errorf("%q: %w", network, ErrNetwork)
	}
	return nil
}

// Dial connects, and tunes the connection.
func Dial(ctx context.Context, network, address string, timeout time.Duration, opts ring.Options) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: keepAlive(opts)}
	nc, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err == nil {
		err = Tune(nc, raw, opts)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// Tune bounds how long sent bytes may stay unacknowledged: keep-alive probes are not
// sent while there are any.
func Tune(nc net.Conn, raw syscall.RawConn, opts ring.Options) error {
	if _, tcp := nc.(*net.TCPConn); !tcp {
		return nil
	}
	return setUserTimeout(raw, DeadPeerTimeout(opts))
}

// PeerOf says what is known of the other end.
func PeerOf(nc net.Conn, raw syscall.RawConn) ring.Peer {
	p := ring.Peer{Addr: nc.RemoteAddr().String(), UID: -1, PID: -1}
	if _, local := nc.(*net.UnixConn); local {
		_ = raw.Control(func(fd uintptr) { p.UID, p.PID = credentials(int(fd)) })
	}
	return p
}
